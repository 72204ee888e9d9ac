"""Figures by class: how often each is recognised, and what it is taken for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array, csr_array

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


def confusion(judgement: Judgement) -> csr_array:
    """Return how many images of each class (row) were given each answer (column), (classes, classes).

    Only the cells with images are kept: of tens of thousands of classes nearly all are without.
    """
    classes = judgement.logits.shape[1]
    ones = np.ones(len(judgement.labels), np.int64)
    return coo_array((ones, (judgement.labels, judgement.predicted)), (classes, classes)).tocsr()


def class_figures(table: csr_array, class_names: Sequence[str]) -> list[ClassFigures]:
    """Return the figures of the classes that have images or were answered, in the order of the classes."""
    images, answered, right = table.sum(1).tolist(), table.sum(0).tolist(), table.diagonal().tolist()
    taken_for = {pair[0]: pair for pair in reversed(_mistakes(table))}
    rows = []
    for i, name in enumerate(class_names):
        if not images[i] and not answered[i]:
            continue
        _, other, times = taken_for.get(i, (i, None, 0))
        rows.append(
            ClassFigures(
                name,
                images[i],
                right[i],
                100 * right[i] / images[i] if images[i] else None,
                percent_wilson(right[i], images[i]) if images[i] else None,
                100 * right[i] / answered[i] if answered[i] else None,
                percent_wilson(right[i], answered[i]) if answered[i] else None,
                class_names[other] if other is not None else None,
                times,
            )
        )
    return rows


def confusion_cells(table: csr_array, class_names: Sequence[str]) -> list[Confusion]:
    """Return the cells of a confusion matrix that hold images, row by row."""
    return [Confusion(class_names[i], class_names[j], count) for i, j, count in _cells(table)]


def confused_pairs(table: csr_array, class_names: Sequence[str], most: int) -> list[Confusion]:
    """Return the most frequent mistakes, the most frequent first."""
    return [Confusion(class_names[i], class_names[j], count) for i, j, count in _mistakes(table)[:most]]


def _cells(table: csr_array) -> list[tuple[int, int, int]]:
    cells = table.tocoo()
    return sorted(zip(cells.row.tolist(), cells.col.tolist(), cells.data.tolist(), strict=True))


def _mistakes(table: csr_array) -> list[tuple[int, int, int]]:
    """Return class, answer and images of the cells beside the diagonal, the most frequent first."""
    return sorted((cell for cell in _cells(table) if cell[0] != cell[1]), key=lambda cell: -cell[2])


def worst_mistakes(judgement: Judgement, most: int) -> list[int]:
    """Return the indices of the wrong answers that the model was surest of, the surest first."""
    wrong = np.flatnonzero(~judgement.right)
    return [int(i) for i in wrong[np.argsort(-judgement.confidences[wrong], kind="stable")][:most]]
