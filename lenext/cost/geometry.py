"""Where in the image each position of a feature map looks: receptive field, stride and offset, in input pixels.

Araujo et al. 2019, https://doi.org/10.23915/distill.00021
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Axis:
    """One side of a map: what its `size` positions see along one side of the image.

    Position i sees the `field` pixels that begin at `offset + i * stride`; a negative offset lies in the padding.
    """

    size: int
    field: int = 1
    stride: int = 1
    offset: int = 0

    def slide(self, size: int, kernel: int, stride: int, padding: int, dilation: int = 1) -> Axis:
        """Return the axis behind a window of `kernel` positions that stops at `size` places."""
        return Axis(
            size,
            self.field + (kernel - 1) * dilation * self.stride,
            self.stride * stride,
            self.offset - padding * self.stride,
        )

    def whole(self) -> Axis:
        """Return the axis behind something that sees every position at once."""
        return Axis(1, self.field + (self.size - 1) * self.stride, self.stride, self.offset)


Geometry = tuple[Axis, ...]  # height, width


def join(geometries: Iterable[Geometry]) -> Geometry:
    """Return the geometry of what sees all that any of `geometries` sees, such as a sum or a concatenation."""
    return tuple(_join_axes(axes) for axes in zip(*geometries, strict=False))


def _join_axes(axes: Sequence[Axis]) -> Axis:
    finest = max(axes, key=lambda axis: axis.size)
    offset = min(axis.offset for axis in axes)
    end = max(axis.offset + axis.field for axis in axes)
    return Axis(finest.size, end - offset, finest.stride, offset)
