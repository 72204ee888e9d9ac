"""Images that are there twice: the same bytes, or nearly the same picture; across splits and classes above all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lenext.checking.kinds import Problem
from lenext.checking.listing import NO_CLASS
from lenext.checking.looks import BLANK
from lenext.checking.similar import TooAlikeError, near_copies
from lenext.progress import SILENT, Progress

SMALLEST, SMALLER = 24, 16  # pixels of the shorter side that one of two images, and the other, have at least
KEPT = ("test", "val", "train", "all")  # of copies in several splits, that in the first of these is kept


@dataclass(frozen=True)
class Places:
    """Where each of N images is: its name, its split, and its class, `NO_CLASS` for none."""

    names: Sequence[str]
    splits: Sequence[str]
    split: NDArray[np.int64]
    label: NDArray[np.int64]
    class_names: Sequence[str]

    def relation(self, i: int, j: int) -> str:
        """Return how the places of two images differ: "-across-classes" before "-across-splits", else ""."""
        if self.label[i] != self.label[j] and NO_CLASS not in (self.label[i], self.label[j]):
            return "-across-classes"
        return "-across-splits" if self.split[i] != self.split[j] else ""

    def rank(self, i: int) -> tuple[int, int]:
        """Return by what of several copies the first is kept: its split, then its place in the list."""
        return KEPT.index(self.splits[self.split[i]]), i

    def told(self, i: int, relation: str = "") -> str:
        """Return an image's name, and its class where that is what matters."""
        of = f" of {self.class_names[self.label[i]]!r}" if relation == "-across-classes" else ""
        return f"{self.names[i]}{of}"


def exact_copies(looks: NDArray[Any], places: Places) -> list[Problem]:
    """Return what is wrong with images of the same bytes: one finding for each but the one that is kept."""
    problems = []
    for group in _groups(looks):
        kept, *others = sorted(group, key=places.rank)
        relations = {i: places.relation(i, kept) for i in others}
        if "-across-classes" in relations.values():
            # Nobody knows which label is right, so that none is kept, and each is told with one of another class.
            for i in group:
                other = next(j for j in sorted(group, key=places.rank) if places.relation(i, j) == "-across-classes")
                detail = f"the same file as {places.told(other, '-across-classes')}"
                problems.append(Problem("duplicate-across-classes", places.names[i], detail, places.names[other]))
            continue
        for i, relation in relations.items():
            detail = f"the same file as {places.told(kept)}"
            problems.append(Problem(f"duplicate{relation}", places.names[i], detail, places.names[kept]))
    return problems


def _groups(looks: NDArray[Any]) -> Iterator[list[int]]:
    """Yield the images that have the same bytes; those that are blank or unreadable are told as such."""
    sound = np.flatnonzero((looks["kind"] == 0) & (looks["flags"] & BLANK == 0))
    order = sound[np.argsort(looks["digest"][sound], kind="stable")]
    digests = looks["digest"][order]
    for group in np.split(order, np.flatnonzero(np.diff(digests)) + 1):
        if len(group) > 1:
            yield sorted(group.tolist())


def similar_copies(looks: NDArray[Any], places: Places, *, workers: int, progress: Progress = SILENT) -> list[Problem]:
    """Return what is wrong with images that are nearly the same: for each the nearest across classes, splits, neither.

    Images of fewer than 16 pixels are compared by their bytes alone.
    """
    sides = np.minimum(looks["height"], looks["width"])
    sound = np.flatnonzero((looks["kind"] == 0) & (looks["flags"] & BLANK == 0) & (sides >= SMALLER))
    _, first, of_digest = np.unique(looks["digest"][sound], return_index=True, return_inverse=True)
    members: dict[int, list[int]] = defaultdict(list)
    for image, group in zip(sound.tolist(), of_digest.tolist(), strict=True):
        members[group].append(image)
    try:
        pairs = near_copies(looks["grey"][sound[first]], workers=workers, progress=progress)
    except TooAlikeError:
        return [Problem("too-alike", "", "these images differ so little that only copies of the same bytes are told")]
    best: dict[tuple[int, str], tuple[float, int, str]] = {}
    for pair in pairs:
        if max(sides[sound[first[pair.a]]], sides[sound[first[pair.b]]]) < SMALLEST:
            continue
        for group, others in ((pair.a, pair.b), (pair.b, pair.a)):
            for i in members[group]:
                for j, relation in _nearest(i, members[others], places):
                    if pair.likeness > best.get((i, relation), (0.0,))[0]:
                        best[i, relation] = (pair.likeness, j, pair.how)
    told: dict[tuple[int, int], Problem] = {}
    for (i, relation), (likeness, j, how) in sorted(best.items()):
        worse, better = sorted((i, j), key=places.rank, reverse=True)
        # Where labels differ nobody knows which image is right, so that both are told.
        for one, other in ((worse, better), (better, worse))[: 2 if relation == "-across-classes" else 1]:
            detail = f"{100 * likeness:.0f} % like {places.told(other, relation)}{how and f', {how}'}"
            told[one, other] = Problem(f"near-duplicate{relation}", places.names[one], detail, places.names[other])
    return list(told.values())


def _nearest(i: int, others: list[int], places: Places) -> Iterator[tuple[int, str]]:
    """Yield, of images of the same bytes, one for each way in which its place differs from that of `i`."""
    seen = set()
    for j in others:
        relation = places.relation(i, j)
        if relation not in seen:
            seen.add(relation)
            yield j, relation
