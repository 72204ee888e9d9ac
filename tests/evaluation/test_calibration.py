"""Calibration by hand, by a second implementation, and on answers whose temperature is known."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from lenext.evaluation.calibration import (
    BINS,
    calibrate,
    calibration_interval,
    fit_temperature,
    reliability,
)
from lenext.evaluation.crosswise import crosswise
from lenext.evaluation.judge import Judgement
from lenext.files import to_json


def drawn(images: int, classes: int = 10, seed: int = 0, scale: float = 2.0) -> Judgement:
    """Return logits whose labels were drawn from their own softmax: calibrated at a temperature of 1."""
    rng = np.random.default_rng(seed)
    logits = scale * rng.normal(size=(images, classes))
    # Gumbel 1954: the largest of logits with such noise is a draw from their softmax.
    return Judgement(logits.astype(np.float32), (logits + rng.gumbel(size=logits.shape)).argmax(1))


def looped_error(confidences: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """Return the error as Naeini et al. write it."""
    error = 0.0
    for m in range(1, BINS + 1):
        inside = [i for i, c in enumerate(confidences) if (m - 1) / BINS < c <= m / BINS]
        if inside:
            accuracy = sum(right[i] for i in inside) / len(inside)
            confidence = sum(confidences[i] for i in inside) / len(inside)
            error += len(inside) / len(confidences) * abs(accuracy - confidence)
    return 100 * error


def test_the_error_by_hand() -> None:
    """Three answers of 0.75 of which two are right, one of 0.625 that is wrong."""
    logits = np.log(np.array([[0.75, 0.25], [0.25, 0.75], [0.75, 0.25], [0.625, 0.375]], np.float32))
    found = calibrate(Judgement(logits, np.array([0, 1, 1, 1])))
    assert found.error == pytest.approx(100 * (3 * (0.75 - 2 / 3) + 0.625) / 4, abs=1e-4)
    some, more = (row for row in found.bins if row.images)
    assert (some.low, some.high, some.images) == (pytest.approx(60), pytest.approx(200 / 3), 1)
    assert (more.low, more.high, more.images) == (pytest.approx(220 / 3), pytest.approx(80), 3)
    assert (some.confidence, some.accuracy) == (pytest.approx(62.5, abs=1e-4), 0)
    assert (more.confidence, more.accuracy) == (pytest.approx(75, abs=1e-4), pytest.approx(200 / 3))
    assert (found.temperature, found.error_after, found.loss_after, found.bins_after) == (None, None, None, None)


def test_an_edge_belongs_to_the_bin_below() -> None:
    edges = np.arange(1, BINS + 1) / BINS
    assert [row.images for row in reliability(edges, np.ones(BINS, bool))] == [1] * BINS
    empty = reliability(np.array([1.0]), np.array([True]))[0]
    assert (empty.images, empty.confidence, empty.accuracy) == (0, None, None)


@given(seed=st.integers(0, 10**6), images=st.integers(1, 60), classes=st.integers(1, 12), scale=st.floats(0, 9))
def test_the_error_agrees_with_a_loop(seed: int, images: int, classes: int, scale: float) -> None:
    judged = drawn(images, classes, seed, scale)
    found = calibrate(judged)
    assert found.error == pytest.approx(looped_error(judged.confidences, judged.right), abs=1e-9)
    assert 0 <= found.error <= 100
    assert sum(row.images for row in found.bins) == images


def test_answers_that_are_calibrated_stay_as_they_are() -> None:
    found = calibrate(drawn(8000))
    assert found.temperature == pytest.approx(1, abs=0.04)
    assert found.error < 2
    assert found.error_after is not None
    assert found.error_after < 2


@given(seed=st.integers(0, 1000), factor=st.floats(0.05, 50))
def test_the_temperature_grows_with_the_logits(seed: int, factor: float) -> None:
    judged = drawn(300, seed=seed)
    once = fit_temperature(judged)
    scaled = fit_temperature(Judgement((judged.logits * factor).astype(np.float32), judged.labels))
    assert once is not None
    assert scaled == pytest.approx(factor * once, rel=1e-3)


def test_no_other_temperature_has_a_lower_loss() -> None:
    judged = drawn(500, scale=4)
    judged = Judgement(3 * judged.logits, judged.labels)
    best = fit_temperature(judged)
    assert best is not None
    losses = {t: Judgement(judged.logits / np.float32(t), judged.labels).loss for t in (best, 0.97 * best, 1.03 * best)}
    assert min(losses, key=lambda t: losses[t]) == best
    # A second implementation: gradient descent on the logarithm of the temperature.
    logits, labels = torch.from_numpy(judged.logits).double(), torch.from_numpy(judged.labels)
    log_temperature = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([log_temperature], max_iter=50, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(logits / log_temperature.exp(), labels)
        loss.backward()
        return loss

    optimizer.step(closure)
    assert best == pytest.approx(log_temperature.exp().item(), rel=1e-3)


@pytest.mark.parametrize(("images", "scale"), [(400, 3.0), (40, 1.0)])
def test_each_image_is_judged_at_the_temperature_of_the_others(images: int, scale: float) -> None:
    judged = drawn(images, seed=3)
    judged = Judgement((scale * judged.logits).astype(np.float32), judged.labels)
    found = calibrate(judged)
    confidences, losses = np.empty(images), np.empty(images)
    for fit, part in crosswise(judged.labels):
        temperature = fit_temperature(judged, fit)
        for i in part:
            logits = judged.logits[i].astype(np.float64) / temperature
            shares = np.exp(logits) / np.exp(logits).sum()
            confidences[i], losses[i] = shares.max(), -np.log(shares[judged.labels[i]])
    assert found.error_after == pytest.approx(looped_error(confidences, judged.right), abs=0.05)
    assert found.loss_after == pytest.approx(losses.mean(), rel=1e-4)
    assert found.bins_after is not None
    assert sum(row.images for row in found.bins_after) == images


def test_answers_that_are_too_sure_are_helped() -> None:
    judged = drawn(2000)
    judged = Judgement(4 * judged.logits, judged.labels)
    found = calibrate(judged)
    assert found.temperature == pytest.approx(4, rel=0.1)
    assert found.error > 15
    assert found.error_after is not None
    assert found.error_after < 4
    assert found.loss_after is not None
    assert found.loss_after < judged.loss


LABELS = np.arange(30) % 3
RIGHT = 5 * np.eye(3, dtype=np.float32)[LABELS]


@pytest.mark.parametrize(
    ("logits", "labels"),
    [
        (RIGHT, LABELS),  # all right
        (np.roll(RIGHT, 1, axis=1), LABELS),  # all wrong
        (np.zeros((30, 3), np.float32), LABELS),  # nothing but ties
        (np.ones((30, 1), np.float32), np.zeros(30, np.int64)),  # one class
        (RIGHT[:9] + np.float32([0, 1, 0]), LABELS[:9]),  # too few
        (RIGHT[:1], LABELS[:1]),
        (np.concatenate([np.roll(RIGHT[:1], 1, axis=1), RIGHT[1:]]), LABELS),  # one mistake: the others show none
    ],
)
def test_where_no_temperature_is_the_best_there_is_none(logits: np.ndarray, labels: np.ndarray) -> None:
    found = calibrate(Judgement(logits, labels))
    assert (found.temperature, found.error_after, found.loss_after, found.bins_after) == (None, None, None, None)
    assert 0 <= found.error <= 100


def test_a_class_that_is_always_mistaken_has_a_temperature() -> None:
    logits = RIGHT.copy()
    logits[LABELS == 2] = np.roll(logits[LABELS == 2], 1, axis=1)
    found = calibrate(Judgement(logits, LABELS))
    assert found.temperature is not None
    assert found.temperature > 1
    assert found.error_after is not None
    assert found.error_after < found.error


def test_logits_may_be_logarithms_of_probabilities() -> None:
    judged = drawn(400)
    logarithms = Judgement(np.log(judged.probabilities), judged.labels)
    here, there = calibrate(logarithms), calibrate(judged)
    assert here.temperature == pytest.approx(there.temperature, rel=1e-3)
    assert here.loss_after == pytest.approx(there.loss_after, rel=1e-4)


def test_it_is_json_and_the_same_each_time() -> None:
    found = calibrate(drawn(100))
    assert json.loads(to_json(asdict(found)))["bins"][0]["low"] == 0
    assert found == calibrate(drawn(100))


def test_the_interval_holds_the_error() -> None:
    judged = drawn(500)
    judged = Judgement(3 * judged.logits, judged.labels)
    low, high = calibration_interval(judged.confidences, judged.right) or (0, 0)
    assert low < calibrate(judged).error < high
    assert high - low < 12
