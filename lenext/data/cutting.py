"""Cutting windows out of images that are decoded already, and bringing them to the size of the model."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lenext.data.images import Pixels
from lenext.data.resizing import resize


def cut(
    images: Pixels, indices: NDArray[np.int64], windows: NDArray[np.int64], size: tuple[int, int], *, reflect: bool
) -> NDArray[np.uint8]:
    """Return the windows (N, 4) of the images at `indices`, as uint8 (N, H, W, C) of `size`.

    What lies outside an image is black, or, with `reflect`, its mirror image.
    """
    made = np.empty((len(indices), *size, images.channels), np.uint8)
    for place, (index, window) in enumerate(zip(indices.tolist(), windows.tolist(), strict=True)):
        cut_one(images.image(index), window, made[place], reflect=reflect)
    return made


def cut_one(
    image: NDArray[np.uint8], window: tuple[int, int, int, int], out: NDArray[np.uint8], *, reflect: bool
) -> None:
    """Write the window of one image (H, W, C) to `out`, whose size it has or is brought to."""
    top, left, height, width = window
    if top < 0 or left < 0 or top + height > image.shape[0] or left + width > image.shape[1]:
        _beyond(image, top, left, out, reflect=reflect)
        return
    part = image[top : top + height, left : left + width]
    if part.shape == out.shape:
        out[:] = part
    else:
        resize(part, out)


def _beyond(image: NDArray[np.uint8], top: int, left: int, out: NDArray[np.uint8], *, reflect: bool) -> None:
    """Write a window of the size of `out` that lies partly outside the image."""
    height, width = out.shape[:2]
    if reflect:
        rows, columns = _mirrored(top, height, image.shape[0]), _mirrored(left, width, image.shape[1])
        out[:] = image[rows[:, None], columns]
        return
    out[:] = 0
    above, aside = max(0, top), max(0, left)
    below, beside = min(image.shape[0], top + height), min(image.shape[1], left + width)
    if above < below and aside < beside:
        out[above - top : below - top, aside - left : beside - left] = image[above:below, aside:beside]


def _mirrored(start: int, count: int, side: int) -> NDArray[np.int64]:
    """Return the rows that `count` rows from `start` on show, where the image goes on as in a mirror at its edge."""
    if side == 1:
        return np.zeros(count, np.int64)
    period = 2 * (side - 1)
    rows = np.abs(np.arange(start, start + count)) % period
    mirrored: NDArray[np.int64] = np.minimum(rows, period - rows)
    return mirrored
