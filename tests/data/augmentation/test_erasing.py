"""Random erasing: rectangles of the paper's areas and aspects, everywhere in the image equally often."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, chisquare, kstest
from torch import Tensor

from lenext.data.augmentation.erasing import erase, paste, rectangles


def uniform(seed: int, *shape: int) -> Tensor:
    return torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def as_draws(area: float, aspect: float, row: float, column: float) -> Tensor:
    """Return the draws of a rectangle of this share of the image's area and this aspect."""
    share = (area - 0.02) / (1 / 3 - 0.02)
    shape = math.log(aspect / 0.3) / math.log(1 / 0.3 / 0.3)
    return torch.tensor([[share, shape, row, column]], dtype=torch.float64)


@pytest.mark.parametrize(
    ("area", "aspect", "row", "column", "expected"),
    [
        (0.2, 1.0, 0.0, 0.0, (0, 0, 63, 63)),  # sqrt(4000) = 63.2
        (0.2, 2.0, 0.0, 0.0, (0, 0, 89, 45)),  # 89.4 and 44.7
        (0.2, 1.0, 0.999, 0.5, (37, 69, 100, 132)),  # one of 38 rows and 138 columns
        (1 / 3, 3.0, 0.5, 0.0, (0, 0, 100, 47)),  # 141.4 would be too tall
    ],
)
def test_rectangles_by_hand(
    area: float, aspect: float, row: float, column: float, expected: tuple[int, int, int, int]
) -> None:
    assert tuple(rectangles(as_draws(area, aspect, row, column), 100, 200)[0].tolist()) == expected


def test_areas_are_uniform_and_aspects_log_uniform() -> None:
    top, left, bottom, right = rectangles(uniform(1, 5000, 4), 2000, 2000).double().unbind(1)
    area = (bottom - top) * (right - left) / 2000**2
    assert kstest(area.numpy(), "uniform", (0.02, 1 / 3 - 0.02)).pvalue > 1e-3
    aspect = ((bottom - top) / (right - left)).log()
    assert kstest(aspect.numpy(), "uniform", (math.log(0.3), 2 * math.log(1 / 0.3))).pvalue > 1e-3
    assert abs(float(torch.corrcoef(torch.stack((area, aspect)))[0, 1])) < 0.06


def test_places_are_uniform_among_those_where_the_rectangle_fits() -> None:
    draws = torch.cat((as_draws(0.2, 1.0, 0, 0)[:, :2].expand(21_000, -1), uniform(2, 21_000, 2)), 1)
    found = rectangles(draws, 10, 15)
    top, left, bottom, right = found.unbind(1)
    assert ((bottom - top) == 5).all()
    assert ((right - left) == 5).all()
    places = (top * 11 + left).bincount()
    assert len(places) == 6 * 11
    assert chisquare(places.numpy()).pvalue > 1e-3


def test_images_are_erased_with_the_probability() -> None:
    pixels = torch.zeros(4000, 6, 6, 1, dtype=torch.uint8)
    noise = torch.full((6, 6, 1), 9, dtype=torch.uint8)
    erased = erase(pixels, uniform(3, 4000, 5), 0.25, noise).flatten(1).any(1)
    assert binomtest(int(erased.sum()), 4000, 0.25).pvalue > 1e-3
    assert not erase(pixels, uniform(3, 4000, 5), 0.0, noise).any()
    assert erase(pixels, uniform(3, 4000, 5), 1.0, noise).flatten(1).any(1).all()


@pytest.mark.parametrize("common", [False, True])
@given(
    shape=st.tuples(st.integers(1, 9), st.integers(1, 20), st.integers(1, 20), st.sampled_from([1, 2, 3, 5])),
    probability=st.sampled_from([0.0, 0.3, 1.0]),
    seed=st.integers(0, 2**32),
)
def test_the_rectangle_holds_the_noise_and_the_rest_the_image(
    common: bool, shape: tuple[int, int, int, int], probability: float, seed: int
) -> None:
    random = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, shape, generator=random, dtype=torch.uint8)
    noise = torch.randint(0, 256, shape[1:] if common else shape, generator=random, dtype=torch.uint8)
    draws = uniform(seed, shape[0], 6)
    before = pixels.clone(), noise.clone()
    found = erase(pixels, draws, probability, noise)
    assert torch.equal(pixels, before[0])
    assert torch.equal(noise, before[1])
    expected = pixels.clone()
    for i, (top, left, bottom, right) in enumerate(rectangles(draws[:, 1:5], *shape[1:3]).tolist()):
        assert 0 <= top < bottom <= shape[1]
        assert 0 <= left < right <= shape[2]
        if draws[i, 0] < probability:
            levels = noise if common else noise[i]
            expected[i, top:bottom, left:right] = levels[top:bottom, left:right]
    assert found.dtype == torch.uint8
    assert torch.equal(found, expected)


def test_an_empty_rectangle_pastes_nothing() -> None:
    pixels = torch.arange(18, dtype=torch.uint8).view(1, 3, 3, 2)
    assert torch.equal(paste(pixels, pixels + 100, torch.tensor([[1, 1, 1, 3]])), pixels)
