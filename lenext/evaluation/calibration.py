"""Calibration: whether answers that are 80 % sure are right in 80 % of the cases, and the temperature that helps.

Guo et al. 2017, https://arxiv.org/abs/1706.04599. The expected calibration error is that of Naeini et al. 2015,
https://doi.org/10.1609/aaai.v29i1.9602: images in 15 bins by the probability of the predicted class, each as wide, and
over the bins the mean gap between this probability and the share of right answers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lenext.evaluation.crosswise import FOLDS, crosswise
from lenext.evaluation.intervals import Interval, gap_interval, mean_gap, mean_interval
from lenext.evaluation.judge import Judgement, cross_entropies

BINS = 15
EDGES = np.arange(BINS + 1) / BINS
FARTHEST = 100  # a temperature is looked for within this factor of how far the highest logits are above the mean
PRECISION = 1e-4  # of its logarithm
NEAR = 1.5  # the factor within which the temperatures of most parts lie
POINTS = 9  # at which the loss is computed within this factor


@dataclass(frozen=True)
class Bin:
    """The images whose predicted class has a probability above `low` and up to `high`, in percent.

    `confidence` is the mean of these probabilities and `accuracy` the share of right answers, in percent; None where
    there are no images.
    """

    low: float
    high: float
    images: int
    confidence: float | None
    accuracy: float | None


@dataclass(frozen=True)
class Calibration:
    """How well the probabilities fit, as they are and after each image's logits were divided by a temperature.

    `error` is the expected calibration error in percentage points, 0 to 100. For `error_after`, `loss_after` (nats) and
    `bins_after` the temperature of each image was fitted on other images; `temperature` is that fitted on all, for use
    on images to come. The intervals are of 95 %. All six are None where nothing can be fitted: with fewer than ten
    images, or where no temperature is the best, since every answer is right or the answers are no better than a guess.
    """

    error: float
    bins: list[Bin]
    temperature: float | None
    error_after: float | None = None
    error_after_interval: Interval | None = None
    loss_after: float | None = None
    loss_after_interval: Interval | None = None
    bins_after: list[Bin] | None = None


def calibrate(judgement: Judgement, *, folds: int = FOLDS, seed: int = 0) -> Calibration:
    """Measure the calibration and fit temperatures, crosswise in `folds` parts."""
    before = _error(judgement.confidences, judgement.right)
    bins = reliability(judgement.confidences, judgement.right)
    temperature = fit_temperature(judgement)
    tempered = _tempered_crosswise(judgement, temperature, folds, seed) if temperature else None
    if tempered is None:
        return Calibration(before, bins, None)
    confidences, losses = tempered
    return Calibration(
        before,
        bins,
        temperature,
        _error(confidences, judgement.right),
        calibration_interval(confidences, judgement.right),
        float(losses.mean()),
        mean_interval(losses),
        reliability(confidences, judgement.right),
    )


def calibration_interval(confidences: NDArray[np.float64], right: NDArray[np.bool_]) -> Interval | None:
    """Return the 95 % interval of the calibration error, in percentage points; None for one image."""
    found = gap_interval(_bins(confidences), confidences, right)
    return (100 * found[0], 100 * found[1]) if found else None


def reliability(confidences: NDArray[np.float64], right: NDArray[np.bool_]) -> list[Bin]:
    """Return the bins of a reliability diagram from the probabilities (N,), 0 to 1, of the predicted classes."""
    bins = _bins(confidences)
    images = np.bincount(bins, minlength=BINS)
    sure, hit = np.bincount(bins, confidences, BINS), np.bincount(bins, right, BINS)
    return [
        Bin(
            100 * float(EDGES[i]),
            100 * float(EDGES[i + 1]),
            int(n),
            100 * float(sure[i] / n) if n else None,
            100 * float(hit[i] / n) if n else None,
        )
        for i, n in enumerate(images)
    ]


def fit_temperature(judgement: Judgement, images: NDArray[np.int64] | None = None) -> float | None:
    """Return the temperature that the logits are divided by for the lowest mean loss, of all images or those given.

    The loss is convex in 1 / temperature, so that one minimum exists, unless every answer is right (the smaller, the
    better) or the labels' logits are on average no higher than the others (the larger, the better): then None.
    """
    if images is not None:
        judgement = Judgement(judgement.logits[images], judgement.labels[images])
    logits, labels = judgement.logits, judgement.labels
    own = logits[np.arange(len(labels)), labels].astype(np.float64)
    mean = float(logits.mean(dtype=np.float64))
    if judgement.right.all() or own.mean() <= mean:
        return None
    scale = float(logits.max(1).mean(dtype=np.float64)) - mean
    return _minimum(lambda x: cross_entropies(logits, labels, math.exp(x)).mean(), scale / FARTHEST, scale * FARTHEST)


def _minimum(loss: Callable[[float], Any], low: float, high: float) -> float | None:
    """Return the temperature between two whose logarithm has the lowest loss, or None where that is at either end."""
    from scipy.optimize import minimize_scalar

    ends = math.log(low), math.log(high)
    options = {"xatol": PRECISION}
    found = float(minimize_scalar(loss, bounds=ends, method="bounded", options=options).x)
    return math.exp(found) if ends[0] + 10 * PRECISION < found < ends[1] - 10 * PRECISION else None


def _tempered_crosswise(
    judgement: Judgement, temperature: float, folds: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Return confidences and losses, (N,) each, with every image at the temperature that the other parts gave.

    The minima of the parts lie close to that of all images, `temperature`. All parts share the losses at a few points
    around it, between which a polynomial stands for each part's mean; it says where the minimum of a part is, and
    where that is not among them, the part is searched by itself.
    """
    parts = crosswise(judgement.labels, folds=folds, seed=seed)
    if not parts:
        return None
    low, high = temperature / NEAR, temperature * NEAR
    ends = [math.log(low), math.log(high)]
    points = np.polynomial.chebyshev.chebpts2(POINTS) * math.log(NEAR) + math.log(temperature)
    at_points = np.stack(
        [cross_entropies(judgement.logits, judgement.labels, math.exp(point)) for point in points]
    )  # (POINTS, N)
    confidences, losses = np.empty(len(judgement.labels)), np.empty(len(judgement.labels))
    for fit, judged in parts:
        mean = np.polynomial.Chebyshev.fit(points, at_points[:, fit].mean(1), POINTS - 1, domain=ends)
        fitted = _minimum(mean, low, high) or fit_temperature(judgement, fit)
        if fitted is None:
            return None
        logits = judgement.logits[judged]
        losses[judged] = cross_entropies(logits, judgement.labels[judged], fitted)
        confidences[judged] = np.exp(-cross_entropies(logits, judgement.predicted[judged], fitted))
    return confidences, losses


def _error(confidences: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    return 100 * float(mean_gap(_bins(confidences), right - confidences))


def _bins(confidences: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return in which bin each image is, (N,): above its lower edge, up to its upper one."""
    return np.searchsorted(EDGES, confidences, side="left").clip(1, BINS) - 1
