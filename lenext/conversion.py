"""`convert`: weights in the names of another library, or in ours, as one safetensors file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lenext.creation import Pretrained, pretrained
from lenext.errors import UserError
from lenext.files import exists
from lenext.weights.foreign import find_layout
from lenext.weights.model_file import OWN_LAYOUT, write_model_file
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


def convert(weights: str | Path, model: str, to: str, out: str | Path) -> Conversion:
    """Write the weights of `model` to the file `out`, by the names that `to` has for its tensors.

        lenext.convert("resnet50-11ad3fa6.pth", "resnet50", "timm", "resnet50.safetensors")

    `to` is `lenext` or a library, such as `torchvision` or `timm`. Class names and preprocessing stand in the file's
    metadata, so that lenext loads it alone. Auxiliary classifiers are written where the weights have them.

    Raises:
        UserError: weights that do not fit, a library that has no such model, or an `out` that is there or is no
            `.safetensors` file.
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
    layout = find_layout(found.model, to)  # refuses what the library does not have
    if any(name not in found.held for name in found.model.state_dict()):
        found.model.drop_training_only()
        layout = find_layout(found.model, to)
    tensors = layout.write(found.model)
    write_model_file(path, tensors, metadata_of(found, to), found.trained_on)
    return Conversion(model, len(tensors), str(out), found.presumed)


def metadata_of(found: Pretrained, layout: str = OWN_LAYOUT) -> dict[str, Any]:
    """Return what a model file says of weights that were read."""
    spec = found.model.spec
    assert spec is not None
    metadata: dict[str, Any] = {
        "model": spec.name,
        "classes": spec.classes,
        "in_channels": spec.in_channels,
        "size": list(spec.size),
        "options": spec.options,
        "class_names": list(found.classes.names),
        "preprocessing": dict(found.preprocessing),
        "figures": found.metadata.get("figures", {}),
        "trained_on": found.metadata.get("trained_on", {}),
    }
    if found.classes.ids:
        metadata["class_ids"] = list(found.classes.ids)
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
