"""A map of heat: how far each place of an image speaks for a class, and where on the image these places lie."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lenext.pages.heat import Box, laid


@dataclass(frozen=True)
class HeatMap:
    """How far each cell speaks for a class, `values` (h, w); cell (i, j) is centred on `first` + (i, j) * `step`.

    Both are vertical, horizontal, in pixels of the image. What is below zero speaks against the class. `full` is the
    value that is drawn brightest, or None for the largest that there is.
    """

    values: NDArray[np.float32]
    first: tuple[float, float]
    step: tuple[float, float]
    full: float | None = None

    @property
    def peak(self) -> tuple[float, float] | None:
        """The centre of the cell that speaks most for the class, x and y in pixels; None where none does."""
        row, column = divmod(int(self.values.argmax()), self.values.shape[1])
        if self.values[row, column] <= 0:
            return None
        return self.first[1] + column * self.step[1], self.first[0] + row * self.step[0]

    def drawn(self, box: Box, size: tuple[int, int]) -> NDArray[np.float32]:
        """Return the heat, 0 to 1, at each pixel of a picture of `box` (left, top, right, bottom), (height, width).

        Between the centres of cells it is interpolated; beyond the outermost, it stays.
        """
        most = float(self.values.max()) if self.full is None else self.full
        if most <= 0:
            return np.zeros(size, np.float32)
        heat = laid(self.values / most, self.first, self.step, box, size)
        return heat.clip(0, 1).astype(np.float32)

    def moved(self, part: Box, size: tuple[int, int]) -> HeatMap:
        """Return the map of an image of `size` (height, width) on another one, of which that shows `part`."""
        left, top, right, bottom = part
        down, across = (bottom - top) / size[0], (right - left) / size[1]
        first = top + self.first[0] * down, left + self.first[1] * across
        return replace(self, first=first, step=(self.step[0] * down, self.step[1] * across))
