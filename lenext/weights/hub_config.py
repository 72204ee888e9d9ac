"""What the `config.json` of a Hub repository says of weights, in timm's words: preprocessing and class names."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lenext.errors import UserError, one_line
from lenext.weights.classes import WORDNET_ID, ClassList, class_list

LARGEST = 16 << 20  # bytes; with names and descriptions of 20,000 classes it has three
# The list of classes that published weights with so many logits have, in timm as in torchvision.
LISTS = {1000: "imagenet-1k", 11221: "imagenet-21k-miil", 11821: "imagenet-12k", 21841: "imagenet-22k"}
FITS = {"center": "crop", "squash": "squash"}
PADDED = "tf_"  # how the names of timm's networks begin that pad as TensorFlow does


def read_config(path: Path) -> dict[str, Any]:
    """Return the settings in a `config.json`: those of the weights stand above those around them.

    Raises:
        UserError: no JSON object, or of a network that has lenext's tensors but computes something else.
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
    config = {**config, **(inner if isinstance(inner, dict) else {})}
    architecture = str(config.get("architecture", ""))
    if architecture.startswith(PADDED):
        raise UserError(f"{path} is of {architecture}, which pads as TensorFlow does; lenext has no such network")
    return config


def preprocessing(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the preprocessing that timm's settings mean, or None where they do not say it all."""
    try:
        channels, height, width = config["input_size"]
        mean, std = ([float(value) for value in config[key]] for key in ("mean", "std"))
        fit, interpolation = FITS[config.get("crop_mode", "center")], str(config.get("interpolation", "bilinear"))
        # timm scales the shorter side to whole pixels, rounded down.
        resized = max(math.floor(min(height, width) / float(config.get("crop_pct", 0.875))), 1)
    except (KeyError, TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    return {
        "size": [height, width], "channels": channels, "fit": fit, "crop_ratio": min(height, width) / resized,
        "interpolation": interpolation, "mean": mean, "std": std,
    }  # fmt: skip


def classes(config: Mapping[str, Any]) -> ClassList | None:
    """Return the classes that the settings name, or those that published weights of their number have."""
    named = config.get("label_names")
    if isinstance(named, Sequence) and not isinstance(named, str) and all(isinstance(name, str) for name in named):
        described, ids = config.get("label_descriptions"), tuple(named)
        if isinstance(described, Mapping) and all(WORDNET_ID.fullmatch(name) for name in ids):
            return ClassList(tuple(str(described.get(name, name)).split(", ")[0] for name in ids), ids)
        return ClassList(ids)
    count = config.get("num_classes")
    return class_list(LISTS[count]) if isinstance(count, int) and count in LISTS else None
