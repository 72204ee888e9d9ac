from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lenext.evaluation.figures import Figures, figures_of
from lenext.evaluation.judge import Judgement
from lenext.files import to_json

NAMES = ["cat", "dog", "owl", "yak", "elk", "emu", "ape"]


def judgement(seed: int = 0, images: int = 60, classes: int = 7) -> Judgement:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, images)
    logits = rng.normal(size=(images, classes)) + 2 * np.eye(classes)[labels]
    return Judgement(logits.astype(np.float32), labels)


def test_by_hand() -> None:
    """Two cats of which one is taken for a dog, one dog that is right; no owl, and none answered."""
    logits = np.log(np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.1, 0.6, 0.3]], np.float32))
    found = figures_of(Judgement(logits, np.array([0, 0, 1])), NAMES[:3])
    assert (found.top1, found.top5, found.images) == (pytest.approx(200 / 3), None, 3)
    assert found.loss == pytest.approx(-np.log([0.7, 0.1, 0.6]).mean())
    assert found.intervals.top1 == pytest.approx((20.766, 93.851), abs=0.001)  # Wilson, 2 of 3
    assert found.intervals.top5 is None
    cat, dog = found.per_class
    assert (cat.label, cat.images, cat.right, cat.recall, cat.precision) == ("cat", 2, 1, 50, 100)
    assert (cat.taken_for, cat.taken_for_images) == ("dog", 1)
    assert cat.recall_interval == pytest.approx((9.453, 90.547), abs=0.001)
    assert (dog.label, dog.images, dog.right, dog.recall, dog.precision, dog.taken_for) == ("dog", 1, 1, 100, 50, None)
    cells = [(cell.label, cell.predicted, cell.images) for cell in found.confusion]
    assert cells == [("cat", "cat", 1), ("cat", "dog", 1), ("dog", "dog", 1)]
    assert [(cell.label, cell.predicted, cell.images) for cell in found.confused_pairs] == [("cat", "dog", 1)]
    assert found.calibration.error == pytest.approx(100 * (0.3 + 0.8 + 0.4) / 3, abs=1e-4)
    assert found.calibration.temperature is None


def test_a_class_that_was_only_answered_is_listed() -> None:
    logits = np.eye(7, dtype=np.float32)[[0, 6]]
    found = figures_of(Judgement(logits, np.array([0, 0])), NAMES)
    ape = found.per_class[-1]
    assert [row.label for row in found.per_class] == ["cat", "ape"]
    assert (ape.images, ape.recall, ape.recall_interval, ape.precision) == (0, None, None, 0)


@given(seed=st.integers(0, 10**6), images=st.integers(1, 60), classes=st.integers(1, 9))
def test_the_parts_agree_with_each_other(seed: int, images: int, classes: int) -> None:
    judged = judgement(seed, images, classes)
    names = [f"<b>{i}</b>" for i in range(classes)]
    found = figures_of(judged, names)
    assert (found.top1, found.top5, found.loss) == (judged.top1, judged.top5, judged.loss)
    right = sum(cell.images for cell in found.confusion if cell.label == cell.predicted)
    assert found.top1 == pytest.approx(100 * right / images)
    assert sum(cell.images for cell in found.confusion) == sum(row.images for row in found.per_class) == images
    assert sum(row.right for row in found.per_class) == right
    assert sum(row.images for row in found.calibration.bins) == images
    assert_inside(found)
    json.loads(to_json(asdict(found)))


def assert_inside(found: Figures) -> None:
    for interval, value in (
        (found.intervals.top1, found.top1),
        (found.intervals.top5, found.top5),
        (found.intervals.loss, found.loss),
        (found.intervals.calibration_error, found.calibration.error),
    ):
        if interval is not None and value is not None:
            assert interval[0] - 1e-9 <= value <= interval[1] + 1e-9


def test_one_image() -> None:
    found = figures_of(judgement(images=1), NAMES)
    assert found.images == 1
    assert (found.intervals.loss, found.intervals.calibration_error) == (None, None)
    assert found.intervals.top1[1] - found.intervals.top1[0] > 75
    assert found.calibration.temperature is None


def test_all_right() -> None:
    labels = np.arange(40) % 7
    found = figures_of(Judgement(9 * np.eye(7, dtype=np.float32)[labels], labels), NAMES)
    assert (found.top1, found.top5, found.confused_pairs) == (100, 100, [])
    assert found.intervals.top1 == pytest.approx((91.24, 100), abs=0.01)
    assert found.intervals.loss == pytest.approx((found.loss, found.loss))
    assert all(row.recall == row.precision == 100 and row.taken_for is None for row in found.per_class)


def test_nothing_but_ties() -> None:
    labels = np.arange(70) % 7
    found = figures_of(Judgement(np.zeros((70, 7), np.float32), labels), NAMES)
    assert (found.top1, found.top5) == (pytest.approx(100 / 7), pytest.approx(500 / 7))
    assert found.loss == pytest.approx(np.log(7))
    assert {cell.predicted for cell in found.confusion} == {"cat"}
    assert found.calibration.error == pytest.approx(0, abs=1e-4)


def test_the_most_frequent_twenty_pairs() -> None:
    labels = np.repeat(np.arange(7), [1, 2, 3, 4, 5, 6, 7])
    answers = (labels + np.arange(28) % 6 + 1) % 7
    found = figures_of(Judgement(np.eye(7, dtype=np.float32)[answers], labels), NAMES)
    assert len(found.confused_pairs) == 20
    counts = [pair.images for pair in found.confused_pairs]
    assert counts == sorted(counts, reverse=True)
    assert (found.top1, len(found.confusion)) == (0, len(set(zip(labels.tolist(), answers.tolist(), strict=True))))
