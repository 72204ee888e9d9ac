"""Changes of colour: what Pillow does, for any number of channels, each image by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageOps
from scipy.stats import kstest
from sklearn.datasets import load_sample_image
from torch import Tensor

from lenext.data.augmentation import colour

FACTORS = (0.0, 0.1, 0.55, 0.9, 1.0, 1.1, 1.9, 3.0)
PHOTO = torch.from_numpy(load_sample_image("china.jpg")[100:300:2, 200:520:4].copy())  # (100, 80, 3)


def picture(kind: str) -> Tensor:
    """Return a picture (H, W, 3) of this kind."""
    random = torch.Generator().manual_seed(3)
    if kind == "photo":
        return PHOTO
    if kind == "noise":
        return torch.randint(0, 256, (23, 31, 3), generator=random, dtype=torch.uint8)
    if kind == "dark":
        return torch.randint(20, 90, (40, 9, 3), generator=random, dtype=torch.uint8)
    if kind == "two levels":
        return torch.randint(0, 2, (20, 20, 3), generator=random, dtype=torch.uint8) * 130 + 17
    if kind == "flat":
        return torch.tensor([200, 100, 3], dtype=torch.uint8).expand(12, 13, 3).contiguous()
    height, width = map(int, kind.split("x"))
    return torch.randint(0, 256, (height, width, 3), generator=random, dtype=torch.uint8)


PICTURES = ("photo", "noise", "dark", "two levels", "flat", "1x1", "1x7", "7x1", "2x2", "3x3", "16x16")


def assert_near(found: Tensor, expected: Image.Image, shape: torch.Size) -> None:
    reference = torch.from_numpy(np.array(expected)).reshape(shape)
    assert found.dtype == torch.uint8
    assert (found.int() - reference.int()).abs().max() <= 1


ENHANCERS = [
    (colour.brightness, ImageEnhance.Brightness),
    (colour.contrast, ImageEnhance.Contrast),
    (colour.saturation, ImageEnhance.Color),
    (colour.sharpness, ImageEnhance.Sharpness),
]


@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("kind", PICTURES)
@pytest.mark.parametrize(("change", "enhancer"), ENHANCERS)
def test_factors_are_those_of_pillow(
    change: Callable[[Tensor, Tensor], Tensor],
    enhancer: Callable[[Image.Image], Any],
    kind: str,
    grey: bool,
) -> None:
    pixels = picture(kind)[..., :1] if grey else picture(kind)
    changed = change(pixels.expand(len(FACTORS), *pixels.shape), torch.tensor(FACTORS))
    image = Image.fromarray(pixels.squeeze(-1).numpy() if grey else pixels.numpy())
    for found, factor in zip(changed, FACTORS, strict=True):
        assert_near(found, enhancer(image).enhance(factor), pixels.shape)
    assert torch.equal(changed[FACTORS.index(1.0)], pixels)


@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("kind", PICTURES)
def test_operations_without_a_factor_are_those_of_pillow(kind: str, grey: bool) -> None:
    pixels = picture(kind)[..., :1] if grey else picture(kind)
    image = Image.fromarray(pixels.squeeze(-1).numpy() if grey else pixels.numpy())
    assert_near(colour.autocontrast(pixels[None])[0], ImageOps.autocontrast(image), pixels.shape)
    for change, reference in ((colour.invert, ImageOps.invert), (colour.equalize, ImageOps.equalize)):
        assert np.array_equal(change(pixels[None])[0].numpy(), np.array(reference(image)).reshape(pixels.shape))


@pytest.mark.parametrize("kind", ["photo", "noise"])
def test_thresholds_and_bits_are_those_of_pillow(kind: str) -> None:
    pixels = picture(kind)
    image = Image.fromarray(pixels.numpy())
    thresholds = [0, 1, 84.99, 85, 128, 246.5, 255, 256]
    solarized = colour.solarize(pixels.expand(len(thresholds), *pixels.shape), torch.tensor(thresholds))
    for found, threshold in zip(solarized, thresholds, strict=True):
        expected = ImageOps.solarize(image, threshold)  # type: ignore[arg-type]
        assert np.array_equal(found.numpy(), np.array(expected))
    bits = [1, 2, 3, 4, 5, 6, 7, 8]
    posterized = colour.posterize(pixels.expand(8, *pixels.shape), torch.tensor(bits))
    for found, kept in zip(posterized, bits, strict=True):
        assert np.array_equal(found.numpy(), np.array(ImageOps.posterize(image, kept)))
    assert not colour.posterize(pixels[None], torch.tensor([0])).any()


def test_a_threshold_that_is_whole_but_for_rounding_is_whole() -> None:
    pixels = torch.tensor([169, 170, 171], dtype=torch.uint8).view(1, 1, 3, 1)
    threshold = torch.tensor([170.00000000000003], dtype=torch.float64)
    assert colour.solarize(pixels, threshold).flatten().tolist() == [169, 85, 84]


def test_equalize_by_hand() -> None:
    """907 pixels lie below the lightest level: 3 for each of 255 steps."""
    counts = torch.tensor([257, 650, 93])
    pixels = torch.tensor([7, 9, 200], dtype=torch.uint8).repeat_interleave(counts).view(1, 25, 40, 1)
    expected = torch.tensor([0, 86, 255], dtype=torch.uint8).repeat_interleave(counts)  # (257 + 1) / 3
    assert torch.equal(colour.equalize(pixels).flatten(), expected)


def test_autocontrast_stretches_each_channel_and_leaves_a_flat_one() -> None:
    pixels = torch.tensor([[10, 5, 0], [20, 5, 255], [60, 5, 100]], dtype=torch.uint8).view(1, 1, 3, 3)
    assert colour.autocontrast(pixels).view(3, 3).tolist() == [[0, 5, 0], [51, 5, 255], [255, 5, 100]]


def test_levels_are_rounded() -> None:
    pixels = torch.tensor([0, 1, 3], dtype=torch.uint8).view(1, 1, 3, 1)
    assert colour.brightness(pixels, torch.tensor([0.9])).flatten().tolist() == [0, 1, 3]  # 0.9 and 2.7
    assert colour.contrast(pixels[:, :, :2], torch.tensor([0.5])).flatten().tolist() == [1, 1]  # about 1, not a half


def test_contrast_of_many_channels_blends_with_the_mean_of_all() -> None:
    pixels = torch.tensor([0, 10, 20, 30, 100], dtype=torch.uint8).view(1, 1, 1, 5)
    assert colour.contrast(pixels, torch.tensor([0.5])).flatten().tolist() == [16, 21, 26, 31, 66]


def test_luma_is_that_of_pillow() -> None:
    pixels = picture("noise")
    assert np.array_equal(colour.luma(pixels[None])[0].numpy(), np.array(Image.fromarray(pixels.numpy()).convert("L")))


def test_axes_of_channels_that_do_not_move_together_are_the_channels() -> None:
    axes = colour.pca_axes(torch.diag(torch.tensor([0.5, 0.1, 0.2])))
    expected = torch.tensor([[0, 0, 0.5], [0.1, 0, 0], [0, 0.2, 0]], dtype=torch.float64)
    torch.testing.assert_close(axes, expected)


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_axes_are_eigenvectors_as_long_as_their_eigenvalues(channels: int) -> None:
    noise = torch.randn(200, channels, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    covariance = (noise.T @ noise) / 200
    axes = colour.pca_axes(covariance)
    lengths = axes.norm(dim=0)
    torch.testing.assert_close(covariance @ axes, axes * lengths)
    torch.testing.assert_close(lengths.sum(), covariance.trace())
    assert (axes.sum(0) > 0).all()


def test_noise_adds_one_colour_to_every_pixel_of_an_image() -> None:
    pixels = torch.tensor([[0, 100, 250], [7, 8, 9]], dtype=torch.uint8).view(1, 1, 2, 3).repeat(2, 1, 1, 1)
    axes = torch.tensor([[0.1, 0.0, 0.0], [0.0, 0.2, 0.0], [0.0, 0.1, 0.3]])
    amounts = torch.tensor([[1.0, -0.5, 0.25], [0.0, 0.0, 0.0]])
    # 255 * (0.1, -0.1, -0.05 + 0.075) = (25.5, -25.5, 6.375), half to even
    assert colour.pca_noise(pixels, amounts, axes)[0, 0].tolist() == [[26, 74, 255], [33, 0, 15]]
    assert torch.equal(colour.pca_noise(pixels, amounts, axes)[1], pixels[1])


def test_noise_lies_along_the_axes_of_the_data_with_its_spread() -> None:
    """The deviation along axis k is 0.1 times eigenvalue k; amounts are normal."""
    random = torch.Generator().manual_seed(5)
    turn = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64, generator=random))[0]
    variances = torch.tensor([0.3, 0.6, 1.2], dtype=torch.float64)
    axes = colour.pca_axes(turn @ torch.diag(variances) @ turn.T)
    count = 20_000
    amounts = 0.1 * torch.randn(count, 3, dtype=torch.float64, generator=random)
    grey = torch.full((count, 1, 1, 3), 128, dtype=torch.uint8)
    shifts = (colour.pca_noise(grey, amounts, axes).view(count, 3).double() - 128) / 255
    along = shifts @ (turn * (turn.sum(0).sign()))
    torch.testing.assert_close(along.std(0), 0.1 * variances, rtol=0.03, atol=0)  # six standard errors
    correlation = torch.corrcoef(along.T) - torch.eye(3, dtype=torch.float64)
    assert correlation.abs().max() < 0.04
    assert kstest((along[:, 2] / 0.12).numpy(), "norm").pvalue > 1e-3


CHANGES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "brightness": lambda pixels, unit: colour.brightness(pixels, 2 * unit),
    "contrast": lambda pixels, unit: colour.contrast(pixels, 2 * unit),
    "saturation": lambda pixels, unit: colour.saturation(pixels, 2 * unit),
    "sharpness": lambda pixels, unit: colour.sharpness(pixels, 2 * unit),
    "solarize": lambda pixels, unit: colour.solarize(pixels, 256 * unit),
    "posterize": lambda pixels, unit: colour.posterize(pixels, (8 * unit).round()),
    "invert": lambda pixels, _: colour.invert(pixels),
    "autocontrast": lambda pixels, _: colour.autocontrast(pixels),
    "equalize": lambda pixels, _: colour.equalize(pixels),
    "pca_noise": lambda pixels, unit: colour.pca_noise(
        pixels, unit[:, None].expand(-1, pixels.shape[-1]), 0.3 * torch.eye(pixels.shape[-1])
    ),
}


@given(
    name=st.sampled_from(sorted(CHANGES)),
    shape=st.tuples(st.integers(1, 9), st.integers(1, 12), st.integers(1, 12), st.sampled_from([1, 2, 3, 5])),
    seed=st.integers(0, 2**32),
)
def test_each_image_is_changed_by_itself(name: str, shape: tuple[int, int, int, int], seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, shape, generator=random, dtype=torch.uint8)
    units = torch.rand(shape[0], dtype=torch.float64, generator=random)
    before = pixels.clone()
    changed = CHANGES[name](pixels, units)
    assert torch.equal(pixels, before)
    assert changed.shape == pixels.shape
    assert changed.dtype == torch.uint8
    assert changed.data_ptr() != pixels.data_ptr()
    alone = [CHANGES[name](pixels[i : i + 1], units[i : i + 1]) for i in range(len(pixels))]
    assert torch.equal(changed, torch.cat(alone))
    if name not in ("saturation", "contrast"):  # which look at all channels of a pixel
        channels = [CHANGES[name](channel, units) for channel in pixels.split(1, dim=-1)]
        assert torch.equal(changed, torch.cat(channels, -1))
    if name == "saturation" and shape[-1] != 3:
        assert torch.equal(changed, pixels)


@pytest.mark.parametrize("name", sorted(CHANGES))
def test_images_may_lie_in_memory_in_any_order(name: str) -> None:
    random = torch.Generator().manual_seed(9)
    pixels = torch.randint(0, 256, (3, 20, 24, 4), generator=random, dtype=torch.uint8)
    units = torch.rand(3, generator=random)
    views = (pixels[..., :3], pixels[:, ::2, 1:9], pixels.permute(0, 2, 1, 3))
    for view in views:
        assert not view.is_contiguous()
        assert torch.equal(CHANGES[name](view, units), CHANGES[name](view.contiguous(), units))
