"""Figures by class: how often each is recognised, and what it is taken for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lenext.evaluation.judge import Judgement


@dataclass(frozen=True)
class ClassFigures:
    """One class: its images, the percentages of recall and precision, and what it is most taken for.

    `precision` is None where the model never answered with the class, `taken_for` where it was always right.
    """

    name: str
    images: int
    right: int
    recall: float | None
    precision: float | None
    taken_for: str | None
    taken_for_images: int


def confusion(judgement: Judgement) -> NDArray[np.int64]:
    """Return how many images of each class (row) were given each answer (column), (classes, classes)."""
    from sklearn.metrics import confusion_matrix

    classes = judgement.logits.shape[1]
    table: NDArray[np.int64] = confusion_matrix(judgement.labels, judgement.logits.argmax(1), labels=np.arange(classes))
    return table


def class_figures(table: NDArray[np.int64], class_names: list[str]) -> list[ClassFigures]:
    """Return the figures of each class from a confusion matrix, in the order of the classes."""
    rows = []
    for i, name in enumerate(class_names):
        images, answered, right = int(table[i].sum()), int(table[:, i].sum()), int(table[i, i])
        wrong = table[i].copy()
        wrong[i] = 0
        other = int(wrong.argmax())
        rows.append(
            ClassFigures(
                name,
                images,
                right,
                100 * right / images if images else None,
                100 * right / answered if answered else None,
                class_names[other] if wrong[other] else None,
                int(wrong[other]),
            )
        )
    return rows


def confused_pairs(table: NDArray[np.int64], class_names: list[str], most: int) -> list[tuple[str, str, int]]:
    """Return the most frequent mistakes: the class, what it was taken for, and how often."""
    wrong = table.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    pairs = [(int(i), int(j)) for i, j in zip(*np.unravel_index(order, wrong.shape), strict=True)]
    return [(class_names[i], class_names[j], int(wrong[i, j])) for i, j in pairs if wrong[i, j]]


def worst_mistakes(judgement: Judgement, most: int) -> list[int]:
    """Return the indices of the wrong answers that the model was surest of, the surest first."""
    answers = judgement.logits.argmax(1)
    wrong = np.flatnonzero(answers != judgement.labels)
    sureness = judgement.probabilities[wrong, answers[wrong]]
    return [int(i) for i in wrong[np.argsort(-sureness, kind="stable")][:most]]
