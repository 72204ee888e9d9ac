"""Drawings of a page: the sizes of images, and their shapes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lenext.pages.drawing import GOOD, INK, POOR, as_svg, new_figure

STEPS = 48  # of a scale, by which sizes are drawn together
LONGEST = 4.0  # times as long as wide, beyond which shapes are drawn at the edge
SHAPES = {"1:4": 1 / 4, "1:2": 1 / 2, "3:4": 3 / 4, "1:1": 1.0, "4:3": 4 / 3, "2:1": 2.0, "4:1": 4.0}


def draw_sizes(heights: NDArray[Any], widths: NDArray[Any]) -> str:
    """Return two panels as an SVG element: width against height, and how often each shape is there."""
    with new_figure(10, 3.8) as figure:
        sizes, shapes = figure.subplots(1, 2, width_ratios=(1, 1.3))
        _draw_sizes(sizes, heights.astype(float), widths.astype(float))
        _draw_shapes(shapes, widths / heights)
        return as_svg(figure)


def _draw_sizes(axes: Any, heights: NDArray[Any], widths: NDArray[Any]) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

    low = min(heights.min(), widths.min()) / 1.25
    high = max(heights.max(), widths.max()) * 1.25
    step = (np.log(high) - np.log(low)) / STEPS
    cells = np.stack([np.log(widths / low) // step, np.log(heights / low) // step], 1)
    places, counts = np.unique(cells, axis=0, return_counts=True)
    x, y = (low * np.exp((places[:, i] + 0.5) * step) for i in (0, 1))
    axes.plot([low, high], [low, high], color=INK, alpha=0.25, linewidth=1)
    axes.scatter(x, y, s=8 + 240 * counts / counts.max(), color=GOOD, alpha=0.55, linewidths=0)
    axes.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, high), aspect="equal")
    axes.set_xlabel("width (pixels)")
    axes.set_ylabel("height (pixels)")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low < 60 else (1,)))
        axis.set_major_formatter(ScalarFormatter())
        axis.set_minor_formatter(NullFormatter())
    axes.grid(alpha=0.15, color=INK)


def _draw_shapes(axes: Any, ratios: NDArray[Any]) -> None:
    ends = np.log2(LONGEST)
    logs = np.log2(ratios).clip(-ends, ends)
    counts, edges = np.histogram(logs, bins=np.linspace(-ends, ends, 2 * STEPS + 1))
    middles = (edges[1:] + edges[:-1]) / 2
    long = np.abs(middles) > 1
    width = edges[1] - edges[0]
    axes.bar(middles[~long], counts[~long], width, color=GOOD)
    axes.bar(middles[long], counts[long], width, color=POOR)
    axes.set_xticks([float(np.log2(shape)) for shape in SHAPES.values()], [*SHAPES])
    axes.set_xlabel("width : height; amber: a square crop loses more than half")
    axes.set_ylabel("images")
    axes.set_xlim(-ends, ends)
    axes.grid(alpha=0.15, color=INK, axis="y")
