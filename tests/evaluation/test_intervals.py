"""Values from papers and by hand, and how often the intervals hold what they should."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lenext.evaluation.intervals import gap_interval, mean_gap, mean_interval, percent_wilson, wilson


@pytest.mark.parametrize(
    ("right", "images", "low", "high"), [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611)]
)
def test_wilson_as_in_newcombe(right: int, images: int, low: float, high: float) -> None:
    """Newcombe, Statistics in Medicine 17 (1998) 857, table I, method 3."""
    assert wilson(right, images) == pytest.approx((low, high), abs=5e-5)


def test_percentages_are_from_0_to_100() -> None:
    assert percent_wilson(81, 263) == pytest.approx((25.53, 36.62), abs=0.005)
    assert percent_wilson(1, 1)[1] == 100


def test_the_interval_of_a_mean_is_close_to_that_of_the_normal_distribution() -> None:
    values = np.random.default_rng(1).gamma(2, size=4000)
    half = 1.96 * values.std() / np.sqrt(len(values))
    found = mean_interval(values)
    assert found == pytest.approx((values.mean() - half, values.mean() + half), abs=0.1 * half)
    assert mean_interval(values) == found


def test_one_value_has_no_interval() -> None:
    assert mean_interval(np.array([0.5])) is None
    assert gap_interval(np.array([14]), np.array([-0.5])) is None


@pytest.mark.parametrize("value", [0.0, 0.1, 7.3])
def test_equal_values_have_an_interval_without_width(value: float) -> None:
    assert mean_interval(np.full(50, value)) == pytest.approx((value, value))
    assert gap_interval(np.full(50, 3), np.full(50, -value / 10)) == pytest.approx((value / 10, value / 10))


@given(
    values=st.lists(st.floats(0, 20), min_size=2, max_size=8),
    gaps=st.lists(st.tuples(st.integers(0, 14), st.floats(-1, 1)), min_size=2, max_size=8),
)
def test_the_figure_lies_in_its_interval(values: list[float], gaps: list[tuple[int, float]]) -> None:
    found = mean_interval(np.array(values))
    assert found is not None
    assert found[0] <= np.mean(values) <= found[1]
    bins, sizes = np.array([b for b, _ in gaps]), np.array([gap for _, gap in gaps])
    found = gap_interval(bins, sizes)
    assert found is not None
    assert 0 <= found[0] <= mean_gap(bins, sizes) <= found[1] <= 1


def test_the_gaps_of_many_samples_are_those_of_each() -> None:
    rng = np.random.default_rng(0)
    bins, gaps = rng.integers(0, 15, (4, 30)), rng.uniform(-1, 1, (4, 30))
    for row, found in zip(range(4), mean_gap(bins, gaps), strict=True):
        by_bin = [abs(gaps[row][bins[row] == b].sum()) for b in range(15)]
        assert found == pytest.approx(sum(by_bin) / 30)
    assert mean_gap(bins.T, gaps.T, axis=0) == pytest.approx(mean_gap(bins, gaps))


def test_calibrated_answers_are_not_held_for_uncalibrated() -> None:
    """The error of all images is 0; the bootstrap's percentiles never reach it, since they count chance twice."""
    rng = np.random.default_rng(0)
    reached = 0
    for _ in range(20):
        confidences = rng.beta(6, 1.5, 300)
        found = gap_interval((confidences * 15).astype(int), (rng.random(300) < confidences) - confidences)
        assert found is not None
        reached += found[0] < 0.005
    assert reached >= 8
