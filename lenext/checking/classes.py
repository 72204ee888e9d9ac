"""The classes: which splits have them, how many images each has, and in which order they stand."""

from __future__ import annotations

import re
from collections import defaultdict
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from lenext.checking.kinds import Problem
from lenext.checking.listing import Listing
from lenext.checking.wording import counted
from lenext.data.source import ALL

FEW, FEWER = 5, 20  # images to learn from that are few, and those that are where others have five times as many
TIMES = 5
ONE_BY_ONE = 20  # classes that are few are told one by one
UNEVEN = 10  # times the images of the smallest class that the largest has
FIRST_NUMBERED = 3  # classes that show an order


def class_counts(listing: Listing, readable: dict[str, NDArray[np.bool_]]) -> dict[str, NDArray[np.int64]]:
    """Return how many readable images each class has in each split."""
    classes = len(listing.source.class_names)
    return {
        name: np.bincount(split.labels[readable[name] & (split.labels >= 0)], minlength=classes)
        for name, split in listing.source.splits.items()
    }


def class_problems(listing: Listing, counts: dict[str, NDArray[np.int64]]) -> list[Problem]:
    """Return what is wrong with the classes of a listing, of whose readable images there are so many."""
    names = listing.source.class_names
    if not names:
        return []
    split = next((name for name in ("train", ALL) if name in counts), None)
    problems = [*_unreadable(listing, counts), *_similar(names)]
    if listing.named:
        problems += _order(names)
    if split is None:
        return problems
    listed = np.bincount(listing.source.splits[split].labels.clip(-1) + 1, minlength=len(names) + 1)[1:]
    for other, those in counts.items():
        if other == split:
            continue
        there = np.bincount(listing.source.splits[other].labels + 1, minlength=len(names) + 1)[1:]
        for i in np.flatnonzero((listed == 0) & (there > 0)).tolist():
            detail = f"{counted(int(there[i]), 'image')} in {other}, and none in {split}"
            problems.append(Problem("class-not-in-train", f"{other}/{names[i]}", detail))
        for i in np.flatnonzero((listed > 0) & (those == 0) & (there == 0)).tolist():
            detail = f"{other} has no image of {names[i]!r}, of which {split} has {int(listed[i]):,}"
            problems.append(Problem("class-missing", f"{other}/{names[i]}", detail))
    return problems + _sizes(names, counts[split], split)


def _unreadable(listing: Listing, counts: dict[str, NDArray[np.int64]]) -> list[Problem]:
    problems = []
    for name, split in listing.source.splits.items():
        listed = np.bincount(split.labels + 1, minlength=len(listing.source.class_names) + 1)[1:]
        for i in np.flatnonzero((listed > 0) & (counts[name] == 0)).tolist():
            path = _path(name, listing.source.class_names[i])
            problems.append(Problem("empty-class", path, f"0 of {counted(int(listed[i]), 'image')} can be read"))
    return problems


def _sizes(names: tuple[str, ...], counts: NDArray[np.int64], split: str) -> list[Problem]:
    problems: list[Problem] = []
    some = counts[counts > 0]
    if len(some) < 2:
        return problems
    middle = float(np.median(some))
    few = np.flatnonzero((counts > 0) & ((counts < FEW) | ((counts < FEWER) & (TIMES * counts < middle))))
    if len(few) > ONE_BY_ONE:
        detail = (
            f"{len(few):,} of {len(some):,} classes have fewer than {int(counts[few].max()) + 1} images to learn from"
        )
        problems.append(Problem("tiny-class", "" if split == ALL else split, detail))
        few = few[:0]
    for i in few.tolist():
        detail = f"{counted(int(counts[i]), 'image')} to learn from; half of the classes have {middle:,.0f} or more"
        problems.append(Problem("tiny-class", _path(split, names[i]), detail))
    if some.max() >= UNEVEN * some.min():
        least, most = names[int(np.argmax(counts == some.min()))], names[int(counts.argmax())]
        detail = f"{int(some.max()):,} images of {most!r}, and {int(some.min()):,} of {least!r}"
        problems.append(Problem("imbalance", "" if split == ALL else split, detail))
    return problems


def _similar(names: tuple[str, ...]) -> list[Problem]:
    alike: dict[str, list[str]] = defaultdict(list)
    for name in names:
        alike["".join(name.casefold().replace("_", " ").replace("-", " ").split())].append(name)
    return [
        Problem("similar-classes", second, f"nearly the name of {first!r}", first)
        for first, second in (pair for group in alike.values() for pair in pairwise(group))
    ]


def _order(names: tuple[str, ...]) -> list[Problem]:
    """Tell where the plain order of the classes is not that of the numbers in their names."""
    if len(names) < FIRST_NUMBERED or list(names) == sorted(names, key=_natural):
        return []
    i, (first, second) = next(
        (i, pair) for i, pair in enumerate(pairwise(names)) if _natural(pair[0]) > _natural(pair[1])
    )
    detail = f"class {i} is {first!r}, and class {i + 1} is {second!r}; by their numbers it is the other way round"
    return [Problem("order", first, detail, second)]


def _natural(name: str) -> list[tuple[int, int | str]]:
    """Return what sorts names by the numbers in them."""
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in re.split(r"(\d+)", name) if part]


def _path(split: str, name: str) -> str:
    return name if split == ALL else f"{split}/{name}"
