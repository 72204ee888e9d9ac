"""Examination: classifiers, the images that they are judged on, and how each answers by each protocol."""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lenext.answering import EngineNetwork, answering
from lenext.classifier import Classifier
from lenext.data.loader import Loader
from lenext.data.opening import open_source
from lenext.data.reading import Reading
from lenext.errors import UserError
from lenext.evaluation.choosing import Chosen, choose, columns_of
from lenext.evaluation.judge import Judgement, judge
from lenext.evaluation.views.looking import look
from lenext.evaluation.views.protocols import Protocol, protocol
from lenext.prediction import Predictor
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
    """Classifiers before the same labelled images, which are read when the first of them is to answer.

    exam = Examination([lenext.load("runs/a")], "photos/")
    exam.sitting(0, "ten-crop").judgement.top1
    """

    def __init__(
        self,
        targets: Sequence[str | Path | Predictor],
        data: str | Path,
        *,
        split: str | None = None,
        among_present: bool = False,
        strict: bool = False,
        device: str = "auto",
        seed: int = 0,
        exclude: str | Path | None = None,
        progress: Progress = SILENT,
        names: Sequence[str] | None = None,
        started: float | None = None,
    ) -> None:
        """Load the models and open the data.

        `exclude` is a list of images to leave out. `names` are what messages call the targets, and `started` is the
        instant, on the performance counter, since which time counts as spent.

        Raises:
            UserError: a class of the data that a model lacks, or data that cannot be opened.
        """
        began = time.perf_counter() if started is None else started
        self.classifiers = [answering(each, device=device) for each in targets]
        self.names = _apart(names or [each.name if isinstance(each, Predictor) else str(each) for each in targets])
        self.source = open_source(data, exclude=exclude, progress=progress)
        self.columns = [columns_of(self.source, classifier) for classifier in self.classifiers]
        self.split, self.strict, self.among_present = split, strict, among_present
        self.seed, self.progress = seed, progress
        self.start = time.perf_counter() - began
        self.reading_seconds = 0.0

    @cached_property
    def chosen(self) -> Chosen:
        """The split that is judged, and its images.

        Raises:
            UserError: no such split, or no readable image.
            LenextError: an unreadable image, where `strict`.
        """
        began = time.perf_counter()
        chosen = choose(self.source, self.classifiers, self.split, strict=self.strict, progress=self.progress)
        self.reading_seconds = time.perf_counter() - began
        count = len(chosen.readings[0].images)
        for name, seen in zip(self.names, chosen.seen, strict=True):
            if seen:
                self.progress.note(f"note: {name} was trained on {seen:,} of the {count:,} images of {chosen.split}")
        return chosen

    @property
    def images(self) -> Reading:
        """The images that are judged, as the first classifier wants them."""
        return self.chosen.readings[0]

    def require_views(self, views: str) -> None:
        """Raise UserError where there is no protocol called `views`, or a network that it does not fit."""
        way = protocol(views)
        for name, classifier in zip(self.names, self.classifiers, strict=True):
            if way.dense and isinstance(classifier.model, EngineNetwork):
                classifier.model.refuse()
            if way.finer and not classifier.model.head.shifts:
                raise UserError(
                    f"views {views} shift the last pool, and that of {name} is global; take dense or multi-scale, or a "
                    "network whose last pool has a stride, such as alexnet or vgg11"
                )

    def sitting(self, index: int, views: str) -> Sitting:
        """Let one classifier answer, by the protocol called `views`.

        Raises:
            UserError: no such protocol, or one that the network cannot have.
            LenextError: answers that are no finite numbers.
        """
        way = protocol(views)
        reading = self.chosen.readings[index]
        began = time.perf_counter()
        answers, passes, area = self._answers(index, way, reading)
        seconds = time.perf_counter() - began
        classifier, columns = self.classifiers[index], self.columns[index]
        if self.among_present:
            judgement, names = Judgement(answers.logits[:, columns], answers.labels), self.source.class_names
        else:
            judgement, names = Judgement(answers.logits, columns[answers.labels]), classifier.classes.distinct
        return Sitting(views, judgement, names, passes, area, seconds)

    def with_classifier(self, classifier: Classifier) -> Examination:
        """Return an examination of one other classifier on the same images, which it wants as the first does."""
        exam = copy.copy(self)
        exam.classifiers, exam.columns = [classifier], [columns_of(self.source, classifier)]
        return exam

    def orders(self) -> list[NDArray[np.int64] | None]:
        """Return, for each classifier, where the classes of the first stand among its own; None where in one order.

        Raises:
            UserError: the classifiers have different classes.
        """
        first = self.classifiers[0].classes
        orders: list[NDArray[np.int64] | None] = []
        for name, classifier in zip(self.names, self.classifiers, strict=True):
            classes = classifier.classes
            if self.among_present or classes == first:
                orders.append(None)
                continue
            found = classes.order_of(first)
            lacking = [each for each, place in zip(first.distinct, found, strict=True) if place is None]
            if lacking or len(classes) != len(first):
                extra = [
                    each for each, place in zip(classes.distinct, first.order_of(classes), strict=True) if place is None
                ]
                only = (
                    f"{lacking[0]!r} is unknown to {name}" if lacking else f"{extra[0]!r} is unknown to {self.names[0]}"
                )
                raise UserError(
                    f"an ensemble needs classifiers of the same classes: {self.names[0]} has {len(first)}, {name} "
                    f"{len(classes)}, and {only}; --among-present lets them choose among those of the data"
                )
            orders.append(np.array(found, np.int64))
        return orders

    def _answers(self, index: int, way: Protocol, reading: Reading) -> tuple[Judgement, float, float]:
        classifier = self.classifiers[index]
        what = f"judging {self.chosen.split}" + (f" {index + 1}/{len(self.classifiers)}" if index else "")
        if way.name == CENTER:
            loader = Loader(reading, classifier.preprocessing, batch_size=BATCH, device=classifier.device)
            return judge(classifier.model, loader, what=what, progress=self.progress), 1.0, 1.0
        looked = look(classifier, reading, way, seed=self.seed, what=f"{what}, {way.name}", progress=self.progress)
        return looked.judgement, looked.passes, looked.area


def reordered(judgement: Judgement, order: NDArray[np.int64] | None) -> Judgement:
    """Return the judgement with its classes as they stand in `order`."""
    if order is None:
        return judgement
    return Judgement(judgement.logits[:, order], np.argsort(order)[judgement.labels])


def _apart(names: Sequence[str]) -> list[str]:
    """Return the names, numbered where two are alike."""
    if len(set(names)) == len(names):
        return list(names)
    return [f"{name} ({number})" for number, name in enumerate(names, 1)]
