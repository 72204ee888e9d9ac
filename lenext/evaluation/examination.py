"""Examination: classifiers, the images that they are judged on, and how each answers by each protocol."""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lenext.classifier import Classifier, load
from lenext.data.loader import Loader
from lenext.data.opening import open_source
from lenext.data.reading import Reading
from lenext.errors import UserError
from lenext.evaluation.choosing import Chosen, choose, columns_of
from lenext.evaluation.judge import Judgement, judge
from lenext.evaluation.views.looking import look
from lenext.evaluation.views.protocols import Protocol, protocol
from lenext.progress import SILENT, Progress

CENTER = "center"  # each image once, fitted as in training
BATCH = 256


@dataclass(frozen=True)
class Seconds:
    """Where the time of an evaluation went: loading models and opening data, decoding, from first batch to last."""

    start: float
    reading: float
    judging: float


@dataclass(frozen=True)
class Sitting:
    """How one classifier answered by one protocol, among `class_names`, and what it cost.

    `passes` of the network an image, whose pixels are `area` times those of its own size, and `seconds` for all images.
    """

    views: str
    judgement: Judgement
    class_names: tuple[str, ...]
    passes: float
    area: float
    seconds: float


class Examination:
    """Classifiers before the same labelled images.

    exam = Examination([lenext.load("runs/a")], "photos/")
    exam.sitting(0, "ten-crop").judgement.top1
    """

    def __init__(
        self,
        targets: Sequence[str | Path | Classifier],
        data: str | Path,
        *,
        split: str | None = None,
        among_present: bool = False,
        strict: bool = False,
        device: str = "auto",
        seed: int = 0,
        progress: Progress = SILENT,
        names: Sequence[str] | None = None,
        started: float | None = None,
    ) -> None:
        """Load the models, choose the split, and read its images.

        `names` are what messages call the targets, and `started` is the instant, on the performance counter, since
        which time counts as spent.

        Raises:
            UserError: no such split, a class that a model lacks, or no readable image.
            LenextError: an unreadable image, where `strict`.
        """
        began = time.perf_counter() if started is None else started
        self.classifiers = [each if isinstance(each, Classifier) else load(each, device=device) for each in targets]
        self.names = _apart(names or [each.name if isinstance(each, Classifier) else str(each) for each in targets])
        self.source = open_source(data)
        self.columns = [columns_of(self.source, classifier) for classifier in self.classifiers]
        self.among_present, self.seed, self.progress = among_present, seed, progress
        opened = time.perf_counter()
        self.chosen: Chosen = choose(self.source, self.classifiers, split, strict=strict, progress=progress)
        self.start, self.reading_seconds = opened - began, time.perf_counter() - opened

    @property
    def images(self) -> Reading:
        """The images that are judged, as the first classifier wants them."""
        return self.chosen.readings[0]

    def sitting(self, index: int, views: str) -> Sitting:
        """Let one classifier answer, by the protocol called `views`.

        Raises:
            UserError: no such protocol, or one that the network cannot have.
            LenextError: answers that are no finite numbers.
        """
        way = protocol(views)
        began = time.perf_counter()
        answers, passes, area = self._answers(index, way)
        seconds = time.perf_counter() - began
        classifier, columns = self.classifiers[index], self.columns[index]
        if self.among_present:
            judgement = Judgement(answers.logits[:, columns], answers.labels)
            return Sitting(views, judgement, self.source.class_names, passes, area, seconds)
        return Sitting(
            views, Judgement(answers.logits, columns[answers.labels]), classifier.class_names, passes, area, seconds
        )

    def with_classifier(self, classifier: Classifier) -> Examination:
        """Return an examination of one other classifier on the same images, which it wants as the first does."""
        exam = copy.copy(self)
        exam.classifiers, exam.columns = [classifier], [columns_of(self.source, classifier)]
        exam.chosen = replace(self.chosen, readings=self.chosen.readings[:1])
        return exam

    def _answers(self, index: int, way: Protocol) -> tuple[Judgement, float, float]:
        classifier, reading = self.classifiers[index], self.chosen.readings[index]
        what = f"judging {self.chosen.split}" + (f" {index + 1}/{len(self.classifiers)}" if index else "")
        if way.name == CENTER:
            loader = Loader(reading, classifier.preprocessing, batch_size=BATCH, device=classifier.device)
            return judge(classifier.model, loader, what=what, progress=self.progress), 1.0, 1.0
        looked = look(classifier, reading, way, seed=self.seed, what=f"{what}, {way.name}", progress=self.progress)
        return looked.judgement, looked.passes, looked.area


def _apart(names: Sequence[str]) -> list[str]:
    """Return the names, numbered where two are alike."""
    if len(set(names)) == len(names):
        return list(names)
    return [f"{name} ({number})" for number, name in enumerate(names, 1)]


def require_several(targets: Sequence[object], what: str) -> None:
    """Raise UserError where there are fewer than two."""
    if len(targets) < 2:
        raise UserError(f"{what} needs two classifiers or more; give run folders or model files, and then the data")


def aligned(sittings: Sequence[Sitting], classifiers: Sequence[Classifier], names: Sequence[str]) -> list[Judgement]:
    """Return the judgements with their classes in the order of the first.

    Raises:
        UserError: the members have different classes.
    """
    first = sittings[0].class_names
    judgements = []
    for sitting, classifier, name in zip(sittings, classifiers, names, strict=True):
        if sitting.class_names == first:
            judgements.append(sitting.judgement)
            continue
        found = classifier.classes.locate(first)
        lacking = [each for each, place in zip(first, found, strict=True) if place is None]
        if lacking or len(sitting.class_names) != len(first):
            extra = [each for each in sitting.class_names if each not in first]
            only = f"{lacking[0]!r} is unknown to {name}" if lacking else f"{extra[0]!r} is unknown to {names[0]}"
            raise UserError(
                f"an ensemble needs classifiers of the same classes: {names[0]} has {len(first)}, {name} "
                f"{len(sitting.class_names)}, and {only}; --among-present lets them choose among those of the data"
            )
        order = np.array(found, np.int64)
        place_of = np.argsort(order)
        judgement = sitting.judgement
        judgements.append(Judgement(judgement.logits[:, order], place_of[judgement.labels]))
    return judgements
