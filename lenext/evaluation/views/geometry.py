"""Where the views of an image lie, in pixels of the image brought to some size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from lenext.data.decode import covering

Size = tuple[int, int]  # height, width
Box = tuple[int, int, int, int]  # top, left, height, width


@dataclass(frozen=True)
class View:
    """One look at an image: brought to `scaled` pixels, of which `box` is cut, brought to `size`, mirrored or not.

    Where `scaled` is None, it is the image as the model's own preprocessing gives it.
    """

    scaled: Size | None
    box: Box
    size: Size
    mirrored: bool = False


def mirrored(views: Sequence[View]) -> list[View]:
    """Return the views, and then each of them mirrored left to right."""
    return [*views, *(replace(view, mirrored=True) for view in views)]


def as_stored(size: Size) -> list[View]:
    """Return the image as the model's own preprocessing gives it."""
    return [View(None, (0, 0, *size), size)]


def whole(sides: Size, covered: Size) -> list[View]:
    """Return all of an image of `sides`, made no larger than covers `covered`."""
    scaled = covering(sides, covered)
    return [View(scaled, (0, 0, *scaled), scaled)]


def central(sides: Size, covered: Size) -> View:
    """Return the middle of an image of `sides`: what has the size `covered` once it is covered."""
    scaled = covering(sides, covered)
    return View(scaled, (*middle(scaled, covered), *covered), covered)


def middle(outer: Size, inner: Size) -> Size:
    """Return where a part of size `inner` begins in the middle of `outer`: top and left."""
    return round((outer[0] - inner[0]) / 2), round((outer[1] - inner[1]) / 2)


def five(region: View, size: Size) -> list[View]:
    """Return the four corners and the middle of a region, each of `size`."""
    top, left, height, width = region.box
    down, right = height - size[0], width - size[1]
    starts = [(0, 0), (0, right), (down, 0), (down, right), middle((height, width), size)]
    return [_part(region, (top + y, left + x), size) for y, x in starts]


def grid(region: View, size: Size, count: int) -> list[View]:
    """Return `count` by `count` views of `size`, spread evenly over a region from edge to edge."""
    top, left, height, width = region.box
    rows, columns = (np.linspace(0, room, count) for room in (height - size[0], width - size[1]))
    return [_part(region, (top + round(y), left + round(x)), size) for y in rows for x in columns]


def anywhere(region: View, size: Size, count: int, draws: np.random.Generator) -> list[View]:
    """Return `count` views of `size` at places of a region that are drawn, each as likely as any."""
    top, left, height, width = region.box
    rows = draws.integers(0, height - size[0], count, endpoint=True)
    columns = draws.integers(0, width - size[1], count, endpoint=True)
    return [_part(region, (top + int(y), left + int(x)), size) for y, x in zip(rows, columns, strict=True)]


def three(sides: Size, covered: Size) -> list[View]:
    """Return three parts of size `covered` along the longer side of an image: its beginning, middle and end."""
    scaled = covering(sides, covered)
    down, right = scaled[0] - covered[0], scaled[1] - covered[1]
    starts = [(0, 0), middle(scaled, covered), (down, right)]
    return [View(scaled, (*start, *covered), covered) for start in starts]


def shrunk(region: View, size: Size) -> View:
    """Return a region whole, brought to `size`."""
    return replace(region, size=size)


def _part(region: View, start: Size, size: Size) -> View:
    return View(region.scaled, (*start, *size), size, region.mirrored)
