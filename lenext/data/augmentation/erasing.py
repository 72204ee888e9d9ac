"""Random erasing: Zhong et al. 2017, https://arxiv.org/abs/1708.04896: a rectangle of random levels in an image."""

from __future__ import annotations

import math

import torch
from torch import Tensor

AREA = (0.02, 1 / 3)  # of the image
ASPECT = (0.3, 1 / 0.3)  # height over width
DRAWS = 5  # numbers that an image takes


def erase(pixels: Tensor, draws: Tensor, probability: float, noise: Tensor) -> Tensor:
    """Fill, with the probability, a rectangle of each image with the levels that `noise` has there.

    `draws` (N, 5) are uniform in [0, 1) and decide whether, area, aspect and place; see `rectangles`. `noise`, uint8
    (H, W, C) or (N, H, W, C), holds uniform random levels: the paper's RE-R.
    """
    erased = (draws[:, 0] < probability).nonzero()[:, 0]
    places = rectangles(draws[erased, 1:DRAWS], *pixels.shape[1:3])
    erased = erased.to(pixels.device)
    if noise.ndim == pixels.ndim:
        noise = noise.index_select(0, erased)
    changed = paste(pixels.index_select(0, erased), noise, places)
    return pixels.clone().index_copy_(0, erased, changed)


def rectangles(draws: Tensor, height: int, width: int) -> Tensor:
    """Return a rectangle for each row of draws of area, aspect, row, column: (N, 4) -> int64 (N, 4).

    A rectangle is top, left, bottom, right; the last two are the first row and column that it no longer holds. The
    area is uniform in `AREA` and the aspect log-uniform in `ASPECT`. Where the paper draws again because a side is
    longer than the image's, the side is cut to it. The place is uniform among those where the rectangle fits.
    """
    share, shape, row, column = draws.to(torch.float64).unbind(1)
    area = (AREA[0] + (AREA[1] - AREA[0]) * share) * height * width
    aspect = torch.exp(math.log(ASPECT[0]) + math.log(ASPECT[1] / ASPECT[0]) * shape)
    tall = (area * aspect).sqrt().round().clamp(1, height)
    wide = (area / aspect).sqrt().round().clamp(1, width)
    top = (row * (height - tall + 1)).floor()
    left = (column * (width - wide + 1)).floor()
    return torch.stack((top, left, top + tall, left + wide), 1).to(torch.int64)


def paste(pixels: Tensor, other: Tensor, places: Tensor) -> Tensor:
    """Return the images with the rectangles (N, 4) of `rectangles` taken from `other`, (H, W, C) or (N, H, W, C)."""
    _, height, width, channels = pixels.shape
    top, left, bottom, right = places.to(pixels.device)[..., None, None].unbind(1)  # (N, 1, 1) each
    y = torch.arange(height, device=pixels.device)[:, None]
    x = torch.arange(width, device=pixels.device).repeat_interleave(channels)
    in_rows = ((y >= top) & (y < bottom)).to(torch.uint8).neg_()  # (N, H, 1), 255 inside and 0 outside
    in_columns = ((x >= left) & (x < right)).to(torch.uint8).neg_()  # (N, 1, W*C)
    rows = pixels.flatten(2)
    # In bits, for torch.where takes ten times as long.
    changes = (other.flatten(-2) ^ rows).bitwise_and_(in_rows).bitwise_and_(in_columns)
    return changes.bitwise_xor_(rows).view(pixels.shape)
