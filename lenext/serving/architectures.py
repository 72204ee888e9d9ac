"""What is known of every architecture, and what each stage of one costs at a size: the explorer's figures."""

from __future__ import annotations

from dataclasses import asdict
from functools import lru_cache
from typing import Any

from lenext.errors import UserError
from lenext.registry import Entry, Published

LARGEST = 2048  # pixels of a side that the explorer is asked for; nothing is computed, but more is no use to anyone
KEPT = 512  # answers that are remembered


def architectures() -> list[dict[str, Any]]:
    """Return every architecture in the order of the papers, with the errors that were published of it.

    `params` and `macs` are those at its own input, (size, size); errors are in percent, the first being the one to
    compare by: `top1_error` and `top5_error` are its, `dataset` and `protocol` say how it was measured.
    """
    import lenext.models
    from lenext.registry import list_models

    return [_told(lenext.models.lookup(name)) for name in list_models()]


def architecture(name: str, size: int | None = None) -> dict[str, Any]:
    """Return what each stage of an architecture gives and costs for one image of `size`, a side in pixels.

    Nothing is computed: the network is built without numbers and its forward is watched. `layers` are those that
    multiply; `share` and `params_share` are parts of the whole, 0 to 1.

    Raises:
        UserError: an unknown name, or a size that the architecture cannot have.
    """
    if size is not None and size > LARGEST:
        raise UserError(f"size {size} is above {LARGEST}, the largest that is shown; give a smaller one")
    return _costed(name, size)


@lru_cache(KEPT)
def _costed(name: str, size: int | None) -> dict[str, Any]:
    from lenext.cost.cost import Total
    from lenext.cost.profile import profile
    from lenext.models import lookup

    entry = lookup(name)
    cost = profile(name, size=size)
    total = _figures(cost.total)
    stages = []
    for path, rows in cost.groups().items():
        output, figures = cost.output_of(path), _figures(Total.of(rows, 1))
        stages.append(
            {
                "name": path,
                "layers": sum(row.macs > 0 for row in rows),
                "output": list(output.shape),
                **figures,
                "share": figures["macs"] / total["macs"],
                "params_share": figures["params"] / total["params"],
                "receptive_field": output.receptive_field,
            }
        )
    return {**_told(entry), "input": list(cost.input[1:]), "stages": stages, "total": total}


def _figures(total: Any) -> dict[str, int]:
    return {"params": total.params, "macs": total.macs, "activations": total.activations}


def _told(entry: Entry) -> dict[str, Any]:
    facts = entry.facts
    first = facts.errors[0] if facts.errors else None
    return {
        "name": entry.name,
        "family": entry.family,
        "year": facts.year,
        "paper": facts.paper_url,
        "params": int(facts.params),
        "macs": int(facts.macs),
        "size": facts.size,
        "smallest": facts.smallest,
        "channels": facts.channels,
        "classes": facts.classes,
        "top1_error": first.top1 if first else None,
        "top5_error": first.top5 if first else None,
        "dataset": first.dataset if first else None,
        "protocol": _protocol(first) if first else None,
        "errors": [asdict(error) for error in facts.errors],
    }


def _protocol(error: Published) -> str:
    return error.protocol + (f" ({error.source})" if error.source else "")
