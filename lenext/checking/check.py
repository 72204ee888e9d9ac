"""`check`: one pass over labelled images before anyone trains on them; it tells what is wrong and changes nothing."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lenext.checking.classes import class_counts, class_problems
from lenext.checking.copies import Places, exact_copies, similar_copies
from lenext.checking.findings import image_problems
from lenext.checking.kinds import KINDS, PROBLEM, Problem
from lenext.checking.listing import Listing
from lenext.checking.looks import KNOWN, LOOK, VERSION, look_at_all
from lenext.checking.remembering import Memory
from lenext.checking.shapes import Shapes, shapes_of
from lenext.checking.sources import list_data
from lenext.data.exclusions import Exclusion
from lenext.data.opening import open_source
from lenext.data.source import Split
from lenext.errors import UserError
from lenext.progress import SILENT, Progress


@dataclass(frozen=True)
class Check:
    """What was found in labelled images.

    `counts` has, split by split, the readable images of each class (classes,); `formats` how many images there are of
    each; `looks` has what was seen of each image, split by split; `refusal` says why training would not open the data.
    """

    location: str
    class_names: tuple[str, ...]
    counts: Mapping[str, NDArray[np.int64]]
    problems: list[Problem]
    shapes: Shapes | None
    formats: Mapping[str, int]
    looks: NDArray[Any]
    splits: Mapping[str, Split]
    refusal: str | None
    seconds: float

    @property
    def images(self) -> int:
        """How many images there are, the unreadable included."""
        return len(self.looks)

    @property
    def readable(self) -> int:
        """How many of them can be read."""
        return int((self.looks["kind"] == 0).sum())

    @property
    def serious(self) -> list[Problem]:
        """The findings from which training or its figures would suffer."""
        return [each for each in self.problems if each.severity == PROBLEM]

    @property
    def kinds(self) -> dict[str, list[Problem]]:
        """The findings by kind, in the order of `KINDS`."""
        found: dict[str, list[Problem]] = {kind: [] for kind in KINDS}
        for each in self.problems:
            found[each.kind].append(each)
        return {kind: those for kind, those in found.items() if those}

    def exclusions(self) -> list[Exclusion]:
        """Return the images that training and evaluation had better leave out, each once."""
        names = {name for split in self.splits.values() for name in split.names}
        listed: dict[str, Exclusion] = {}
        for each in self.problems:
            if KINDS[each.kind].excluded and each.path in names:
                listed.setdefault(each.path, Exclusion(each.path, each.kind, each.detail))
        return list(listed.values())

    def to_json(self) -> dict[str, Any]:
        """Return the fields of the command's JSON."""
        return {
            "data": self.location,
            "images": self.images,
            "readable": self.readable,
            "classes": len(self.class_names),
            "class_names": list(self.class_names),
            "splits": {
                name: {"images": len(split), "images_of_class": self.counts[name].tolist()}
                for name, split in self.splits.items()
            },
            "formats": dict(self.formats),
            "shapes": self.shapes.to_json() if self.shapes else None,
            "problems": [each.to_json() for each in self.problems],
            "kinds": {kind: len(those) for kind, those in self.kinds.items()},
            "excluded": len(self.exclusions()),
            "refusal": self.refusal,
            "seconds": self.seconds,
        }


def check(data: str | Path, *, near: bool = True, workers: int | None = None, progress: Progress = SILENT) -> Check:
    """Look at all images of any source that can be trained on, and at folders and tables that training would refuse.

        found = lenext.check("photos/")
        [problem.path for problem in found.serious]

    `near` is whether images are also compared that are not the same bytes; `workers` is how many threads look at
    images, as many as there are cores where it is None. What was seen of files is kept in the user's cache, so that a
    second check of the same ones is quick.

    Raises:
        UserError: nothing there, or what is there is no data.
    """
    began = time.perf_counter()
    listing = list_data(data)
    workers = workers or _cores()
    if listing.root is None:
        looks, reasons = look_at_all(listing, workers=workers, progress=progress)
    else:
        with Memory(listing.root, VERSION, LOOK.itemsize) as memory:
            looks, reasons = look_at_all(listing, workers=workers, memory=memory, progress=progress)
    places = _places(listing)
    readable = _by_split(listing, looks["kind"] == 0)
    counts = class_counts(listing, readable)
    problems = [
        *listing.problems,
        *image_problems(looks, reasons, places, files=listing.root is not None),
        *exact_copies(looks, places),
        *(similar_copies(looks, places, workers=workers, progress=progress) if near else ()),
        *class_problems(listing, counts),
    ]
    order = list(KINDS)
    sound = looks[looks["kind"] == 0]
    return Check(
        location=listing.source.location,
        class_names=listing.source.class_names,
        counts=counts,
        problems=sorted(problems, key=lambda each: order.index(each.kind)),
        shapes=shapes_of(sound["height"], sound["width"]),
        formats=dict(Counter(KNOWN[number] or "pixels" for number in sound["format"].tolist()).most_common()),
        looks=looks,
        splits=listing.source.splits,
        refusal=_refusal(data, listing),
        seconds=time.perf_counter() - began,
    )


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _refusal(data: str | Path, listing: Listing) -> str | None:
    """Return what opening the data for training would be refused with, or None."""
    if listing.root is None:
        return None
    try:
        open_source(data)
    except UserError as error:
        return str(error)
    return None


def _places(listing: Listing) -> Places:
    splits = listing.source.splits
    return Places(
        list(chain.from_iterable(split.names for split in splits.values())),
        tuple(splits),
        np.repeat(np.arange(len(splits)), [len(split) for split in splits.values()]),
        np.concatenate([np.empty(0, np.int64), *(split.labels for split in splits.values())]),
        listing.source.class_names,
    )


def _by_split(listing: Listing, values: NDArray[np.bool_]) -> dict[str, NDArray[np.bool_]]:
    splits = listing.source.splits
    ends = np.cumsum([len(split) for split in splits.values()])
    return dict(zip(splits, np.split(values, ends[:-1]) if len(ends) else [], strict=True))
