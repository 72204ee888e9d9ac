"""What the `config.json` of a Hub repository says of weights, in timm's words: preprocessing and class names."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lenext.errors import UserError, one_line
from lenext.registry import list_models
from lenext.weights.classes import WORDNET_ID, ClassList, class_list, wordnet_names
from lenext.weights.model_file import LARGEST_STATED

LARGEST = 16 << 20  # bytes; with names and descriptions of 20,000 classes it has three
# The list of classes that published weights with so many logits have, in timm as in torchvision.
LISTS = {1000: "imagenet-1k", 11221: "imagenet-21k-miil", 11821: "imagenet-12k", 21841: "imagenet-22k"}
FITS = {"center": "crop", "squash": "squash"}
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos")
# What lenext calls a network that timm calls otherwise.
TIMM_NAMES = {
    "mobilenetv1_100": "mobilenet_v1",
    "mobilenetv2_100": "mobilenet_v2",
    "mobilenetv3_large_100": "mobilenet_v3_large",
    "mobilenetv3_small_100": "mobilenet_v3_small",
    **{f"resnetv2_{depth}": f"preresnet{depth}" for depth in (18, 34, 50, 101, 152)},
}


def read_config(path: Path) -> dict[str, Any]:
    """Return the settings in a `config.json`: those of the weights stand above those around them.

    Raises:
        UserError: no JSON object.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise UserError(f"{path} is refused: more than {LARGEST:,} bytes of settings")
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path} is damaged: {one_line(error)}") from error
    if not isinstance(config, dict):
        raise UserError(f"{path} is damaged: it is no JSON object")
    inner = config.get("pretrained_cfg")
    return {**config, **(inner if isinstance(inner, dict) else {})}


def model(config: Mapping[str, Any], where: str) -> str | None:
    """Return our name of the architecture that the settings name, or None where they name none.

    Raises:
        UserError: lenext does not have it; another network may have the same tensors and compute something else.
    """
    theirs = config.get("architecture")
    if not isinstance(theirs, str) or not theirs:
        return None
    ours = TIMM_NAMES.get(theirs, theirs)
    if ours not in list_models():
        raise UserError(f"{where} is of {theirs[:100]!r}, which lenext does not have")
    return ours


def preprocessing(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the preprocessing that timm's settings mean, or None where they do not say it all."""
    try:
        channels, height, width = config["input_size"]
        mean, std = ([float(value) for value in config[key]] for key in ("mean", "std"))
        fit, interpolation = FITS[config.get("crop_mode", "center")], config.get("interpolation", "bicubic")
        # timm scales the shorter side to whole pixels, rounded down.
        resized = math.floor(min(height, width) / float(config.get("crop_pct", 0.875)))
    except (KeyError, TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    sides = all(type(side) is int and 0 < side <= LARGEST_STATED for side in (height, width))
    numbers = len(mean) == len(std) == channels and all(map(math.isfinite, (*mean, *std))) and min(std) > 0
    known = interpolation in INTERPOLATIONS and resized >= min(height, width)
    if not (sides and numbers and known) or (fit == "squash" and resized > min(height, width)):
        return None
    return {
        "size": [height, width], "channels": channels, "fit": fit, "crop_ratio": min(height, width) / resized,
        "interpolation": interpolation, "mean": mean, "std": std,
    }  # fmt: skip


def classes(config: Mapping[str, Any]) -> ClassList | None:
    """Return the classes that the settings name, or those that published weights of their number have."""
    named = config.get("label_names")
    if isinstance(named, list) and named and all(isinstance(name, str) for name in named):
        distinct = len(set(named)) == len(named)
        if not distinct or not all(WORDNET_ID.fullmatch(name) for name in named):
            return ClassList(tuple(named))
        described = config.get("label_descriptions")
        told = described if isinstance(described, dict) else wordnet_names()
        return ClassList(tuple(str(told.get(name, name)).split(", ")[0] for name in named), tuple(named))
    count = config.get("num_classes")
    return class_list(LISTS[count]) if isinstance(count, int) and count in LISTS else None
