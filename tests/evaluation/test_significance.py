"""Values from textbooks and papers, and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from lenext.evaluation.significance import Significance, of_other_images, of_same_images


def answers(both: int, only_a: int, only_b: int, neither: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which images either model got right, the four cells after each other."""
    cells = (both, only_a, only_b, neither)
    return np.repeat([True, True, False, False], cells), np.repeat([True, False, True, False], cells)


def test_few_discordant_pairs_are_summed_exactly() -> None:
    found = of_same_images(*answers(50, 2, 8, 40))
    assert found.p == pytest.approx(2 * (1 + 10 + 45) / 1024)  # P(X <= 2) of ten throws of a coin, on both sides
    assert found.test == "McNemar, exact"
    assert (found.only_a, found.only_b, found.right_a, found.right_b) == (2, 8, 52, 58)
    assert found.difference == pytest.approx(6.0)
    assert found.verdict == "the difference is no larger than chance brings (p = 0.11)"


def test_many_discordant_pairs_as_in_agresti() -> None:
    """Approval of the British prime minister in two surveys of 1,600 people: Agresti, Categorical Data Analysis, 10.1.

    794 approved twice, 150 and 86 once, 570 never. The interval of the book is -5.9 to -2.1 percentage points.
    """
    found = of_same_images(*answers(794, 150, 86, 570))
    assert found.p == pytest.approx(math.erfc(math.sqrt((64 - 1) ** 2 / 236 / 2)))
    assert found.test.startswith("McNemar, chi-square")
    assert found.difference == pytest.approx(-4.0)
    gap, cells = -64 / 1602, 237 / 1602  # with half a person more in each cell
    half = 1.959964 * math.sqrt((cells - gap**2) / 1602)
    assert (found.low, found.high) == pytest.approx((100 * (gap - half), 100 * (gap + half)), abs=1e-4)
    assert (round(found.low, 1), round(found.high, 1)) == (-5.9, -2.1)
    assert found.verdict == "the difference is more than chance (p < 0.0001)"


@pytest.mark.parametrize(("only_a", "only_b"), [(0, 0), (3, 3), (40, 40)])
def test_no_difference_is_chance(only_a: int, only_b: int) -> None:
    found = of_same_images(*answers(10, only_a, only_b, 10))
    assert found.p == pytest.approx(1.0)
    assert found.difference == 0.0
    assert found.low < 0 < found.high
    assert found.low == pytest.approx(-found.high)


def test_the_interval_turns_with_the_runs() -> None:
    there, back = of_same_images(*answers(5, 9, 1, 5)), of_same_images(*answers(5, 1, 9, 5))
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))
    assert there.p == back.p


def test_other_images_as_in_newcombe() -> None:
    """56 of 70 against 48 of 80: Newcombe, Statistics in Medicine 17 (1998), table II, method 10."""
    found = of_other_images(48, 80, 56, 70)
    assert found.difference == pytest.approx(20.0)
    assert (found.low, found.high) == pytest.approx((5.24, 33.39), abs=0.005)
    assert (found.only_a, found.only_b) == (None, None)


def test_the_tea_of_the_lady_who_fisher_asked() -> None:
    assert of_other_images(1, 4, 3, 4).p == pytest.approx(34 / 70)


@pytest.mark.parametrize(
    ("p", "words"),
    [
        (0.43, "no larger than chance brings (p = 0.43)"),
        (0.05, "no larger than chance brings (p = 0.05)"),
        (0.0021, "more than chance (p = 0.0021)"),
        (1e-9, "more than chance (p < 0.0001)"),
    ],
)
def test_the_verdict(p: float, words: str) -> None:
    found = Significance(10, 5, 10, 6, 1, 2, 10.0, -1.0, 1.0, p, "", "")
    assert found.verdict == f"the difference is {words}"
