"""Strict loading: every tensor in its place, or an error that lists what is missing and what is too much."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from lenext.errors import UserError
from lenext.models import ImageClassifier

SHOWN, LONGEST = 6, 100  # names in a message, and characters of one
FLOATS = {torch.float16, torch.bfloat16, torch.float32, torch.float64}


def answering(model: ImageClassifier, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return those of the model's `tensors` that answering needs: all but what only training uses."""
    aside = tuple(f"{path}." for path in model.training_only)
    return {name: tensor for name, tensor in tensors.items() if not name.startswith(aside)}


def load_strictly(
    model: ImageClassifier, tensors: Mapping[str, Tensor], *, where: str, called: Mapping[str, str] | None = None
) -> None:
    """Copy `tensors` into `model`; nothing is copied unless all of it fits.

    `called` is what messages call a tensor, where the file has other names than ours. What only training uses may
    be missing altogether, and then stays as it is.

    Raises:
        UserError: names missing ("-") or too many ("+"), another shape or kind of number, or one that is not finite.
    """
    require_fit(model, tensors, where=where, called=called)
    own = model.state_dict()
    ready = {name: tensor.to(own[name].dtype) for name, tensor in tensors.items()}
    require_sound(ready, where=where, called=called)
    model.load_state_dict({**own, **ready})


def require_fit(
    model: ImageClassifier, tensors: Mapping[str, Tensor], *, where: str, called: Mapping[str, str] | None = None
) -> None:
    """Raise UserError where `tensors` are not those of `model`; its own may be without numbers."""
    own = model.state_dict()
    called = called or {}
    absent = tuple(f"{path}." for path in model.training_only if not _any_below(path, tensors))
    missing = [
        f"-{called.get(name, name)}" for name in own if name not in tensors and not (absent and name.startswith(absent))
    ]
    surplus = [f"+{called.get(name, name)}" for name in tensors if name not in own]
    if missing or surplus:
        raise UserError(f"{where} does not fit {type(model).__name__}: {_shortened(missing)} {_shortened(surplus)}")
    differing = [
        f"{called.get(name, name)} is {_form(tensors[name])}, not {_form(own[name])}"
        for name in own
        if name in tensors and _form(tensors[name]) != _form(own[name])
    ]
    if differing:
        raise UserError(
            f"{where} does not fit {type(model).__name__}: {', '.join(differing[:SHOWN])}"
            f"{f' and {len(differing) - SHOWN} more' if len(differing) > SHOWN else ''}"
        )


def _any_below(path: str, tensors: Mapping[str, Tensor]) -> bool:
    return any(name.startswith(f"{path}.") for name in tensors)


def require_sound(tensors: Mapping[str, Tensor], *, where: str, called: Mapping[str, str] | None = None) -> None:
    """Raise UserError where a tensor holds what no trained network does: no number, infinity, a negative variance."""
    for name, tensor in tensors.items():
        if not tensor.is_floating_point() or not tensor.numel():
            continue
        low, high = tensor.aminmax()
        if not (low.isfinite() and high.isfinite()):
            what = "NaN" if low.isnan() or high.isnan() else "infinity"
        elif name.endswith("running_var") and low < 0:
            what = "a negative variance"
        else:
            continue
        raise UserError(f"{where} holds {what} in {(called or {}).get(name, name)}; its weights are damaged")


def _form(tensor: Tensor) -> str:
    shape = "x".join(map(str, tensor.shape)) or "scalar"
    return shape if tensor.dtype in FLOATS else f"{shape} {str(tensor.dtype).removeprefix('torch.')}"


def _shortened(names: list[str]) -> str:
    rest = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return " ".join(name if len(name) <= LONGEST else f"{name[:LONGEST]}..." for name in names[:SHOWN]) + rest
