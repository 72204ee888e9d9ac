"""`compare`: models side by side, what each costs and how well it was published to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lenext.cost.cost import Total
from lenext.cost.profile import profile
from lenext.registry import Published, lookup


@dataclass(frozen=True)
class Comparison:
    """What one model costs at its own input size, and the error that was published of it, if one was."""

    name: str
    year: int
    size: tuple[int, int]
    total: Total
    error: Published | None

    def fields(self) -> dict[str, Any]:
        """Return the JSON object of the model in what `lenext compare --json` prints."""
        total = self.total.to_json()
        return {
            "name": self.name,
            "year": self.year,
            "size": list(self.size),
            "params": self.total.params,
            "macs": self.total.macs,
            "activations": self.total.activations,
            "parameter_bytes": self.total.parameter_bytes,
            "batch": {"images": self.total.batch, **total["batch"]},
            "training_bytes": self.total.training_bytes,
            "error": asdict(self.error) if self.error else None,
        }


def compare(
    names: Sequence[str], *, size: int | tuple[int, int] | None = None, batch: int = 1, classes: int | None = None
) -> list[Comparison]:
    """Return the models in the order of `names`, each at its own size where `size` is None.

        for row in lenext.compare(["alexnet", "vgg16", "googlenet"]):
            print(row.name, row.total.macs, row.error)

    Raises:
        UserError: an unknown name; a size, batch or number of classes that cannot be.
    """
    rows = []
    for name in dict.fromkeys(names):
        cost = profile(name, size=size, batch=batch, classes=classes)
        facts = lookup(name).facts
        error = facts.errors[0] if facts.errors else None
        rows.append(Comparison(name, facts.year, (cost.input[2], cost.input[3]), cost.total, error))
    return rows
