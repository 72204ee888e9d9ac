"""Changes of colour on batches of images, uint8 (N, H, W, C), as Pillow's ImageEnhance and ImageOps make them.

Everything goes over rows of W*C numbers: torch is several times slower where the last dimension has three.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

# ITU-R 601 as Pillow has it, in 65536ths: every product and sum is exact in float32.
LUMA = (19595 / 65536, 38470 / 65536, 7471 / 65536)


def pca_axes(covariance: Tensor) -> Tensor:
    """Return the axes for `pca_noise`, (C, C) -> (C, C): column k is eigenvector k times eigenvalue k, ascending.

    `covariance` is that of the channels of pixels from 0 to 1. An eigenvector has no sign of its own: here its entries
    sum to something positive, so that the axes are the same everywhere.
    """
    values, vectors = torch.linalg.eigh(covariance.to(torch.float64))
    signs = torch.where(vectors.sum(0) < 0, -1.0, 1.0)
    axes: Tensor = vectors * signs * values.clamp(min=0)
    return axes


def pca_noise(pixels: Tensor, amounts: Tensor, axes: Tensor) -> Tensor:
    """Add `axes @ amounts`, a colour of pixels from 0 to 1, to every pixel of an image.

    Krizhevsky et al. 2012, "ImageNet classification with deep convolutional neural networks", section 4.1, where
    `amounts` (N, C) are normal with a deviation of 0.1; `axes` (C, C) are those of `pca_axes`.
    """
    axes = axes.to(amounts)
    shifts = (amounts[:, None, :] * axes).sum(-1) * 255  # (N, C); no matmul, whose sums depend on the batch
    shifts = shifts.round().clamp(-255, 255).to(torch.int16)
    moved = _rows(pixels).to(torch.int16).add_(_along_rows(shifts, pixels))
    return moved.clamp_(0, 255).to(torch.uint8).view(pixels.shape)


def brightness(pixels: Tensor, factors: Tensor) -> Tensor:
    """Blend with black: factor 0 is black, 1 the image, larger ones are lighter; factors (N,)."""
    return _levels(_rows(pixels) * _per_image(factors, pixels), pixels)


def contrast(pixels: Tensor, factors: Tensor) -> Tensor:
    """Blend with the mean grey level of the image: factor 0 is that grey, 1 the image; factors (N,)."""
    grey = luma(pixels) if pixels.shape[-1] == 3 else _rows(pixels)
    mean = grey.mean((1, 2), dtype=torch.float64).add_(0.5).floor_()
    return _blend(_per_image(mean, pixels), _rows(pixels), factors).view(pixels.shape)


def saturation(pixels: Tensor, factors: Tensor) -> Tensor:
    """Blend with grey: factor 0 is a grey image, 1 the image; factors (N,). Without three channels, nothing changes."""
    if pixels.shape[-1] != 3:
        return pixels.clone()
    grey = luma(pixels)
    blended = torch.empty_like(pixels, memory_format=torch.contiguous_format)
    for channel in range(3):
        blended[..., channel] = _blend(grey, pixels[..., channel], factors)
    return blended


def sharpness(pixels: Tensor, factors: Tensor) -> Tensor:
    """Blend with a smoothed image: factor 0 is smooth, 1 the image, larger ones are sharper; factors (N,).

    Smooth is the mean of 3x3 pixels in which the one in the middle counts five times; those at the border stay.
    """
    rows, channels = _rows(pixels), pixels.shape[-1]
    result = rows.clone()
    inner = (slice(None), slice(1, -1), slice(channels, -channels))
    wide = rows.to(torch.int16)
    sums = wide[:, :-2] + wide[:, 1:-1] + wide[:, 2:]  # (N, H-2, W*C)
    sums = sums[..., : -2 * channels] + sums[..., channels:-channels] + sums[..., 2 * channels :]
    smooth = sums.add_(wide[inner], alpha=4).mul(1 / 13).add_(0.5).floor_()  # (N, H-2, (W-2)*C)
    result[inner] = _blend(smooth, rows[inner], factors)
    return result.view(pixels.shape)


def solarize(pixels: Tensor, thresholds: Tensor) -> Tensor:
    """Invert the levels that reach the image's threshold: 0 inverts everything, 256 nothing; thresholds (N,)."""
    rows = _rows(pixels)
    # From float32 and up, so that 170.00000000000003, which was to be 170, does not become 171.
    least = thresholds.to(torch.float32).ceil().to(pixels.device, torch.int16).view(-1, 1, 1)
    return (rows >= least).to(torch.uint8).neg_().bitwise_xor_(rows).view(pixels.shape)  # x ^ 255 is 255 - x


def posterize(pixels: Tensor, bits: Tensor) -> Tensor:
    """Keep the highest bits of each level: 8 keep everything; bits (N,), whole numbers from 0 to 8."""
    masks = 256 - 2 ** (8 - bits.to(torch.int32))
    return (_rows(pixels) & masks.to(pixels.device, torch.uint8).view(-1, 1, 1)).view(pixels.shape)


def invert(pixels: Tensor) -> Tensor:
    """Return 255 less each level."""
    return pixels.bitwise_not()


def autocontrast(pixels: Tensor) -> Tensor:
    """Stretch each channel of each image from 0 to 255; a channel of one level stays."""
    lowest, highest = _over_pixels(pixels, torch.amin), _over_pixels(pixels, torch.amax)
    flat = lowest == highest
    scales = (255 / (highest - lowest).to(torch.float32)).masked_fill_(flat, 1)
    offsets = lowest.to(torch.float32).masked_fill_(flat, 0)
    stretched = (_rows(pixels) - _along_rows(offsets, pixels)).mul_(_along_rows(scales, pixels))
    return _levels(stretched, pixels)


def equalize(pixels: Tensor) -> Tensor:
    """Spread the levels of each channel of each image so that each stretch of levels holds as many pixels."""
    images, channels = len(pixels), pixels.shape[-1]
    first = torch.arange(images * channels, dtype=torch.int32, device=pixels.device).view(images, channels) * 256
    places = _rows(pixels).to(torch.int32).add_(_along_rows(first, pixels)).flatten()  # where each level is counted
    counts = torch.bincount(places, minlength=images * channels * 256).view(images * channels, 256)
    darker = counts.cumsum(1) - counts
    highest = _over_pixels(pixels, torch.amax).view(-1, 1).to(torch.int64)
    step = darker.gather(1, highest) // 255  # (N*C, 1)
    spread = ((darker + step // 2) // step.clamp(min=1)).clamp_(max=255)
    same = torch.arange(256, device=pixels.device)
    levels = torch.where(step == 0, same, spread).to(torch.uint8)  # (N*C, 256)
    return levels.view(-1).index_select(0, places).view(pixels.shape)


def luma(pixels: Tensor) -> Tensor:
    """Return the grey level of each pixel: (N, H, W, 3) -> float32 (N, H, W), whole numbers."""
    red, green, blue = pixels.unbind(-1)
    return (red * LUMA[0]).add_(green * LUMA[1]).add_(blue * LUMA[2]).add_(0.5).floor_()


def _blend(other: Tensor, levels: Tensor, factors: Tensor) -> Tensor:
    """Return `other` plus the factor times what `levels` (N, h, w) differ from it, as uint8."""
    # Each product and sum is rounded by itself: fused ones would depend on where in the batch an image stands.
    return _levels((levels - other).mul_(_per_image(factors, levels)).add_(other), levels)


def _levels(levels: Tensor, like: Tensor) -> Tensor:
    """Return float levels, which this overwrites, as uint8 of the shape of `like`."""
    return levels.add_(0.5).clamp_(0, 255).to(torch.uint8).view(like.shape)


def _rows(pixels: Tensor) -> Tensor:
    """(N, H, W, C) -> (N, H, W*C)."""
    return pixels.flatten(2)


def _per_image(values: Tensor, like: Tensor) -> Tensor:
    """(N,) -> float32 (N, 1, 1)."""
    return values.to(torch.float32).to(like.device).view(-1, 1, 1)


def _along_rows(values: Tensor, pixels: Tensor) -> Tensor:
    """Repeat what each channel has for every pixel of a row: (N, C) -> (N, 1, W*C)."""
    return values.to(pixels.device).repeat(1, pixels.shape[2])[:, None]


def _over_pixels(pixels: Tensor, reduce: Callable[[Tensor, int], Tensor]) -> Tensor:
    """Return `torch.amin` or `amax` over the pixels, first over the rows: (N, H, W, C) -> (N, C)."""
    images, _, width, channels = pixels.shape
    return reduce(reduce(_rows(pixels), 1).reshape(images, width, channels), 1)
