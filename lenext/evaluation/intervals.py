"""Between which values a figure lies with 95 % confidence, as far as the choice of the images goes.

What another seed of the training would change is not in it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Z = 1.959963984540054  # within so many standard deviations lie 95 %
RESAMPLES = 2000
CALIBRATED = 400  # samples of answers that are right as often as they are sure
SEED = 0
AT_ONCE = 2_000_000  # numbers that one batch of resamples draws

Interval = tuple[float, float]


def wilson(right: int, images: int) -> Interval:
    """Return Wilson's 95 % interval of a share, from 0 to 1."""
    share = right / images
    middle = (share + Z**2 / (2 * images)) / (1 + Z**2 / images)
    half = Z / (1 + Z**2 / images) * math.sqrt(share * (1 - share) / images + Z**2 / (4 * images**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def percent_wilson(right: int, images: int) -> Interval:
    """Return Wilson's 95 % interval of a percentage, from 0 to 100."""
    low, high = wilson(right, images)
    return 100 * low, 100 * high


def mean_interval(values: NDArray[np.float64]) -> Interval | None:
    """Return the 95 % interval of a mean from its N values, (N,), by the bootstrap's percentiles; None for one value.

    Efron 1979, https://doi.org/10.1214/aos/1176344552. The same values always give the same interval.
    """
    if len(values) < 2:
        return None
    centre = float(values.mean())
    low, high = _bootstrap((values,), np.mean, "percentile")
    return min(low, centre), max(high, centre)


def gap_interval(
    bins: NDArray[np.int64], confidences: NDArray[np.float64], right: NDArray[np.bool_]
) -> Interval | None:
    """Return the 95 % interval of the `mean_gap` of N answers, from 0 to 1, by the basic bootstrap; None for one image.

    Chance can only add to a sum of absolute gaps: it is larger in a sample than among all images, and again larger in
    a sample of that sample. The bootstrap's percentiles count this twice, so that they lie above the truth where a
    model is well calibrated; the basic interval reflects them at the estimate, which takes it out. It reaches down to
    0 where answers that are right as often as they are sure would give as large a gap in one of twenty samples.
    """
    if len(right) < 2:
        return None
    gaps = right - confidences
    centre = float(mean_gap(bins, gaps))
    low, high = _bootstrap((bins, gaps), mean_gap, "basic")
    if centre <= _calibrated_gap(bins, confidences):
        low = 0.0
    return max(0.0, min(low, centre)), min(1.0, max(high, centre))


def _calibrated_gap(bins: NDArray[np.int64], confidences: NDArray[np.float64]) -> float:
    """Return the gap that chance exceeds in one of twenty samples where answers are right as often as they are sure."""
    draws, found = np.random.default_rng(SEED), list[NDArray[np.float64]]()
    rows = max(1, AT_ONCE // len(confidences))
    for start in range(0, CALIBRATED, rows):
        shape = (min(rows, CALIBRATED - start), len(confidences))
        gaps = (draws.random(shape) < confidences) - confidences
        found.append(mean_gap(np.broadcast_to(bins, shape), gaps))
    return float(np.quantile(np.concatenate(found), 0.95))


def mean_gap(bins: NDArray[np.int64], gaps: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
    """Return the sum over the bins of the absolute sum of the gaps inside, over N: (..., N), (..., N) -> (...).

    `bins[i]` says in which bin image i is, `gaps[i]` by how much its confidence is too low.
    """
    bins, gaps = np.moveaxis(bins, axis, -1), np.moveaxis(gaps, axis, -1)
    rows, most = math.prod(bins.shape[:-1]), int(bins.max()) + 1
    cells = bins.reshape(rows, -1) + most * np.arange(rows)[:, None]
    sums = np.bincount(cells.ravel(), gaps.ravel(), most * rows).reshape(*bins.shape[:-1], most)
    shares: NDArray[np.float64] = np.abs(sums).sum(-1) / bins.shape[-1]
    return shares


def _bootstrap(
    data: tuple[NDArray[Any], ...], statistic: Callable[..., Any], method: Literal["percentile", "basic"]
) -> Interval:
    from scipy.stats import bootstrap

    found = bootstrap(
        data,
        statistic,
        paired=len(data) > 1,
        vectorized=True,
        n_resamples=RESAMPLES,
        batch=max(1, AT_ONCE // len(data[0])),
        method=method,
        rng=np.random.default_rng(SEED),
    ).confidence_interval
    return float(found.low), float(found.high)
