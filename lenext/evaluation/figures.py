"""All that follows from the answers to a set of images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lenext.evaluation.calibration import Calibration, calibrate, calibration_interval
from lenext.evaluation.intervals import Interval, mean_interval, percent_wilson
from lenext.evaluation.judge import Judgement
from lenext.evaluation.metrics import (
    ClassFigures,
    Confusion,
    class_figures,
    confused_pairs,
    confusion,
    confusion_cells,
)

PAIRS = 20


@dataclass(frozen=True)
class Intervals:
    """Between which values each figure lies with 95 % confidence, as (low, high) in the unit of the figure.

    Those of `top1` and `top5` are Wilson's, the others come from a bootstrap and are None for a single image. `top5` is
    None below six classes.
    """

    top1: Interval
    top5: Interval | None
    loss: Interval | None
    calibration_error: Interval | None


@dataclass(frozen=True)
class Figures:
    """The figures of N answers: percentages, mean cross-entropy in nats, and counts.

    `per_class` holds the classes that have images or were answered, in the order of the classes; `confusion` the cells
    of the confusion matrix that hold images; `confused_pairs` the most frequent mistakes, the most frequent first.
    `dataclasses.asdict` gives what JSON can hold.
    """

    top1: float
    top5: float | None
    loss: float
    images: int
    intervals: Intervals
    per_class: list[ClassFigures]
    confusion: list[Confusion]
    confused_pairs: list[Confusion]
    calibration: Calibration


def figures_of(judgement: Judgement, class_names: Sequence[str]) -> Figures:
    """Compute all figures of a judgement of at least one image; `class_names` are those of its columns."""
    table = confusion(judgement)
    images, top5 = len(judgement.labels), judgement.top5
    return Figures(
        judgement.top1,
        top5,
        judgement.loss,
        images,
        Intervals(
            percent_wilson(int(judgement.right.sum()), images),
            percent_wilson(int((judgement.ranks < 5).sum()), images) if top5 is not None else None,
            mean_interval(judgement.losses),
            calibration_interval(judgement.confidences, judgement.right),
        ),
        class_figures(table, class_names),
        confusion_cells(table, class_names),
        confused_pairs(table, class_names, PAIRS),
        calibrate(judgement),
    )
