"""Confident learning on answers small enough to count by hand."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from lenext.errors import UserError
from lenext.suspects.confident import doubts, require_cleanlab

pytest.importorskip("cleanlab")


def two_classes(first: list[float], second: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """Return labels and probabilities of images whose label was given these chances, first of class 0, then of 1."""
    labels = np.repeat([0, 1], [len(first), len(second)])
    chances = np.array([*first, *second], np.float32)
    probabilities = np.where(np.arange(2) == labels[:, None], chances[:, None], 1 - chances[:, None])
    return labels, probabilities.astype(np.float32)


def test_the_count_by_hand() -> None:
    # The means are 0.7 and 0.65, and the last image of each class is above that of the other: two of eight.
    # By the medians, 0.9 and 0.8, it would be that of class 0 alone.
    found = doubts(*two_classes([0.9, 0.9, 0.9, 0.1], [0.8, 0.8, 0.8, 0.2]))
    assert found.noise == pytest.approx(100 * 2 / 8)
    # For class 0, answers of class 1 usually leave 0.2, and it has 0.1; for class 1, answers of class 0 leave 0.1.
    assert found.rows.tolist() == [3, 7]
    assert found.scores == pytest.approx([0.11 / 0.32, 0.21 / 0.32], abs=1e-6)


def test_an_image_below_both_thresholds_counts_as_those_of_its_label_do() -> None:
    # Of class 0, threshold 0.8: six at or above it, three counted as class 1, one as neither; so a third of ten.
    labels, probabilities = two_classes([0.8] * 6 + [0.05] * 3 + [0.45], [0.9] * 10)
    found = doubts(labels, probabilities)
    assert found.noise == pytest.approx(100 * 10 / 3 / 20, abs=100 * 0.5 / 20)  # of whole images
    assert found.rows.tolist() == [6, 7, 8]


def test_every_label_of_a_class_may_be_wrong() -> None:
    labels, probabilities = two_classes([0.9] * 8, [0.1] * 3)
    found = doubts(labels, probabilities)
    assert set(found.rows.tolist()) <= {8, 9, 10}
    assert len(found.rows) >= 2


def test_labels_that_were_answered_are_never_in_doubt() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 5, 400)
    logits = rng.normal(0, 1, (400, 5)) + 2 * np.eye(5)[labels]
    probabilities = (np.exp(logits) / np.exp(logits).sum(1, keepdims=True)).astype(np.float32)
    found = doubts(labels, probabilities)
    assert len(found.rows)
    assert (probabilities[found.rows].argmax(1) != labels[found.rows]).all()
    assert (np.diff(found.scores) >= 0).all()
    assert len(set(found.rows.tolist())) == len(found.rows)


def test_sure_and_right_answers_leave_no_doubt() -> None:
    found = doubts(*two_classes([0.9, 0.95, 0.99], [0.9, 0.95, 0.99]))
    assert (found.rows.tolist(), found.noise) == ([], 0.0)


def test_a_class_that_is_taken_for_one_other_is_found() -> None:
    """Flips of one pair alone, 10 % of one class, where answers give the wrong label its share."""
    rng = np.random.default_rng(3)
    truth = np.arange(3_000) % 3
    labels = truth.copy()
    wrong = rng.permutation(np.flatnonzero(truth == 0))[:100]
    labels[wrong] = 1
    chances = np.full((3_000, 3), 0.02) + rng.uniform(0, 0.02, (3_000, 3))
    chances[truth == 0, 1] += 0.1
    chances[np.arange(3_000), truth] += 0.8
    found = doubts(labels, (chances / chances.sum(1, keepdims=True)).astype(np.float32))
    assert found.noise == pytest.approx(100 * 100 / 3_000, abs=0.5)
    assert len(set(found.rows) & set(wrong)) >= 90
    assert len(found.rows) <= 115


def test_what_is_usual_for_an_answer_is_no_reason_for_trust() -> None:
    """Fours that are often called nines: 0.2 for a nine is usual for them, where 0.15 for another class is much."""
    truth = np.repeat([0, 1, 2], 500)
    chances = np.full((1_500, 3), 0.02) * np.random.default_rng(1).uniform(0.9, 1.1, (1_500, 3))
    chances[truth == 0, 1] = 0.2
    chances[np.arange(1_500), truth] += 1 - chances.sum(1)
    labels = truth.copy()
    labels[:30] = 1  # wrong
    chances[470:500] = [0.15, 0.02, 0.83]  # labelled 0 rightly, and hard to see
    found = doubts(labels, chances.astype(np.float32))
    assert len(found.rows) >= 20
    assert set(found.rows.tolist()[:30]) <= set(range(30))


def test_without_the_library_a_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    require_cleanlab()
    monkeypatch.setitem(sys.modules, "cleanlab.count", None)
    with pytest.raises(UserError, match=r"needs the cleanlab library: pip install 'lenext\[suspects\]'"):
        require_cleanlab()
