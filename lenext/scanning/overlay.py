"""The picture of a scan: the class map as heat over the greyed image, the peaks as boxes with their probability."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from lenext.pages.heat import MIDDLING, blended, cells_along, greyed, laid
from lenext.scanning.peaks import ClassMap, Peak
from lenext.scanning.pixels import Pixels

LONGEST, SHORTEST = 1600, 760  # pixels of the image in the picture: at most, and what smaller ones are enlarged to
DPI = 100
INK, LIGHT_INK, BOX = "#1b1f27", "#6b7280", "#ffffff"
LABELLED = 60  # peaks with their probability written beside them; more would cover the picture


def draw(pixels: Pixels, maps: Sequence[ClassMap], peaks: Sequence[Peak], title: str) -> bytes:
    """Return the picture as the bytes of a PNG, no longer than some 2,000 pixels a side."""
    longest = max(pixels.height, pixels.width)
    ratio = min(LONGEST / longest, max(1.0, SHORTEST / longest))
    height, width = max(1, round(pixels.height * ratio)), max(1, round(pixels.width * ratio))
    heat = heat_map(maps, (height, width), ratio)
    backdrop = greyed(pixels.region((height, width), 0, 0, height, width, "bilinear"))

    left, right, top, bottom = 24, 96, 56, 24  # pixels around the image
    full = max(width + left + right, 420), max(height + top + bottom, 220)
    figure = Figure(figsize=(full[0] / DPI, full[1] / DPI), dpi=DPI, facecolor="white")
    place = (left / full[0], 1 - (top + height) / full[1], width / full[0], height / full[1])
    axes = figure.add_axes(place)
    axes.imshow(
        blended(backdrop, heat), extent=(0, pixels.width, pixels.height, 0), interpolation="none", aspect="auto"
    )
    axes.set_axis_off()
    _add_bar(figure, (left + width + 16) / full[0], place[1], place[3], full[0])
    _add_peaks(axes, pixels, peaks, ratio)
    scales = ", ".join(f"{each.scale:g}" for each in maps)
    few = "no peak" if not peaks else f"{len(peaks):,} peak{'s' * (len(peaks) > 1)}"
    shown = f", the best {LABELLED} labelled" if len(peaks) > LABELLED else ""
    figure.text(left / full[0], 1 - 24 / full[1], title, fontsize=13, color=INK, weight="bold", va="center")
    caption = f"{few}{shown}   scale{'s' * (len(maps) > 1)} {scales}   {pixels.width} x {pixels.height} pixels"
    figure.text(left / full[0], 1 - 44 / full[1], caption, fontsize=8.5, color=LIGHT_INK, va="center")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI)
    return buffer.getvalue()


def heat_map(maps: Sequence[ClassMap], size: tuple[int, int], ratio: float) -> NDArray[np.float32]:
    """Return the probability at each pixel of the picture, (height, width): the largest of all scales.

    Between the centres of cells it is interpolated; beyond the outermost it fades, to nothing half a window away.
    `ratio` is pixels of the picture for one of the image.
    """
    heat = np.zeros(size, np.float32)
    for each in maps:
        shown = laid(each.probability, each.first, each.step, (0, 0, size[1] / ratio, size[0] / ratio), size)
        down, right = (_fading(each, axis, size[axis], ratio) for axis in (0, 1))
        np.maximum(heat, shown * down[:, None] * right, out=heat, casting="same_kind")
    return heat.clip(0, 1)


def _fading(one: ClassMap, axis: int, length: int, ratio: float) -> NDArray[np.floating[Any]]:
    """Return how much of the answer is shown at each pixel of a side, (length,)."""
    cells = cells_along(one.first[axis], one.step[axis], 0, length / ratio, length)
    last = one.probability.shape[axis] - 1
    beyond = np.maximum(0, np.maximum(-cells, cells - last)) * one.step[axis]
    shown: NDArray[np.floating[Any]] = np.clip(1 - beyond / (one.window[axis] / 2), 0, 1)
    return shown


def _add_bar(figure: Figure, left: float, bottom: float, height: float, width: int) -> None:
    axes = figure.add_axes((left, bottom, 12 / width, height))
    levels = np.linspace(1, 0, 256)[:, None]
    axes.imshow(blended(np.full_like(levels, MIDDLING), levels), extent=(0, 1, 0, 1), aspect="auto")
    axes.set_xticks([])
    axes.yaxis.tick_right()
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1])
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g} %")
    axes.tick_params(length=3, width=0.6, labelsize=8.5, colors=LIGHT_INK, pad=3)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _add_peaks(axes: Axes, pixels: Pixels, peaks: Sequence[Peak], ratio: float) -> None:
    """Draw the boxes, the best on top, each with its probability above its upper left corner."""
    halo: list[patheffects.AbstractPathEffect] = [patheffects.withStroke(linewidth=3.4, foreground="#000000a0")]
    small = min(((peak.box[2] - peak.box[0]) * ratio for peak in peaks), default=0) < 70
    font = 6.5 if small else 9.0
    tag: dict[str, Any] = {"boxstyle": "square,pad=0.25", "facecolor": BOX, "edgecolor": "none"}
    for rank in range(len(peaks) - 1, -1, -1):
        left, top, right, bottom = peaks[rank].box
        box = Rectangle((left, top), right - left, bottom - top, fill=False, edgecolor=BOX, linewidth=1.5)
        box.set(path_effects=halo, clip_on=False, zorder=3)
        axes.add_patch(box)
        if not small:
            mark: dict[str, Any] = {"color": BOX, "markersize": 6, "markeredgewidth": 1.2, "path_effects": halo}
            axes.plot(peaks[rank].x, peaks[rank].y, "+", **mark)
        if rank < LABELLED:
            inside = top * ratio < 2 * font
            axes.annotate(
                f"{100 * peaks[rank].probability:.0f} %", (left, top), (2, -3 if inside else 1),
                textcoords="offset points", fontsize=font, color=INK, weight="bold",
                va="top" if inside else "bottom", ha="left", bbox=tag, zorder=4, annotation_clip=False,
            )  # fmt: skip
    axes.set_xlim(0, pixels.width)
    axes.set_ylim(pixels.height, 0)
