"""Pickled checkpoints: what `torch.save` wrote, through `torch.load(weights_only=True)` or not at all."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lenext.errors import UserError, one_line
from lenext.weights.inspection import inspect

# Where training programs put the weights in what they save, the likeliest first.
HOMES = (
    "state_dict",
    "model_state_dict",
    "model",
    "net",
    "network",
    "weights",
    "params",
    "state_dict_ema",
    "model_ema",
)
SHOWN = 6
DEEPEST = 2  # levels of dictionaries around the weights
LONGEST_REASON = 200  # characters


def read_pickled(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a pickled checkpoint by name; no code in it can run.

    Those of an archive stay in the file until they are used.

    Raises:
        UserError: not safe to load, damaged, or no dictionary of tensors.
    """
    kind = inspect(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of storages that torch now calls otherwise
            stored = torch.load(path, map_location="cpu", weights_only=True, mmap=kind == "zip")
    except Exception as error:  # torch raises errors of many kinds on broken files, some with advice to trust them
        reason = one_line(error).partition(". ")[0][:LONGEST_REASON]
        if "allocate memory" in str(error):
            reason = "it claims more memory than there is"
        raise UserError(f"{path} is damaged, or holds more than weights: {reason}") from error
    return _state_dict(path, stored)


def _state_dict(path: Path, stored: Any) -> dict[str, Tensor]:
    """Return the dictionary of tensors in a checkpoint, which may hold more than that."""
    for _ in range(DEEPEST):
        if isinstance(stored, Mapping):
            stored = next((stored[home] for home in HOMES if isinstance(stored.get(home), Mapping)), stored)
    if not isinstance(stored, Mapping) or not stored:
        raise UserError(f"{path} holds {_kind(stored)}, not a dictionary of tensors; save the model's state_dict()")
    strange = [str(name) for name, value in stored.items() if not (isinstance(name, str) and isinstance(value, Tensor))]
    if strange:
        listed = ", ".join(strange[:SHOWN]) + (", ..." if len(strange) > SHOWN else "")
        raise UserError(f"{path} holds no weights that lenext can find, but {listed}; save the model's state_dict()")
    for name, tensor in stored.items():
        _require_backed(path, name, tensor)
    return dict(stored)


def _require_backed(path: Path, name: str, tensor: Tensor) -> None:
    """Raise UserError where a tensor is not plain numbers, or claims more of them than the file holds."""
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.device.type != "cpu":
        raise UserError(f"{path}: {name} is not a plain tensor; save the weights dense and in floating point")
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise UserError(f"{path} is refused: {name} claims {tensor.numel():,} numbers, more than the file holds")


def _kind(value: Any) -> str:
    return "nothing" if isinstance(value, Mapping) else f"a {type(value).__name__}"
