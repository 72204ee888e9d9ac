from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, log_loss, top_k_accuracy_score

from lenext.evaluation.judge import Judgement


def judgement(seed: int, images: int, classes: int) -> Judgement:
    rng = np.random.default_rng(seed)
    return Judgement(rng.normal(size=(images, classes)).astype(np.float32), rng.integers(0, classes, images))


@given(seed=st.integers(0, 10**6), images=st.integers(1, 60), classes=st.integers(6, 12))
def test_figures_agree_with_scikit_learn(seed: int, images: int, classes: int) -> None:
    judged = judgement(seed, images, classes)
    names = np.arange(classes)
    assert judged.top1 == pytest.approx(100 * accuracy_score(judged.labels, judged.logits.argmax(1)))
    assert judged.top5 == pytest.approx(100 * top_k_accuracy_score(judged.labels, judged.logits, k=5, labels=names))
    shares = judged.probabilities.astype(np.float64)
    shares /= shares.sum(1, keepdims=True)
    assert judged.loss == pytest.approx(log_loss(judged.labels, shares, labels=names), rel=1e-5)


def test_figures_by_hand() -> None:
    judged = Judgement(np.array([[0, 0], [np.log(3), 0]], np.float32), np.array([1, 0]))
    assert judged.loss == pytest.approx((np.log(2) + np.log(4 / 3)) / 2)
    assert judged.probabilities[1].tolist() == pytest.approx([0.75, 0.25])
    assert judged.figures()["images"] == 2


@pytest.mark.parametrize(("classes", "there"), [(5, False), (6, True)])
def test_top5_needs_six_classes(classes: int, there: bool) -> None:
    assert (judgement(0, 10, classes).top5 is not None) == there


@given(seed=st.integers(0, 10**6), images=st.integers(1, 30), classes=st.integers(1, 12), values=st.integers(1, 5))
def test_ties_are_broken_alike_everywhere(seed: int, images: int, classes: int, values: int) -> None:
    rng = np.random.default_rng(seed)
    judged = Judgement(rng.integers(0, values, (images, classes)).astype(np.float32), rng.integers(0, classes, images))
    order = np.array([sorted(range(classes), key=lambda c: (-row[c], c)) for row in judged.logits])
    assert judged.predicted.tolist() == order[:, 0].tolist()
    assert judged.ranks.tolist() == [list(row).index(label) for row, label in zip(order, judged.labels, strict=True)]
    assert judged.most_probable(5).tolist() == order[:, :5].tolist()
    assert judged.top1 == pytest.approx(100 * (order[:, 0] == judged.labels).mean())
    if judged.top5 is not None:
        assert judged.top5 >= judged.top1


def test_more_images_than_are_computed_at_once() -> None:
    judged = judgement(0, 5000, 3)
    shares = judged.probabilities.astype(np.float64)
    assert np.exp(-judged.losses) == pytest.approx(shares[np.arange(5000), judged.labels], rel=1e-5)
    assert judged.confidences == pytest.approx(shares.max(1), rel=1e-5)
