"""Whole checkpoints of other libraries, made anew from a golden file: what stands under a name follows from the name.

A golden file holds the names and shapes of a checkpoint's tensors and what the library's model, with these tensors,
answers in float64 to two images: the first eight logits, the norm of all logits and the best class.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lenext.models import ImageClassifier
from lenext.weights.foreign import read_as_ours, tidied
from lenext.weights.hub_config import TIMM_NAMES
from lenext.weights.loading import load_strictly

FOLDER = Path(__file__).parent / "golden"

# What lenext calls a model that the other library calls otherwise.
OUR_NAMES = {"googlenet": "googlenet_bn", **TIMM_NAMES}


def read_golden(path: Path) -> dict[str, Any]:
    """Return a golden file, with `ours`, the name that lenext has for the model."""
    golden: dict[str, Any] = json.loads(path.read_text())
    return {**golden, "ours": OUR_NAMES.get(golden["model"], golden["model"])}


def fill(name: str, shape: list[int]) -> Tensor:
    """Return the tensor called `name`: float32, or int64 where it counts batches."""
    generator = np.random.default_rng(zlib.crc32(name.encode()))
    if name.endswith("num_batches_tracked"):
        return torch.zeros(shape, dtype=torch.int64)
    if name.endswith(("running_mean", "bias", "beta")):
        drawn = generator.standard_normal(shape)
        drawn *= 0.1
    elif len(shape) > 1 and not name.endswith("running_var"):  # a convolution's or a dense layer's weight
        drawn = generator.standard_normal(shape)
        drawn *= np.sqrt(2 / np.prod(shape[1:]))
    else:
        drawn = generator.uniform(0.5, 1.5, shape)
    return torch.from_numpy(drawn.astype(np.float32))


def foreign_tensors(golden: dict[str, Any]) -> dict[str, Tensor]:
    """Return the whole checkpoint."""
    return {name: fill(name, shape) for name, shape in golden["tensors"].items()}


def load_foreign(model: ImageClassifier, tensors: dict[str, Tensor], *, where: str) -> None:
    """Load another library's tensors into a model that is there, norms included."""
    read = read_as_ours(model, tidied(tensors), where=where)
    load_strictly(model, read.tensors, where=read.how, called=read.called)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d) and read.norm_eps is not None:
            module.eps = read.norm_eps


@dataclass(frozen=True)
class Gap:
    """How far a model's answers are from the golden ones: `logits` and `norm` as shares of the logits' norm."""

    logits: float
    norm: float
    same_class: bool


@torch.no_grad()
def gap(model: nn.Module, golden: dict[str, Any]) -> Gap:
    """Turn `model` to float64 and evaluation mode and compare its answers with the golden ones."""
    images = np.random.default_rng(0).standard_normal(golden["input"]).astype(np.float32)
    logits = model.eval().double()(torch.from_numpy(images).double())
    norms = torch.tensor(golden["logits_norm"], dtype=torch.float64)
    first = torch.tensor(golden["logits_first_8"], dtype=torch.float64)
    return Gap(
        logits=float(((logits[:, :8] - first).abs() / norms[:, None]).max()),
        norm=float(((logits.norm(dim=1) - norms).abs() / norms).max()),
        same_class=logits.argmax(1).tolist() == golden["argmax"],
    )
