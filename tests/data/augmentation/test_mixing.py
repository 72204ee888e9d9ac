"""Mixup and CutMix: the partner's share by hand, and targets that hold the shares of the pixels."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest
from torch import Tensor

from lenext.data.augmentation.mixing import beta_weights, cutmix, mixed_targets, mixup

SHAPES = st.tuples(st.integers(1, 9), st.integers(1, 12), st.integers(1, 12), st.sampled_from([1, 2, 3, 5]))


def uniform(seed: int, *shape: int) -> Tensor:
    return torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_mixup_by_hand() -> None:
    pixels = torch.tensor([[10, 255], [100, 50], [20, 0]], dtype=torch.uint8).view(3, 1, 1, 2)
    mixed = mixup(pixels, torch.tensor([0.25, 0.6, 1.0]))
    assert mixed.view(3, 2).tolist() == [[18, 64], [100, 50], [20, 0]]  # 17.5 and 63.75


@given(shape=SHAPES, seed=st.integers(0, 2**32))
def test_mixup_weighs_an_image_and_its_partner(shape: tuple[int, int, int, int], seed: int) -> None:
    pixels = (256 * uniform(seed, *shape)).to(torch.uint8)
    weights = uniform(seed + 1, shape[0])
    before = pixels.clone()
    mixed = mixup(pixels, weights)
    assert torch.equal(pixels, before)
    assert mixed.dtype == torch.uint8
    share = weights[:, None, None, None]
    assert (mixed.double() - (share * pixels + (1 - share) * pixels.flip(0))).abs().max() <= 0.501
    last = shape[0] - 1
    alone = mixup(pixels[[0, last]], weights[[0, last]])
    assert torch.equal(alone[[0, 1]], mixed[[0, last]])


@pytest.mark.parametrize(
    ("weight", "place", "rows", "columns"),
    [
        (0.75, (0.5, 0.5), (1, 3), (2, 6)),
        (0.75, (0.0, 0.0), (0, 1), (0, 2)),
        (0.75, (0.999, 0.5), (3, 4), (2, 6)),
        (0.0, (0.5, 0.5), (0, 4), (0, 8)),
        (0.0, (0.0, 0.25), (0, 2), (0, 6)),
        (1.0, (0.3, 0.3), (0, 0), (0, 0)),
    ],
)
def test_cutmix_by_hand(
    weight: float, place: tuple[float, float], rows: tuple[int, int], columns: tuple[int, int]
) -> None:
    pixels = torch.tensor([3, 200], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 4, 8, 1)
    mixed, weights = cutmix(pixels, torch.tensor([weight, 1.0]), torch.tensor([place, (0.5, 0.5)]))
    expected = pixels.clone()
    expected[0, slice(*rows), slice(*columns)] = 200
    assert torch.equal(mixed, expected)
    pasted = (rows[1] - rows[0]) * (columns[1] - columns[0])
    assert weights.tolist() == [1 - pasted / 32, 1]


@given(shape=SHAPES, seed=st.integers(0, 2**32))
def test_cutmix_returns_the_share_of_an_images_own_pixels(shape: tuple[int, int, int, int], seed: int) -> None:
    images = shape[0]
    pixels = torch.arange(images, dtype=torch.uint8).view(-1, 1, 1, 1).expand(shape).contiguous()
    before = pixels.clone()
    mixed, weights = cutmix(pixels, uniform(seed, images), uniform(seed + 1, images, 2))
    assert torch.equal(pixels, before)
    assert mixed.dtype == torch.uint8
    assert mixed.shape == pixels.shape
    own = (mixed == pixels).flatten(1).double().mean(1)
    partners = torch.arange(images) != torch.arange(images).flip(0)
    torch.testing.assert_close(weights[partners], own[partners])
    assert ((mixed == pixels) | (mixed == pixels.flip(0))).all()


def test_a_rectangle_within_the_image_has_the_share_of_its_weight() -> None:
    weights = 0.5 + uniform(1, 2000) / 2  # sides of at most 0.7, which fit about the middle
    pixels = torch.zeros(2000, 100, 60, 1, dtype=torch.uint8)
    _, exact = cutmix(pixels, weights, torch.full((2000, 2), 0.5, dtype=torch.float64))
    assert (exact - weights).abs().max() < 0.02
    assert (exact - weights).mean().abs() < 0.002  # rounding has no side


def test_targets_by_hand() -> None:
    targets = mixed_targets(torch.tensor([0, 2, 2, 1]), 4, torch.tensor([0.25, 0.5, 0.7, 1.0]))
    expected = torch.tensor([[0.25, 0.75, 0, 0], [0, 0, 1, 0], [0, 0, 1, 0], [0, 1, 0, 0]])
    torch.testing.assert_close(targets, expected)
    assert targets.dtype == torch.float32


@given(images=st.integers(1, 9), classes=st.integers(1, 7), seed=st.integers(0, 2**32))
def test_targets_are_the_shares_of_the_pixels(images: int, classes: int, seed: int) -> None:
    labels = (classes * uniform(seed, images)).long()
    pixels = (30 * labels).to(torch.uint8).view(-1, 1, 1, 1).expand(images, 6, 7, 2)
    mixed, weights = cutmix(pixels, uniform(seed + 1, images), uniform(seed + 2, images, 2))
    targets = mixed_targets(labels, classes, weights)
    torch.testing.assert_close(targets.sum(1), torch.ones(images))
    levels = targets @ (30.0 * torch.arange(classes))
    torch.testing.assert_close(levels, mixed.float().mean((1, 2, 3)), rtol=0, atol=1e-3)


@pytest.mark.parametrize("alpha", [0.1, 0.2, 0.8, 1.0, 4.0])
def test_weights_are_beta_distributed(alpha: float) -> None:
    weights = beta_weights(uniform(7, 5000), alpha)
    assert kstest(weights.numpy(), "beta", (alpha, alpha)).pvalue > 1e-3
    assert weights.dtype == torch.float64


def test_weights_rise_with_what_was_drawn_and_keep_its_ends() -> None:
    drawn = torch.linspace(0, 1, 101, dtype=torch.float64)
    weights = beta_weights(drawn, 0.2)
    assert weights[0] == 0
    assert weights[-1] == 1
    assert (weights.diff() >= 0).all()
    torch.testing.assert_close(weights + weights.flip(0), torch.ones(101, dtype=torch.float64))
    torch.testing.assert_close(beta_weights(drawn, 1.0), drawn)
    torch.testing.assert_close(beta_weights(drawn, 0.5), (torch.pi * drawn / 2).sin() ** 2)  # the arcsine law
