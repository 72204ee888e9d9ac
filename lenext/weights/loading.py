"""Strict loading: every tensor in its place, or an error that lists what is missing and what is too much."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from lenext.errors import UserError

SHOWN = 6


def load_strictly(model: nn.Module, tensors: Mapping[str, Tensor], *, where: str) -> None:
    """Copy `tensors` into `model`; nothing is copied unless all of it fits.

    Raises:
        UserError: names missing ("-") or too many ("+"), or another shape or kind of number.
    """
    own = model.state_dict()
    missing = [f"-{name}" for name in own if name not in tensors]
    surplus = [f"+{name}" for name in tensors if name not in own]
    if missing or surplus:
        raise UserError(f"{where} does not fit {type(model).__name__}: {_shortened(missing)} {_shortened(surplus)}")
    differing = [
        f"{name} is {_form(tensors[name])}, not {_form(own[name])}"
        for name in own
        if _form(tensors[name]) != _form(own[name])
    ]
    if differing:
        raise UserError(
            f"{where} does not fit {type(model).__name__}: {', '.join(differing[:SHOWN])}; "
            "create the model with the classes, channels and size of the file"
        )
    model.load_state_dict(dict(tensors))


def _form(tensor: Tensor) -> str:
    shape = "x".join(map(str, tensor.shape)) or "scalar"
    return shape if tensor.is_floating_point() else f"{shape} {tensor.dtype}"


def _shortened(names: list[str]) -> str:
    rest = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return " ".join(names[:SHOWN]) + rest
