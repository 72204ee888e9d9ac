"""Choosing what is judged: the split and its images, and where the classes of the data stand among a model's."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lenext.classifier import Classifier
from lenext.data.decode import ImageForm
from lenext.data.reading import Reading, read_split
from lenext.data.source import ALL, HELD_OUT, Source, split_name
from lenext.errors import LenextError, UserError
from lenext.progress import Progress


@dataclass(frozen=True)
class Chosen:
    """What is judged: a split, its images as each classifier wants them, in one order, and what could not be read.

    `seen` says of each classifier how many of the images it was trained on, as far as its weights say so.
    """

    split: str
    readings: list[Reading]
    skipped: list[tuple[str, str]]
    seen: list[int]


def columns_of(source: Source, classifier: Classifier) -> NDArray[np.int64]:
    """Return, for each class of the data, its index in the model: the two are matched by name.

    Raises:
        UserError: a class that the model lacks, or classes without names.
    """
    if classifier.unnamed:
        raise UserError(
            f"nobody says what the {len(classifier.classes)} classes of {classifier.name} are called, so that they "
            "match none of the data; `lenext convert --class-names` writes weights with names"
        )
    found = classifier.classes.locate(source.class_names)
    lacking = [name for name, index in zip(source.class_names, found, strict=True) if index is None]
    if lacking:
        known = classifier.class_names
        close = difflib.get_close_matches(lacking[0], known, n=1)
        hint = (
            f"nearest is {close[0]!r}"
            if close
            else f"it knows {', '.join(known[:5])}{', ...' if len(known) > 5 else ''}"
        )
        raise UserError(
            f"{len(lacking)} of the {len(source.class_names)} classes of {source.location} are unknown to the model, "
            f"which has {len(known)}: {lacking[0]!r} is none of them ({hint}); give data of the model's classes"
        )
    return np.array(found, np.int64)


def choose(
    source: Source, classifiers: Sequence[Classifier], asked: str | None, *, strict: bool, progress: Progress
) -> Chosen:
    """Return the split to judge: the one that is `asked` for, or `test`, else `val`, else what no classifier has seen.

    Raises:
        UserError: no such split, no readable image in it, or only images that were trained on.
        LenextError: an unreadable image, where `strict`.
    """
    wanted = None if asked is None else split_name(asked) or asked
    if wanted is None:
        wanted = next((split for split in ("test", "val") if split in source.splits), None)
    whole = next((split for split in ("train", ALL) if split in source.splits), None)
    name = wanted if wanted in source.splits else whole
    if name is None or (wanted not in source.splits and wanted not in (None, HELD_OUT)):
        there = [*source.splits, *([HELD_OUT] if whole else [])]
        raise UserError(
            f"{source.location} has no split {HELD_OUT if asked is None else asked!r}; it has {', '.join(there)}"
        )
    readings, skipped = _read(source, name, classifiers, progress)
    if strict and skipped:
        raise LenextError(f"{skipped[0][0]} cannot be read: {skipped[0][1]}")
    if not len(readings[0].images):
        reason = f"; {skipped[0][0]}: {skipped[0][1]}" if skipped else ""
        raise UserError(f"{source.location} has no readable image in {wanted or name}{reason}")
    digests = readings[0].digests
    seen = np.array([np.isin(digests, classifier.trained_on) for classifier in classifiers])  # (classifiers, N)
    counts = seen.sum(1).tolist()
    if wanted in source.splits:
        return Chosen(name, readings, skipped, counts)
    if wanted == HELD_OUT and any(not len(classifier.trained_on) for classifier in classifiers):
        raise UserError(
            f"the weights do not say which images they were trained on, so that nobody knows what was held out; give "
            f"--split {name} to judge all of {source.location}"
        )
    if not seen.any():
        return Chosen(wanted or name, readings, skipped, counts)
    unseen = np.flatnonzero(~seen.any(0))
    if not len(unseen):
        raise UserError(
            f"every image of {source.location} was trained on, so none shows what the model has learned; give other "
            f"images, or --split {name} to judge these"
        )
    return Chosen(HELD_OUT, [reading.take(unseen) for reading in readings], skipped, [0] * len(classifiers))


def _read(
    source: Source, name: str, classifiers: Sequence[Classifier], progress: Progress
) -> tuple[list[Reading], list[tuple[str, str]]]:
    """Return the images in the form that each classifier wants; one reading for those that want the same."""
    forms = list(dict.fromkeys(classifier.preprocessing.form for classifier in classifiers))
    split, skipped = source.splits[name], list[tuple[str, str]]()
    by_form: dict[ImageForm, Reading] = {}
    while any(len(reading.images) != len(split) for reading in by_form.values()) or not by_form:
        for form in forms:  # each reads what those before it could: an image may be too large in one form alone
            by_form[form] = read_split(split, form, what=f"reading {name}", progress=progress)
            skipped += by_form[form].skipped
            split = by_form[form].split
    return [by_form[classifier.preprocessing.form] for classifier in classifiers], skipped
