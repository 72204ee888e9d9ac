"""Tiles: how an image is cut so that each place of the last map sees in its tile what it sees in the whole image."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from lenext.cost.geometry import Axis
from lenext.cost.profile import profile
from lenext.cost.trace import Output
from lenext.dense import DenseClassifier
from lenext.errors import UserError

MEMORY_SHARE = 0.5  # of the free memory, for the activations of a tile
LEAST_TILE = 64


@dataclass(frozen=True)
class Span:
    """One side of a tile: pixels `start` to `end`, whose map is cut to `places`, which answer `cells` of the image."""

    start: int
    end: int
    places: slice
    cells: slice


class Tiling:
    """How the images of one network may be cut.

    Place i of the last map sees the `field` pixels that begin at `offset + i * stride`. A tile that begins at a
    multiple of the stride has places of the whole image, and those are kept that see nothing beyond its cut sides.
    Where a place sees the whole image, as with squeeze-and-excitation, the receptive field grows with it: `whole`.
    """

    def __init__(self, dense: DenseClassifier) -> None:
        self.dense = dense
        geometries = [self._last_map((factor * dense.size[0], factor * dense.size[1])).geometry for factor in (2, 3)]
        seen = [[(axis.field, axis.stride, axis.offset) for axis in each or ()] for each in geometries]
        self.whole = not geometries[0] or seen[0] != seen[1]
        self.axes = geometries[0] or ()
        cost = profile(dense, size=dense.size, in_channels=dense.channels)
        self.bytes_a_pixel = (cost.total.activation_bytes + cost.input_bytes) / math.prod(dense.size)

    def _last_map(self, size: tuple[int, int]) -> Output:
        """Return the shape and the geometry of the last map of an image of `size`."""
        channels = self.dense.channels
        if not self.dense.stages:
            return Output((channels, *size), tuple(map(Axis, size)))
        return profile(self.dense, size=size, in_channels=channels).output_of("stages")

    def least(self) -> int:
        """Return the side, in pixels, of the smallest tile that answers one cell anywhere in an image."""
        return max(
            axis.stride * (self._before(axis) + window - 1) + axis.field + axis.offset
            for axis, window in zip(self.axes, self.dense.window, strict=True)
        )

    def fitting(self, free: int) -> int:
        """Return the side of the tile, in pixels, whose activations fit into the share of `free` bytes."""
        return max(LEAST_TILE, math.isqrt(int(MEMORY_SHARE * free / self.bytes_a_pixel)))

    def spans(self, size: tuple[int, int], tile: int) -> tuple[list[Span], list[Span]]:
        """Return the spans of an image of `size`, vertical and horizontal, in tiles of at most `tile` pixels a side.

        Raises:
            UserError: a tile is too small for the network, or the network sees the whole image at every place.
        """
        rows, columns = (self._along(axis, size[axis], tile) for axis in (0, 1))
        return list(rows), list(columns)

    def _along(self, axis: int, length: int, tile: int) -> Iterator[Span]:
        if length <= tile:
            yield Span(0, length, slice(None), slice(None))
            return
        seen, window, step = self.axes[axis], self.dense.window[axis], self.dense.step
        before = self._before(seen)
        total = (self._places(axis, length) - window) // step + 1
        cell = 0
        while cell < total:
            first = max(0, cell * step - before)
            start, end = first * seen.stride, min(length, first * seen.stride + tile)
            last = (end - start - seen.field - seen.offset) // seen.stride + first  # the last place that sees no cut
            stop = total if end == length else (last - window + 1) // step + 1
            if stop <= cell:
                raise UserError(
                    f"a tile of {tile} pixels is too small: a place of the last map sees {seen.field}; "
                    f"give {self.least()} or more"
                )
            places = slice(cell * step - first, (stop - 1) * step + window - first)
            yield Span(start, end, places, slice(cell, stop))
            cell = stop

    def _places(self, axis: int, length: int) -> int:
        """Return how many places the last map has along an image's side: one more for each stride of pixels."""
        stride = self.axes[axis].stride
        least = self.dense.size[axis]
        short = least + (length - least) % stride
        size = (short, self.dense.size[1]) if axis == 0 else (self.dense.size[0], short)
        return self._last_map(size).shape[1 + axis] + (length - short) // stride

    @staticmethod
    def _before(axis: Axis) -> int:
        """Return how many places at the start of a tile see beyond it."""
        return max(0, -(axis.offset // axis.stride))
