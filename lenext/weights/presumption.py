"""Presumption: what weights are for where nothing says it, from what the same library publishes of the same network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lenext.errors import UserError
from lenext.models.base import Spec
from lenext.registry import Entry
from lenext.weights.catalog import usual
from lenext.weights.checkpoint import Checkpoint
from lenext.weights.classes import ClassList, class_list, unnamed_classes
from lenext.weights.hub_config import LISTS

# Of photographs, by those who began it; what no entry of the catalog says better.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
COVERED = 0.875  # 224 of 256 pixels
PRESUMED, UNNAMED = "presumed", "unnamed_classes"  # where a file's metadata keeps what was presumed when it was written
LARGEST_VALUE, SMALLEST_STD = 1e3, 1e-5  # of means and deviations, where white is 1
PHOTOGRAPH = 64  # pixels a side; smaller images are seen whole


@dataclass(frozen=True)
class Known:
    """Classes and preprocessing; `words` says which of it is presumed, `unnamed` that no class has a name."""

    classes: ClassList
    preprocessing: Mapping[str, Any]
    words: str
    unnamed: bool


def presume(checkpoint: Checkpoint, entry: Entry, library: str, spec: Spec) -> Known:
    """Return what the checkpoint says, and where it says nothing, what similar weights have."""
    metadata, words = checkpoint.metadata, list[str]()
    stated = [what for what in ("classes", "preprocessing") if what in str(metadata.get(PRESUMED, ""))]
    similar = usual(entry.name, library, spec.classes)
    classes, unnamed = checkpoint.classes, metadata.get(UNNAMED) is True
    if classes is None or len(classes) != spec.classes:
        if similar is not None and len(similar.class_list) == spec.classes:
            classes = similar.class_list
            words.append(f"classes as of {similar.name}")
        elif spec.classes in LISTS:
            classes = class_list(LISTS[spec.classes])
            words.append(f"the classes of {LISTS[spec.classes]}")
        else:
            classes, unnamed = unnamed_classes(spec.classes), True
            words.append("classes without names")
    preprocessing = checkpoint.preprocessing
    if preprocessing is None and similar is not None:
        preprocessing = similar.preprocessing
        words.append(f"preprocessing as of {similar.name}")
    elif preprocessing is None:
        preprocessing = {
            "size": list(spec.size), "channels": 3, "fit": "crop", "interpolation": "bilinear",
            "crop_ratio": COVERED if min(spec.size) >= PHOTOGRAPH else 1.0, "mean": list(MEAN), "std": list(STD),
        }  # fmt: skip
        words.append("mean and deviation of ImageNet")
    if stated and not words:
        said = f"{checkpoint.where} was made of weights that did not say what they are for: presumed are its "
        return Known(classes, preprocessing, said + " and ".join(stated), unnamed)
    said = f"{checkpoint.where} says nothing usable of what it is for: taken are " if words else ""
    return Known(classes, preprocessing, said + " and ".join(words), unnamed)


def fit_preprocessing(preprocessing: Mapping[str, Any], size: tuple[int, int], channels: int) -> dict[str, Any]:
    """Return the preprocessing for images of another size or number of channels; grey has the mean of the others."""
    fitted = {**preprocessing, "size": list(size), "channels": channels}
    for key, least in (("mean", -LARGEST_VALUE), ("std", SMALLEST_STD)):
        values = preprocessing.get(key)
        if not isinstance(values, list) or not values:
            raise UserError(f"the preprocessing of the weights is damaged: it has no usable {key}")
        if not all(type(value) in (int, float) and least <= value <= LARGEST_VALUE for value in values):
            raise UserError(f"the preprocessing of the weights is damaged: {key} {str(values)[:100]} cannot be")
        if len(values) != channels:
            fitted[key] = [sum(values) / len(values)] * channels
    return fitted
