"""Figures by class: how often each is recognised, and what it is taken for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lenext.evaluation.intervals import Interval, percent_wilson
from lenext.evaluation.judge import Judgement


@dataclass(frozen=True)
class ClassFigures:
    """One class: its images, the percentages of recall and precision, and what it is most taken for.

    Recall and its interval are None where the class has no images, precision and its interval where the model never
    answered with the class, `taken_for` where it was always right. The intervals are Wilson's of 95 %.
    """

    label: str
    images: int
    right: int
    recall: float | None
    recall_interval: Interval | None
    precision: float | None
    precision_interval: Interval | None
    taken_for: str | None
    taken_for_images: int


@dataclass(frozen=True)
class Confusion:
    """How many images of a class were given an answer."""

    label: str
    predicted: str
    images: int


def confusion(judgement: Judgement) -> NDArray[np.int64]:
    """Return how many images of each class (row) were given each answer (column), (classes, classes)."""
    classes = judgement.logits.shape[1]
    cells = judgement.labels * classes + judgement.predicted
    table: NDArray[np.int64] = np.bincount(cells, minlength=classes**2).reshape(classes, classes)
    return table


def class_figures(table: NDArray[np.int64], class_names: Sequence[str]) -> list[ClassFigures]:
    """Return the figures of each class from a confusion matrix, in the order of the classes."""
    wrong = table.copy()
    np.fill_diagonal(wrong, 0)
    images, answered, right = table.sum(1).tolist(), table.sum(0).tolist(), table.diagonal().tolist()
    others, times = wrong.argmax(1).tolist(), wrong.max(1).tolist()
    rows = []
    for i, name in enumerate(class_names):
        rows.append(
            ClassFigures(
                name,
                images[i],
                right[i],
                100 * right[i] / images[i] if images[i] else None,
                percent_wilson(right[i], images[i]) if images[i] else None,
                100 * right[i] / answered[i] if answered[i] else None,
                percent_wilson(right[i], answered[i]) if answered[i] else None,
                class_names[others[i]] if times[i] else None,
                times[i],
            )
        )
    return rows


def confusion_cells(table: NDArray[np.int64], class_names: Sequence[str]) -> list[Confusion]:
    """Return the cells of a confusion matrix that hold images, row by row."""
    return [Confusion(class_names[i], class_names[j], int(table[i, j])) for i, j in np.argwhere(table).tolist()]


def confused_pairs(table: NDArray[np.int64], class_names: Sequence[str], most: int) -> list[Confusion]:
    """Return the most frequent mistakes, the most frequent first."""
    wrong = table.copy()
    np.fill_diagonal(wrong, 0)
    cells = confusion_cells(wrong, class_names)
    return sorted(cells, key=lambda cell: -cell.images)[:most]


def worst_mistakes(judgement: Judgement, most: int) -> list[int]:
    """Return the indices of the wrong answers that the model was surest of, the surest first."""
    wrong = np.flatnonzero(~judgement.right)
    return [int(i) for i in wrong[np.argsort(-judgement.confidences[wrong], kind="stable")][:most]]
