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
    assert gap_interval(np.array([14]), np.array([0.5]), np.array([False])) is None


@pytest.mark.parametrize("value", [0.0, 0.1, 7.3])
def test_equal_values_have_an_interval_without_width(value: float) -> None:
    assert mean_interval(np.full(50, value)) == pytest.approx((value, value))


def test_equal_gaps_have_an_interval_without_width() -> None:
    found = gap_interval(np.full(50, 11), np.full(50, 0.75), np.zeros(50, bool))
    assert found == pytest.approx((0.75, 0.75))


@given(
    values=st.lists(st.floats(0, 20), min_size=2, max_size=8),
    answers=st.lists(st.tuples(st.floats(0.01, 1), st.booleans()), min_size=2, max_size=8),
)
def test_the_figure_lies_in_its_interval(values: list[float], answers: list[tuple[float, bool]]) -> None:
    found = mean_interval(np.array(values))
    assert found is not None
    assert found[0] <= np.mean(values) <= found[1]
    confidences, right = np.array([sure for sure, _ in answers]), np.array([hit for _, hit in answers])
    bins = np.minimum((confidences * 15).astype(int), 14)
    found = gap_interval(bins, confidences, right)
    assert found is not None
    assert 0 <= found[0] <= mean_gap(bins, right - confidences) <= found[1] <= 1


def test_the_gaps_of_many_samples_are_those_of_each() -> None:
    rng = np.random.default_rng(0)
    bins, gaps = rng.integers(0, 15, (4, 30)), rng.uniform(-1, 1, (4, 30))
    for row, found in zip(range(4), mean_gap(bins, gaps), strict=True):
        by_bin = [abs(gaps[row][bins[row] == b].sum()) for b in range(15)]
        assert found == pytest.approx(sum(by_bin) / 30)
    assert mean_gap(bins.T, gaps.T, axis=0) == pytest.approx(mean_gap(bins, gaps))


def test_calibrated_answers_are_not_held_for_uncalibrated() -> None:
    """The error of all images is 0, which nearly every interval reaches; of answers that are too sure, none does."""
    rng = np.random.default_rng(0)
    reached, too_sure = 0, 0
    for _ in range(40):
        confidences = rng.beta(6, 1.5, 300)
        bins = (confidences * 15).astype(int)
        found = gap_interval(bins, confidences, rng.random(300) < confidences)
        other = gap_interval(bins, confidences, rng.random(300) < 0.8 * confidences)
        assert found is not None
        assert other is not None
        reached += found[0] == 0
        too_sure += other[0] > 0
    assert reached >= 34
    assert too_sure == 40
