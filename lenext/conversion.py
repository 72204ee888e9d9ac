"""`convert`: weights in the names of another library, or in ours, as one safetensors file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lenext.building import build
from lenext.creation import Pretrained, pretrained
from lenext.errors import UserError
from lenext.files import exists
from lenext.models import ImageClassifier, lookup
from lenext.models.skeleton import Skeleton
from lenext.weights.classes import ClassList
from lenext.weights.foreign import find_layout
from lenext.weights.model_file import OWN_LAYOUT, model_metadata, write_model_file
from lenext.weights.presumption import PRESUMED, UNNAMED

SUFFIX = ".safetensors"


@dataclass(frozen=True)
class Conversion:
    """What was written: how many `tensors` of the architecture `model`, to the file `out`.

    `presumed` says in words what the weights do not say of themselves and was taken from similar ones.
    """

    model: str
    tensors: int
    out: str
    presumed: str


def convert(
    weights: str | Path, model: str, to: str, out: str | Path, *, class_names: Sequence[str] | None = None
) -> Conversion:
    """Write the weights of `model` to the file `out`, by the names that `to` has for its tensors.

        lenext.convert("resnet50-11ad3fa6.pth", "resnet50", "timm", "resnet50.safetensors")

    `to` is `lenext` or a library, such as `torchvision` or `timm`. Class names and preprocessing stand in the file's
    metadata, so that lenext loads it alone; `class_names`, in the order of the logits, stand for what the weights say.
    Auxiliary classifiers are written where the weights have them. Where the library's norms add something else to the
    variance, the scales of the norms change with it, so that the network answers the same there.

    Raises:
        UserError: weights that do not fit, a library whose names for it are not known, an `out` that is there or is
            no `.safetensors` file.
        LenextError: a download or the write failed.
    """
    path = Path(out)
    if path.suffix != SUFFIX:
        raise UserError(f"{out} cannot be written: give a name that ends in {SUFFIX}")
    if exists(path) or path.is_symlink():
        raise UserError(f"{out} is there already; give another name")
    if not exists(path.parent):
        raise UserError(f"{out} cannot be written: there is no folder {path.parent}")
    found = pretrained(model, weights)
    if class_names is not None:
        found = _named(found, class_names)
    if any(name not in found.held for name in found.model.state_dict()):
        found.model.drop_training_only()
    found = replace(found, model=with_norms_of(to, found.model))
    tensors = find_layout(found.model, to).write(found.model)
    write_model_file(path, tensors, metadata_of(found, to), found.trained_on)
    return Conversion(model, len(tensors), str(out), found.presumed)


def _named(found: Pretrained, names: Sequence[str]) -> Pretrained:
    """Return the weights with names for their classes."""
    if len(names) != len(found.classes) or len(set(names)) < len(names) or not all(names):
        raise UserError(f"{len(names)} class names cannot be: give {len(found.classes)} that differ, in order")
    return replace(found, classes=ClassList(tuple(names)), unnamed=False)


@torch.no_grad()
def with_norms_of(library: str, model: ImageClassifier) -> ImageClassifier:
    """Return the model with norms that add to the variance what those of `library` do, and scales that make up for it.

    Raises:
        UserError: a library whose names for the model are not known.
    """
    layout, spec = find_layout(model, library), model.spec
    assert spec is not None
    if library == OWN_LAYOUT:
        return model
    options = {key: value for key, value in spec.options.items() if key != "norm_eps"}
    with Skeleton():  # the norms as the library has them, unless its layout says otherwise
        usual = build(lookup(spec.name), spec.classes, spec.in_channels, spec.size, options)
    theirs = {name: norm.eps for name, norm in usual.named_modules() if isinstance(norm, nn.BatchNorm2d)}
    for name, norm in model.named_modules():
        if isinstance(norm, nn.BatchNorm2d) and norm.running_var is not None:
            eps = layout.norm_eps or theirs[name]
            if eps != norm.eps:
                variance = norm.running_var.double()
                norm.weight.mul_(((variance + eps) / (variance + norm.eps)).sqrt())
                norm.eps = eps
    model.spec = replace(spec, options=options)
    return model


def metadata_of(found: Pretrained, layout: str = OWN_LAYOUT) -> dict[str, Any]:
    """Return what a model file says of weights that were read."""
    spec = found.model.spec
    assert spec is not None
    metadata = model_metadata(
        spec,
        found.classes,
        dict(found.preprocessing),
        figures=found.metadata.get("figures", {}),
        trained_on=found.metadata.get("trained_on", {}),
    )
    if layout != OWN_LAYOUT:
        metadata["layout"] = layout
    if found.presumed:
        metadata |= {PRESUMED: found.presumed, UNNAMED: found.unnamed}
    return {**metadata, **origin_of(found)}


def origin_of(found: Pretrained) -> dict[str, Any]:
    """Return where published weights are from, under what licence; nothing of others."""
    entry = found.published
    if entry is None:
        return {"origin": found.metadata["origin"]} if "origin" in found.metadata else {}
    return {"origin": {"weights": entry.name, "source": entry.source, "licence": entry.licence}}
