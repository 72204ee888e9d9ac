from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix

from lenext.evaluation.judge import Judgement
from lenext.evaluation.metrics import (
    Confusion,
    class_figures,
    confused_pairs,
    confusion,
    confusion_cells,
    worst_mistakes,
)

NAMES = ["cat", "dog", "owl"]
# Labels and answers: a cat right, two cats as dogs, a dog right, a dog as a cat; no owl, and none answered.
JUDGED = Judgement(
    np.array([[4, 0, 0], [0, 1, 0], [0, 5, 0], [0, 2, 0], [3, 0, 0]], np.float32), np.array([0, 0, 0, 1, 1])
)


def test_the_confusion_matrix_counts_class_by_answer() -> None:
    assert confusion(JUDGED).toarray().tolist() == [[1, 2, 0], [1, 1, 0], [0, 0, 0]]


def test_class_figures_by_hand() -> None:
    cat, dog = class_figures(confusion(JUDGED), NAMES)  # there is no owl
    assert (cat.images, cat.right, cat.taken_for, cat.taken_for_images) == (3, 1, "dog", 2)
    assert cat.recall == pytest.approx(100 / 3)
    assert cat.precision == pytest.approx(50)
    assert (dog.recall, dog.taken_for) == (50, "cat")


def test_recalls_come_with_their_intervals() -> None:
    cat, _ = class_figures(confusion(JUDGED), NAMES)
    assert cat.recall_interval == pytest.approx((6.149, 79.234), abs=0.001)  # Wilson, 1 of 3


def test_the_cells_of_the_matrix_are_those_with_images() -> None:
    cells = [(cell.label, cell.predicted, cell.images) for cell in confusion_cells(confusion(JUDGED), NAMES)]
    assert cells == [("cat", "cat", 1), ("cat", "dog", 2), ("dog", "cat", 1), ("dog", "dog", 1)]


@given(seed=st.integers(0, 10**6), images=st.integers(1, 60), classes=st.integers(2, 12))
def test_the_matrix_agrees_with_scikit_learn(seed: int, images: int, classes: int) -> None:
    rng = np.random.default_rng(seed)
    judged = Judgement(rng.normal(size=(images, classes)).astype(np.float32), rng.integers(0, classes, images))
    theirs = confusion_matrix(judged.labels, judged.logits.argmax(1), labels=np.arange(classes))
    assert confusion(judged).toarray().tolist() == theirs.tolist()


def test_confused_pairs_come_with_the_most_frequent_first() -> None:
    assert confused_pairs(confusion(JUDGED), NAMES, 5) == [Confusion("cat", "dog", 2), Confusion("dog", "cat", 1)]
    assert confused_pairs(confusion(JUDGED), NAMES, 1) == [Confusion("cat", "dog", 2)]


def test_worst_mistakes_are_the_surest_wrong_answers() -> None:
    assert worst_mistakes(JUDGED, 10) == [2, 4, 1]
    assert worst_mistakes(JUDGED, 1) == [2]
