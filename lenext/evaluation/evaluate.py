"""`evaluate`: a trained classifier judged on a source of labelled images, classes matched by name."""

from __future__ import annotations

import difflib
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lenext.classifier import Classifier, load
from lenext.data.loader import Loader
from lenext.data.opening import open_source
from lenext.data.reading import Reading, read_split
from lenext.data.source import ALL, HELD_OUT, Source, split_name
from lenext.errors import LenextError, UserError
from lenext.evaluation.judge import Judgement, judge
from lenext.progress import SILENT, Progress

VIEWS = "center"  # each image once, fitted as in training
BATCH = 256


@dataclass(frozen=True)
class EvaluationResult:
    """What a classifier reached on a split: percentages, mean cross-entropy in nats, and counts.

    `classes` are those of the data, `candidates` how many the model chose among; `skipped` images could not be
    read and are listed in `skipped_files`, each as {path, reason}.
    """

    model: str
    split: str
    top1: float
    top5: float | None
    loss: float
    images: int
    classes: int
    candidates: int
    views: str
    seconds: float
    skipped: int
    skipped_files: list[dict[str, str]]


def evaluate(
    target: str | Path | Classifier,
    data: str | Path,
    *,
    split: str | None = None,
    among_present: bool = False,
    strict: bool = False,
    device: str = "auto",
    progress: Progress = SILENT,
) -> EvaluationResult:
    """Judge a classifier on a split of `data`.

        lenext.evaluate("runs/lenet5-digits", "digits").top1

    `split` is `train`, `val`, `test`, `held-out` or `all`. Where it is None: `test`, else `val`, else the images
    that training did not see, which is the whole where it saw none (known by the bytes of each image). The
    model chooses among all its classes, or, with `among_present`, among those of the data. Unreadable images are
    left out, or, with `strict`, an error.

    Raises:
        UserError: no such split, a class that the model lacks, or no readable image.
        LenextError: an unreadable image, where `strict`.
    """
    started = time.perf_counter()
    classifier = target if isinstance(target, Classifier) else load(target, device=device)
    source = open_source(data)
    columns = _columns(source, classifier)
    name, reading, skipped = _choose(source, classifier, split, progress)
    if strict and skipped:
        raise LenextError(f"{skipped[0][0]} cannot be read: {skipped[0][1]}")
    if not len(reading.images):
        reason = f"; {skipped[0][0]}: {skipped[0][1]}" if skipped else ""
        raise UserError(f"{source.location} has no readable image in {name}{reason}")
    loader = Loader(reading, classifier.preprocessing, batch_size=BATCH, device=classifier.device)
    answers = judge(classifier.model, loader, what=f"judging {name}", progress=progress)
    if among_present:
        judgement = Judgement(answers.logits[:, columns], answers.labels)
    else:
        judgement = Judgement(answers.logits, columns[answers.labels])
    return EvaluationResult(
        model=classifier.name,
        split=name,
        top1=judgement.top1,
        top5=judgement.top5,
        loss=judgement.loss,
        images=len(judgement.labels),
        classes=len(source.class_names),
        candidates=judgement.logits.shape[1],
        views=VIEWS,
        seconds=time.perf_counter() - started,
        skipped=len(skipped),
        skipped_files=[{"path": path, "reason": reason} for path, reason in skipped],
    )


def _columns(source: Source, classifier: Classifier) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return, for each class of the data, its index in the model: the two are matched by name."""
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


def _choose(
    source: Source, classifier: Classifier, asked: str | None, progress: Progress
) -> tuple[str, Reading, list[tuple[str, str]]]:
    """Return the split to judge: its name, its images, and what could not be read."""
    name = split_name(asked) or asked if asked else None
    if name is None:
        name = next((split for split in ("test", "val") if split in source.splits), None)
    if name is not None and name in source.splits:
        reading = _read(source, name, classifier, progress)
        return name, reading, reading.skipped
    whole = next((split for split in ("train", ALL) if split in source.splits), None)
    if name not in (None, HELD_OUT) or whole is None:
        there = [*source.splits, *([HELD_OUT] if whole else [])]
        raise UserError(f"{source.location} has no split {asked or HELD_OUT!r}; it has {', '.join(there)}")
    reading = _read(source, whole, classifier, progress)
    seen = np.isin(reading.digests, classifier.trained_on)
    if not seen.any():
        return name or whole, reading, reading.skipped
    if seen.all():
        raise UserError(
            f"every image of {source.location} was trained on, so none shows what the model has learned; give other "
            f"images, or --split {whole} to judge these"
        )
    return HELD_OUT, reading.take(np.flatnonzero(~seen)), reading.skipped


def _read(source: Source, name: str, classifier: Classifier, progress: Progress) -> Reading:
    return read_split(source.splits[name], classifier.preprocessing.form, what=f"reading {name}", progress=progress)
