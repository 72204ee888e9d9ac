"""The chart of a comparison: published error against multiply-adds, with the parameters as area.

A panel a dataset, for errors on different images do not compare.
"""

from __future__ import annotations

import io
import math
import textwrap
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from statistics import fmean, median
from typing import Any, Literal

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.textpath import text_to_path
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, ScalarFormatter

from lenext.cost.comparison import Comparison
from lenext.cost.labels import leads, place_labels
from lenext.errors import UserError
from lenext.files import write_atomically

Metric = Literal["top1", "top5"]
Panels = dict[str, list[Comparison]]  # the models of each dataset
Looks = dict[str, tuple[str, str]]  # colour and mark of each protocol
FORMATS = (".png", ".svg")
# One colour a protocol, for errors measured in different ways do not compare: Okabe and Ito's, which colour-blind
# readers tell apart, then Tol's. No more than eight are told apart safely, so the next eight have another mark as well.
COLOURS = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999999",
    "#882255", "#999933", "#332288", "#44aa99", "#aa4499", "#661100", "#6699cc", "#117733",
)  # fmt: skip
MARKS = "oDs^vP"
INK, LIGHT_INK, FAINT = "#222222", "#6e6e6e", "#8a8a8a"
DISC = 1000.0  # the square of the largest disc's diameter, in points
FONTS = (9.0, 8.0, 7.0, 6.0)  # of the labels: the first in which none clash
SMALL, GAP = 0.85, 0.35  # font of the year, and the space before it, in terms of the font of the name
MARGIN = (5.0, 2.0)  # points that a label keeps free across and upwards, half on either side


def choose(rows: Sequence[Comparison], metric: Metric | None = None) -> tuple[Metric, Panels]:
    """Return the error of a chart, the one that most models have if not given, and the models that have it by dataset.

    Raises:
        UserError: none of the models has a published error.
    """
    if not any(row.error for row in rows):
        raise UserError(f"no error was published of {', '.join(row.name for row in rows)}: there is nothing to draw")
    counts = {name: sum(getattr(row.error, name, None) is not None for row in rows) for name in ("top1", "top5")}
    chosen: Metric = metric or ("top5" if counts["top5"] > counts["top1"] else "top1")
    panels: Panels = {}
    for row in rows:
        if row.error and getattr(row.error, chosen) is not None:
            panels.setdefault(row.error.dataset, []).append(row)
    if not panels:
        raise UserError(f"no {chosen} error was published of these models; leave --error out")
    return chosen, dict(sorted(panels.items(), key=lambda panel: median(row.total.macs for row in panel[1])))


def write_chart(rows: Sequence[Comparison], path: Path, metric: Metric | None = None) -> list[str]:
    """Write the chart to `path`, a PNG or an SVG, and return the names of the models that it cannot show.

    Raises:
        UserError: another kind of file, or none of the models has a published error.
        LenextError: the file cannot be written.
    """
    kind = path.suffix.lower()
    if kind not in FORMATS:
        raise UserError(f"{path.name} is no {' or '.join(FORMATS)}: give a name that ends so")
    chosen, panels = choose(rows, metric)
    style: dict[Any, Any] = {
        "svg.fonttype": "none", "svg.hashsalt": "lenext", "font.family": "sans-serif", "font.size": 10,
        "text.color": INK, "axes.edgecolor": FAINT, "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK,
        "axes.spines.top": False, "axes.spines.right": False,
    }  # fmt: skip
    with matplotlib.rc_context(style):
        picture = _draw(panels, kind[1:], chosen)
    write_atomically(path, lambda beside: beside.write_bytes(picture))
    shown = {row.name for of in panels.values() for row in of}
    return [row.name for row in rows if row.name not in shown]


def _draw(panels: Panels, kind: str, metric: Metric) -> bytes:
    everything = [row for rows in panels.values() for row in rows]
    grown = min(2.0, max(1.0, math.sqrt(len(everything) / 20)))
    least = [0.8 + 0.07 * max(len("".join(_words(row))) for row in rows) for rows in panels.values()]
    width = max((9 if len(panels) == 1 else 10) * grown, sum(least) + 3)
    shares = [
        max((width - 3) * len(rows) / len(everything), inches)
        for rows, inches in zip(panels.values(), least, strict=True)
    ]
    figure = Figure(figsize=(width, 5.6 * grown), dpi=160, layout="constrained")
    all_axes = figure.subplots(1, len(panels), width_ratios=shares, squeeze=False)[0]
    caption = figure.supxlabel("multiply-adds of an image", fontsize=10)
    unit = DISC / max(row.total.params for row in everything)
    looks: Looks = {
        protocol: (COLOURS[rank % len(COLOURS)], MARKS[rank // 8 % len(MARKS)])
        for rank, (protocol, _) in enumerate(Counter(map(_protocol, everything)).most_common())
    }
    for axes, (dataset, rows) in zip(all_axes, panels.items(), strict=True):
        _plot(axes, dataset, rows, metric, unit, looks)
    legends = _add_legends(figure, looks, unit)
    # Limits and ticks follow from the size of a panel, which follows a little from the width of its tick labels.
    for _ in range(2):
        figure.draw_without_rendering()
        for axes, rows in zip(all_axes, panels.values(), strict=True):
            _set_scales(axes, rows, metric)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    right, top = all_axes[-1].get_position().max
    caption.set_x((all_axes[0].get_position().x0 + right) / 2)
    for legend in legends:
        legend.set_loc("upper left")
        legend.set_bbox_to_anchor((right, top), figure.transFigure)
        top -= (legend.get_window_extent().height + 0.15 * figure.dpi) / figure.bbox.height
    _add_labels(all_axes, panels, metric, unit)
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, metadata={"Date": None, "Creator": None} if kind == "svg" else None)
    return buffer.getvalue()


def _plot(axes: Any, dataset: str, rows: Sequence[Comparison], metric: Metric, unit: float, looks: Looks) -> None:
    """Draw each model's mark on a disc of its parameters' area, small discs above large ones."""
    for row in sorted(rows, key=lambda row: -row.total.params):
        colour, mark = looks[_protocol(row)]
        x, y = _point(row, metric)
        axes.scatter(x, y, s=unit * row.total.params, color=colour, alpha=0.25, linewidths=0, zorder=2)
        axes.scatter(x, y, s=12, color=colour, marker=mark, linewidths=0, zorder=4)
    axes.set_xscale("log")
    axes.grid(alpha=0.12, color=INK, which="major")
    axes.set_axisbelow(True)
    axes.set_title(f"{dataset}\n", loc="left", fontsize=10, fontweight="bold")
    below = {"xycoords": "axes fraction", "textcoords": "offset points", "color": LIGHT_INK}
    axes.annotate(f"{'top-1' if metric == 'top1' else 'top-5'} error (%)", (0, 1), (0, 6), **below)


def _set_scales(axes: Any, rows: Sequence[Comparison], metric: Metric) -> None:
    """Leave room for discs and labels around the models, and show as many ticks as have room for their text."""
    x, y = zip(*(_point(row, metric) for row in rows), strict=True)
    width, height = _room(axes)
    low, high = _limits([math.log10(macs) for macs in x], width, least=0.6)
    bottom, top = _limits(y, height, least=(0.4 if len(y) == 1 else 0.15) * fmean(y))
    axes.set_xlim(10**low, 10**high)
    axes.set_ylim(max(bottom, 0), top)
    for steps, every in (((1, 2, 5), 1), ((1, 3), 1), ((1,), 1), ((1,), 2), ((1,), 3)):
        powers = range(math.floor(low), math.ceil(high) + 1, every)
        ticks = [step * 10**power for power in powers for step in steps if low <= power + math.log10(step) <= high]
        if all(math.log10(after / before) * width / (high - low) > 40 for before, after in pairwise(ticks)):
            break
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(LogLocator(subs="all"))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
    axes.xaxis.set_minor_formatter(FuncFormatter(lambda _value, _: ""))
    axes.yaxis.set_major_locator(MaxNLocator(min(9, max(2, int(height // 35))), steps=(1, 2, 5, 10)))
    axes.yaxis.set_major_formatter(ScalarFormatter(useOffset=False))
    axes.ticklabel_format(axis="y", style="plain")


def _limits(values: Sequence[float], length: float, least: float) -> tuple[float, float]:
    """Return the ends of an axis of `length` points: the values, taken to span `least` or more, and a margin."""
    low, high = min(values), max(values)
    margin = min(0.2 * length, max(0.1 * length, 26))
    half = max(high - low, least) / 2 * length / (length - 2 * margin)
    return (low + high) / 2 - half, (low + high) / 2 + half


def _add_legends(figure: Any, looks: Looks, unit: float) -> list[Any]:
    """Tell what colour stands for which protocol, and what area for how many parameters."""
    steps = [step * 10**power for power in range(12) for step in (1, 2, 5)]
    sizes = [size for size in steps if size * unit <= DISC][-1:-6:-2][::-1]

    def mark(diameter: float, **look: Any) -> Line2D:
        return Line2D([], [], markersize=diameter, markeredgewidth=0, linestyle="", **look)

    style: dict[str, Any] = {
        "frameon": False, "fontsize": 9, "alignment": "left", "title_fontproperties": {"weight": "bold", "size": 9},
        "loc": "outside right upper",
    }  # fmt: skip
    protocols = figure.legend(
        [mark(6.5, color=colour, marker=shape) for colour, shape in looks.values()],
        [textwrap.fill(text, 24, break_on_hyphens=False) for text in looks],
        title="protocol", labelspacing=0.8, **style,
    )  # fmt: skip
    areas = figure.legend(
        [mark(math.sqrt(size * unit), color=FAINT, marker="o", alpha=0.45) for size in sizes],
        [_short(size) for size in sizes], title="parameters (area)", labelspacing=1.6, handlelength=3.2, **style,
    )  # fmt: skip
    figure.draw_without_rendering()
    needed = sum(legend.get_window_extent().height for legend in (protocols, areas)) / figure.dpi + 1.2
    figure.set_figheight(max(figure.get_figheight(), needed))
    return [protocols, areas]


def _add_labels(all_axes: Sequence[Any], panels: Panels, metric: Metric, unit: float) -> None:
    """Write name and year beside each model, in the largest font in which no label covers anything."""
    scenes = []
    for axes, rows in zip(all_axes, panels.values(), strict=True):
        pixels = axes.transData.transform([_point(row, metric) for row in rows]) - axes.bbox.min
        scenes.append((pixels / axes.figure.dpi * 72, np.sqrt([unit * row.total.params for row in rows]) / 2))
    for font in FONTS:
        extents = [np.array([_extent(row, font) for row in rows]) + MARGIN for rows in panels.values()]
        found = [
            place_labels(np.array(_room(axes)), *scene, extent)
            for axes, scene, extent in zip(all_axes, scenes, extents, strict=True)
        ]
        if not any(clashes for _, clashes in found):
            break
    for axes, rows, scene, extent, (corners, _) in zip(all_axes, panels.values(), scenes, extents, found, strict=True):
        ways = leads(*scene, corners, extent)
        for row, dot, corner, way in zip(rows, scene[0], corners, ways, strict=True):
            _write(axes, row, metric, font, corner - dot, way)


def _write(axes: Any, row: Comparison, metric: Metric, font: float, corner: Any, way: Any) -> None:
    """Write the label whose lower left corner is `corner` away from the model, and a line of `way` from the model."""
    point = _point(row, metric)
    if way is not None:
        line = {"arrowstyle": "-", "color": FAINT, "lw": 0.6, "shrinkA": 0, "shrinkB": 2}
        axes.annotate("", point, way, textcoords="offset points", arrowprops=line, zorder=3)
    name, year = _words(row)
    # The two meet where one ends and the other begins, so that they do not overlap in a font other than ours.
    x, y = corner[0] + MARGIN[0] / 2 + _width(name, font), corner[1] + MARGIN[1] / 2 + 0.24 * font
    style = {"textcoords": "offset points", "va": "baseline", "zorder": 5}
    axes.annotate(name, point, (x, y), ha="right", fontsize=font, **style)
    if year:
        axes.annotate(year, point, (x + GAP * font, y), fontsize=SMALL * font, color=LIGHT_INK, **style)


def _room(axes: Any) -> tuple[float, float]:
    """Return width and height of a panel in points."""
    return axes.bbox.width / axes.figure.dpi * 72, axes.bbox.height / axes.figure.dpi * 72


def _extent(row: Comparison, font: float) -> tuple[float, float]:
    """Return width and height of a label in points."""
    name, year = _words(row)
    return _width(name, font) + (GAP * font + _width(year, SMALL * font) if year else 0), font


def _width(text: str, font: float) -> float:
    width: float = text_to_path.get_text_width_height_descent(text, FontProperties(size=font), ismath=False)[0]
    return width


def _words(row: Comparison) -> tuple[str, str]:
    """Return name and year, the latter empty where the name tells it."""
    return row.name, "" if str(row.year) in row.name else str(row.year)


def _short(count: float) -> str:
    thousands = max(0, int(math.log10(count) + 1e-9) // 3)
    return f"{count / 1000**thousands:g} {' kMGTP'[thousands]}".strip()


def _protocol(row: Comparison) -> str:
    assert row.error is not None
    return row.error.protocol


def _point(row: Comparison, metric: Metric) -> tuple[float, float]:
    """Return multiply-adds and error of a model."""
    return row.total.macs, getattr(row.error, metric)
