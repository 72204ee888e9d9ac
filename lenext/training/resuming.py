"""What a run that goes on takes over from its record, and what may not have changed since."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from lenext.data.loader import Loader
from lenext.data.training_data import TrainingData
from lenext.errors import UserError
from lenext.training.arithmetic import Arithmetic
from lenext.training.settings import Settings

# What a run decides when it begins, by its place in the record, and how a message calls it.
DECIDED = {
    ("recipe",): "the recipe",
    ("preprocessing",): "the preprocessing",
    ("data", "class_names"): "the classes",
    ("data", "train_images"): "the number of images to train on",
    ("data", "held_out_images"): "the number of images held out",
    ("data", "loading"): "the way of the images",
    ("data", "digest"): "the images",
    ("steps",): "the number of steps",
    ("hardware", "threads"): "the number of threads",
    ("hardware", "device"): "the device",
    ("versions", "torch"): "the version of torch",
    ("versions", "lenext"): "the version of lenext",
}


def settings_of(record: Mapping[str, Any]) -> Settings:
    """Return the settings of a run by its record, with what it decided when it began in place of what was open."""
    said, arithmetic = dict(record["settings"]), dict(record["arithmetic"])
    chosen = Arithmetic(**arithmetic).overrides()
    if said["size"] is not None:
        said["size"] = tuple(said["size"])
    said["overrides"] = {**said["overrides"], **chosen}
    said["loading"] = record["data"]["loading"]
    said["threads"] = record["hardware"]["threads"]
    said["device"] = record["hardware"]["device"]
    return Settings(**said)


def require_same(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Hold what a run decides now against what it decided when it began.

    Raises:
        UserError: something is another one; the message names both.
    """
    for keys, called in DECIDED.items():
        then, there = before, now
        for key in keys:
            then, there = then[key], there[key]
        if keys == ("recipe",):
            then, there = ({k: v for k, v in each.items() if k not in OF_MACHINE} for each in (then, there))
        if _plain(then) != _plain(there):
            raise UserError(f"{called} was {_short(then)} when the run began, and is {_short(there)} now")


OF_MACHINE = ("precision", "memory_format", "compile", "why")  # which the record's arithmetic says


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def digest_of(data: TrainingData, stopping: Loader | None) -> str:
    """Return one digest of all images with their labels, in order: trained on, held out, and set aside."""
    found = hashlib.blake2b(digest_size=16)
    for reading in (data.train, data.held_out):
        found.update(reading.digests.tobytes())
        found.update(np.ascontiguousarray(reading.labels).tobytes())
    if stopping is not None:
        found.update(stopping.labels.numpy().tobytes())
    return found.hexdigest()
