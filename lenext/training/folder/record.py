"""The record of a run, `run.json`: what it decided when it began, which a run that goes on has to decide again."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import platform
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lenext.data.cores import available_cores
from lenext.data.reading import Reading
from lenext.data.source import Source
from lenext.errors import UserError, one_line
from lenext.files import exists
from lenext.processes import Group
from lenext.training.arithmetic import Arithmetic
from lenext.training.folder.names import IMAGES, START
from lenext.training.preparing import Prepared
from lenext.training.settings import Settings

SHOWN = 120  # characters of a value in a message
HEADER = ("part", "image", "class", "digest")

# What a run decides when it begins, by its place in the record, and how a message calls it.
DECIDED = {
    ("data", "class_names"): "the classes",
    ("data", "train_images"): "the number of images to train on",
    ("data", "held_out_images"): "the number of images held out",
    ("data", "loading"): "the way of the images",
    ("data", "digest"): "the images",
    ("recipe",): "the recipe",
    ("preprocessing",): "the preprocessing",
    ("steps",): "the number of steps",
    ("hardware", "threads"): "the number of threads",
    ("hardware", "device"): "the device",
    ("hardware", "processes"): "the number of processes",
    ("versions", "torch"): "the version of torch",
    ("versions", "numpy"): "the version of numpy",
    ("versions", "pillow"): "the version of pillow",
    ("versions", "lenext"): "the version of lenext",
}
OF_MACHINE = ("precision", "memory_format", "compile", "why")  # of the recipe, which the record's arithmetic says
OF_AN_END = ("error", "ended")  # what the record of a run that goes on does not say any more


def resumed_record(before: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `run.json` says of a run that goes on."""
    kept = {key: value for key, value in before.items() if key not in OF_AN_END}
    return {**kept, "resumed": [*before.get("resumed", []), now()]}


def now() -> str:
    """Return the date and time, in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def first_record(settings: Settings, launch: str | None) -> dict[str, Any]:
    """Return what `run.json` says before the images are read: all that is needed to begin again."""
    return {"started": now(), "folder": str(Path.cwd()), "launch": launch, "settings": settings.to_json()}


def full_record(
    first: Mapping[str, Any], settings: Settings, ready: Prepared, source: Source, group: Group
) -> dict[str, Any]:
    """Return what `run.json` says from the first step on: everything that was decided, and with what."""
    data = ready.data
    chosen = ready.arithmetic.overrides() if ready.arithmetic.measured else {}
    return {
        **first,
        "command": replace(settings, overrides={**settings.overrides, **chosen}).command(),
        "recipe": asdict(ready.recipe),
        "arithmetic": asdict(ready.arithmetic),
        "preprocessing": data.preprocessing.to_json(),
        "separation": asdict(ready.separation) if ready.separation else None,
        "steps": None if settings.minutes else ready.pace.steps,
        "data": {
            "location": source.location,
            "class_names": list(source.class_names),
            "train_images": len(data.train.images),
            "train_images_of_class": np.bincount(data.train.labels, minlength=len(source.class_names)).tolist(),
            "held_out_images": len(data.held_out.images),
            "held_out_split": data.held_out_split,
            "watched_images": len(ready.watched.images) if ready.watched else 0,
            "loading": ready.train.way,
            "list": IMAGES,
            "digest": digest_of(ready),
        },
        "skipped_files": [{"path": path, "reason": reason} for path, reason in data.skipped],
        "hardware": {
            "device": str(ready.train.device),
            "threads": torch.get_num_threads(),
            "cores": available_cores(),
            "processes": group.world,
        },
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("lenext", "torch", "numpy", "pillow")},
        },
    }


def settings_of(record: Mapping[str, Any], run: Path) -> Settings:
    """Return the settings of a run by its record, with what it decided when it began in place of what was open.

    Raises:
        UserError: the record lacks something.
    """
    try:
        said, folder = dict(record["settings"]), Path(record["folder"])
        if said["size"] is not None:
            said["size"] = tuple(said["size"])
        said["data"] = _seen_from(folder, said["data"])
        if exists(run / START):
            said |= {"weights": str(run / START), "grow": None}
        elif said["weights"] is not None and exists(folder / said["weights"]):
            said["weights"] = str(folder / said["weights"])
        if said.get("exclude") is not None and exists(folder / said["exclude"]):
            said["exclude"] = str(folder / said["exclude"])
        if "recipe" in record:
            chosen = Arithmetic(**record["arithmetic"]).overrides()
            said["overrides"] = {**said["overrides"], **chosen}
            said["loading"] = record["data"]["loading"]
            said["threads"] = record["hardware"]["threads"]
            said["device"] = record["hardware"]["device"]
        return Settings(**said)
    except (KeyError, TypeError) as error:
        raise _lacking(record, run, error) from error


def _lacking(record: Mapping[str, Any], run: Path, error: Exception) -> UserError:
    writer = record.get("lenext_version", "an unknown version")
    return UserError(
        f"the record of {run} lacks what this version needs ({one_line(error)}); lenext {writer} wrote it: use that, "
        f"or start anew with --weights {run}"
    )


def _seen_from(folder: Path, data: str) -> str:
    """Return what `data` was called in `folder` as it can be called anywhere."""
    if Path.cwd() == folder or "://" in data or data.startswith("hub:"):
        return data
    if data.startswith("shards:"):
        return f"shards:{folder / data.removeprefix('shards:')}"
    return str(folder / data) if exists(folder / data) else data


def require_same(before: Mapping[str, Any], now: Mapping[str, Any], ready: Prepared, run: Path) -> None:
    """Hold what a run decides now against what it decided when it began.

    Raises:
        UserError: something is another one; the message names both.
    """
    for keys, called in DECIDED.items():
        then, there = before, now
        try:
            for key in keys:
                then, there = then[key], there[key]
        except (KeyError, TypeError) as error:
            raise _lacking(before, run, error) from error
        then, there = _differing(_plain(then), _plain(there))
        if then == there:
            continue
        differs = f"{called} was {_short(then)} when the run began, and is {_short(there)} now"
        if keys[0] == "data":
            differs += _first_difference(run / IMAGES, ready)
        raise UserError(f"{differs}; bring back what was, or start anew with --weights {run}")


def _differing(then: Any, there: Any) -> tuple[Any, Any]:
    """Return what differs between two values: of objects those keys, of lists the first item."""
    if isinstance(then, dict) and isinstance(there, dict):
        same = [key for key in then if then[key] == there.get(key) or key in OF_MACHINE]
        return tuple({key: each[key] for key in each if key not in same} for each in (then, there))  # type: ignore[return-value]
    if isinstance(then, list) and isinstance(there, list):
        return next((pair for pair in zip_longest(then, there) if pair[0] != pair[1]), (None, None))
    return then, there


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."


def listed(ready: Prepared) -> Iterator[tuple[str, str, str, str]]:
    """Yield every image that a run trains on, holds out or sets aside: the part, its name, class and digest."""
    for part, reading in _parts(ready).items():
        digests = reading.digests.tolist()
        for name, label, digest in zip(reading.split.names, reading.labels.tolist(), digests, strict=True):
            yield part, name.encode("utf-8", "backslashreplace").decode(), str(label), f"{digest:016x}"


def images_list(ready: Prepared) -> str:
    """Return the list of a run's images, as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    writer.writerows(listed(ready))
    return text.getvalue()


def _first_difference(path: Path, ready: Prepared) -> str:
    """Say which image is the first that differs from the list, where there is one."""
    unreadable = contextlib.suppress(OSError, ValueError, IndexError, StopIteration)
    with unreadable, path.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        next(rows)
        for then, there in zip_longest(rows, listed(ready)):
            if then is None or there is None or then != list(there):
                then, there = (f"{each[1]} ({each[0]}, {each[3]})" if each else "none" for each in (then, there))
                return f"; the first image that differs was {then}, and is {there}"
    return ""


def _parts(ready: Prepared) -> dict[str, Reading]:
    parts = {"train": ready.data.train, "watched": ready.watched, "held out": ready.data.held_out}
    return {name: reading for name, reading in parts.items() if reading is not None}


def digest_of(ready: Prepared) -> str:
    """Return one digest of all images with their labels, in order."""
    found = hashlib.blake2b(digest_size=16)
    for reading in _parts(ready).values():
        found.update(reading.digests.tobytes())
        found.update(np.ascontiguousarray(reading.labels).tobytes())
    return found.hexdigest()
