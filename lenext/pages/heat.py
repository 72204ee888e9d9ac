"""Heat over a greyed picture: what is hot is bright, what is cold lets the picture through."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

# From nothing over violet and orange to pale yellow.
STOPS = ("#2b0b57", "#7a1f80", "#c9385f", "#f57b32", "#fcd45c", "#fffbd0")
LEVELS = np.array([[int(stop[i : i + 2], 16) / 255 for i in (1, 3, 5)] for stop in STOPS])
OPAQUE = 0.85  # of the picture, what the hottest place covers
MIDDLING = 0.3  # the grey under the colours of a scale

Floats = NDArray[np.floating[Any]]
Box = tuple[float, float, float, float]  # left, top, right, bottom


def colours(heat: Floats) -> Floats:
    """Return the colour of heat from 0 to 1, red, green and blue from 0 to 1: (...) -> (..., 3)."""
    places = np.linspace(0, 1, len(LEVELS))
    return np.stack([np.interp(heat, places, LEVELS[:, channel]) for channel in range(3)], -1)


def blended(grey: Floats, heat: Floats) -> Floats:
    """Return heat from 0 to 1 over grey from 0 to 1, as colours: (H, W), (H, W) -> (H, W, 3)."""
    alpha = (OPAQUE * np.sqrt(heat))[..., None]
    mixed: Floats = grey[..., None] * (1 - alpha) + colours(heat) * alpha
    return mixed


def scale() -> list[str]:
    """Return the colours of heat from nothing to all, as they lie on a picture of middling grey: #rrggbb each."""
    heat = np.linspace(0, 1, 9)
    levels = (255 * blended(np.full_like(heat, MIDDLING), heat)).round().astype(int)
    return [f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in levels.tolist()]


def greyed(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return an image in grey from 0 to 1, its contrast lowered: uint8 (H, W, C) -> (H, W)."""
    shown = pixels.astype(np.float64) / 255
    grey = shown @ [0.299, 0.587, 0.114] if shown.shape[2] == 3 else shown[..., 0]
    return np.asarray(0.06 + 0.82 * grey)


def cells_along(first: float, step: float, start: float, end: float, length: int) -> NDArray[np.float64]:
    """Return on which cell each of `length` pixels from `start` to `end` lies; cell i is centred at first + i step."""
    return np.asarray((start + (np.arange(length) + 0.5) * ((end - start) / length) - first) / step)


def laid(
    values: Floats, first: tuple[float, float], step: tuple[float, float], box: Box, size: tuple[int, int]
) -> Floats:
    """Return what a map of cells, (h, w), shows at each pixel of a picture of `box`, (height, width).

    Cell (i, j) is centred on `first` + (i, j) * `step`, each pair vertical, horizontal, in the measure of `box`.
    Between centres it is interpolated; beyond the outermost, it stays as it is there.
    """
    from scipy.ndimage import map_coordinates

    left, top, right, bottom = box
    rows = cells_along(first[0], step[0], top, bottom, size[0])
    columns = cells_along(first[1], step[1], left, right, size[1])
    shown: Floats = map_coordinates(values, np.meshgrid(rows, columns, indexing="ij"), order=1, mode="nearest")
    return shown
