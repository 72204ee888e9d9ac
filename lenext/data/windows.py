"""Windows: which part of each image training shows, drawn for a whole batch, whatever size each image has."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from lenext.data.augmentation.augmentation import Augmentation

ATTEMPTS = 10  # of an Inception crop to lie inside the image, before the whole is taken
ASPECT = math.log(4 / 3)  # of an Inception crop against the model's shape, either way
DRAWS = 2 * ATTEMPTS + 2  # numbers an image


def draw_windows(
    augmentation: Augmentation, draws: NDArray[np.float64], sides: NDArray[np.int64], size: tuple[int, int]
) -> NDArray[np.int64]:
    """Return (N, 4), the top, left, height and width of each window in pixels of its image.

    `draws` are (N, DRAWS) uniform numbers, `sides` (N, 2) the height and width of each image, `size` the model's.
    A window that is not of the model's size is to be resized to it; one of `pad` and `translate` may lie partly
    outside the image, which has the model's size then.
    """
    crop = augmentation.crop
    if crop == "inception":
        return _of_area(augmentation.area, draws, sides, size)
    if crop == "random":
        return _of_scale(augmentation.scale, draws, sides, size)
    windows = np.zeros((len(sides), 4), np.int64)
    windows[:, 2:] = sides
    if crop in ("pad", "translate"):
        windows[:, :2] = np.floor(draws[:, :2] * (2 * augmentation.padding + 1)) - augmentation.padding
    return windows


def _of_scale(
    scale: tuple[float, ...], draws: NDArray[np.float64], sides: NDArray[np.int64], size: tuple[int, int]
) -> NDArray[np.int64]:
    """Return windows of the model's shape in images whose shorter side is drawn from `scale` times the model's."""
    low, high = scale
    wanted = np.array(size, np.float64)
    ratio = low + draws[:, 2] * (high - low)
    covered = ratio * (wanted / sides).max(1)  # from pixels of the image to those of the one of that scale
    inside = np.clip(np.rint(wanted / covered[:, None]).astype(np.int64), 1, sides)
    room = sides - inside
    start = np.zeros_like(room)
    if low == high:  # of the middle, cut to the model's shape
        middle = np.clip(np.rint(wanted * (ratio / covered)[:, None]).astype(np.int64), inside, sides)
        start, room = (sides - middle) // 2, middle - inside
    return np.concatenate([start + _places(draws[:, :2], room), inside], 1)


def _of_area(
    area: tuple[float, ...], draws: NDArray[np.float64], sides: NDArray[np.int64], size: tuple[int, int]
) -> NDArray[np.int64]:
    """Return windows of a share of each image's area; the first of several draws that lies inside is taken."""
    low, high = area
    shape = size[1] / size[0]  # that aspects are drawn around
    pixels = sides.prod(1)[:, None]
    areas = pixels * (low + draws[:, 2 : 2 + ATTEMPTS] * (high - low))  # (N, ATTEMPTS)
    aspects = shape * np.exp((2 * draws[:, 2 + ATTEMPTS :] - 1) * ASPECT)  # width by height
    tried = np.stack([np.rint(np.sqrt(areas / aspects)), np.rint(np.sqrt(areas * aspects))], -1).astype(np.int64)
    fits = ((tried >= 1) & (tried <= sides[:, None])).all(-1)
    inside = tried[np.arange(len(sides)), fits.argmax(1)]
    # Where none fits, the largest part of the middle whose shape is allowed.
    height, width = sides[:, 0], sides[:, 1]
    bound = math.exp(ASPECT)
    tall, broad = np.rint(width * bound / shape), np.rint(height * bound * shape)
    fallback = np.maximum(1, np.stack([np.minimum(height, tall), np.minimum(width, broad)], -1))
    fitting = np.any(fits, 1, keepdims=True)
    inside = np.where(fitting, inside, fallback.astype(np.int64))
    room = sides - inside
    return np.concatenate([np.where(fitting, _places(draws[:, :2], room), room // 2), inside], 1)


def _places(draws: NDArray[np.float64], room: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.floor(draws * (room + 1)).astype(np.int64)
