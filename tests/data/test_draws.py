"""Random numbers of an image: the published generator, uniform, and of no pattern over whatever they belong to."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import kstest

from lenext.data.draws import Purpose, uniforms

MASK = 2**64 - 1
GOLDEN = 0x9E3779B97F4A7C15
COUNT = 20_000  # of numbers looked at for patterns


def finaliser(x: int) -> int:
    """SplitMix64 as its authors write it."""
    x = (x + GOLDEN) & MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def number(seed: int, epoch: int, index: int, purpose: int, column: int) -> float:
    state = 0
    for part in (seed, epoch, purpose, index, column + 1):
        state = finaliser((state + part) & MASK)
    return (state >> 11) / 2**53


def test_the_generator_is_the_published_one() -> None:
    """The first numbers that its authors' code gives from the seed 0."""
    assert [finaliser(GOLDEN * i & MASK) for i in range(3)] == [
        0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F,
    ]  # fmt: skip


@given(
    seed=st.integers(0, 2**63 - 1),
    epoch=st.integers(0, 10**6),
    indices=st.lists(st.integers(0, 2**40), min_size=1, max_size=5),
    purpose=st.sampled_from(Purpose),
    count=st.integers(1, 6),
)
def test_numbers_belong_to_the_image_alone(
    seed: int, epoch: int, indices: list[int], purpose: Purpose, count: int
) -> None:
    found = uniforms(seed, epoch, np.array(indices), purpose, count)
    assert found.dtype == np.float64
    assert found.tolist() == [[number(seed, epoch, i, purpose, c) for c in range(count)] for i in indices]
    assert found.min() >= 0
    assert found.max() < 1


def test_no_image_no_numbers() -> None:
    assert uniforms(0, 0, np.empty(0, np.int64), Purpose.WINDOW, 3).shape == (0, 3)


def over(what: str) -> NDArray[np.float64]:
    """Return numbers of which each has another index, epoch, seed, column or purpose, or (N, 7) of every purpose."""
    zero, many = np.zeros(1, np.int64), np.arange(COUNT)
    if what == "index":
        return uniforms(1, 2, many, Purpose.WINDOW, 1)[:, 0]
    if what == "column":
        return uniforms(1, 2, zero, Purpose.WINDOW, COUNT)[0]
    if what == "epoch":
        return np.array([uniforms(1, epoch, zero, Purpose.WINDOW, 1)[0, 0] for epoch in range(COUNT // 4)])
    if what == "seed":
        return np.array([uniforms(seed, 2, zero, Purpose.WINDOW, 1)[0, 0] for seed in range(COUNT // 4)])
    return np.stack([uniforms(1, 2, many, purpose, 1)[:, 0] for purpose in Purpose], 1)


@pytest.mark.parametrize("what", ["index", "column", "epoch", "seed", "purpose"])
def test_numbers_are_uniform(what: str) -> None:
    assert kstest(over(what).ravel(), "uniform").pvalue > 0.001


@pytest.mark.parametrize("what", ["index", "column", "epoch", "seed"])
def test_neighbours_say_nothing_of_each_other(what: str) -> None:
    found = over(what)
    for lag in (1, 2, 3, 8, 64):
        assert abs(np.corrcoef(found[:-lag], found[lag:])[0, 1]) < 4 / len(found) ** 0.5


def test_purposes_columns_epochs_and_seeds_say_nothing_of_each_other() -> None:
    many = np.arange(COUNT)
    columns = [
        *over("purpose").T,
        *uniforms(1, 2, many, Purpose.WINDOW, 4).T[1:],
        *(uniforms(seed, epoch, many, Purpose.WINDOW, 1)[:, 0] for seed, epoch in ((2, 1), (1, 3), (3, 2), (2, 2))),
    ]
    correlations = np.corrcoef(columns) - np.eye(len(columns))
    assert np.abs(correlations).max() < 4.5 / COUNT**0.5
