"""The chart of a bench: how long each engine takes, a panel for each number of images at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lenext.deployment.benching.result import Bench
from lenext.engines.remembered import Row
from lenext.errors import UserError
from lenext.files import write_atomically

FORMATS = (".png", ".svg")
BAR, BEST, APART = "#9db4c8", "#0072b2", "#d9d9d9"  # an engine, the fastest, one that does not agree
INK, LIGHT_INK = "#222222", "#6e6e6e"
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none", "svg.hashsalt": "lenext", "font.family": "sans-serif", "font.size": 10,
    "text.color": INK, "axes.labelcolor": LIGHT_INK, "xtick.color": LIGHT_INK, "ytick.color": INK,
}  # fmt: skip


def chart_kind(path: Path) -> str:
    """Return the kind of picture that a name asks for.

    Raises:
        UserError: neither a PNG nor an SVG.
    """
    kind = path.suffix.lower()
    if kind not in FORMATS:
        raise UserError(f"{path.name} is no {' or '.join(FORMATS)}: give a name that ends so")
    return kind[1:]


def write_chart(bench: Bench, path: Path) -> None:
    """Write the chart to `path`: a bar to the median, and a whisker to the 95th percentile.

    Raises:
        UserError: neither a PNG nor an SVG, or no engine was measured.
        LenextError: the file cannot be written.
    """
    kind = chart_kind(path)
    if not bench.rows:
        raise UserError(f"no engine answered for {bench.model}: there is nothing to draw")
    with matplotlib.rc_context(STYLE):
        figure = _drawn(bench)
        write_atomically(path, lambda beside: figure.savefig(beside, format=kind, dpi=160, metadata=_said(kind)))


def _said(kind: str) -> dict[str, Any]:
    return {"Date": None} if kind == "svg" else {}


def _drawn(bench: Bench) -> Figure:
    batches = sorted({row.batch for row in bench.rows})
    panels = [[row for row in bench.rows if row.batch == batch] for batch in batches]
    heights = [0.42 * len(rows) + 0.75 for rows in panels]
    figure = Figure(figsize=(8, sum(heights) + 0.75), layout="constrained")
    axes = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)[:, 0]
    for rows, place in zip(panels, axes, strict=True):
        _draw_panel(place, sorted(rows, key=lambda row: row.p50_ms))
    threads = bench.rows[0].threads
    figure.suptitle(
        f"{bench.model}: milliseconds to an answer, {threads} {'thread' if threads == 1 else 'threads'}",
        x=0.01, ha="left", fontsize=12,
    )  # fmt: skip
    axes[-1].set_xlabel(f"median, and whisker to the 95th percentile; {bench.machine}", loc="left", fontsize=8)
    return figure


def _draw_panel(axes: Axes, rows: list[Row]) -> None:
    best = next((row for row in rows if row.agrees), None)
    for place, row in enumerate(rows):
        colour = BEST if row is best else BAR if row.agrees else APART
        axes.barh(place, row.p50_ms, height=0.62, color=colour)
        axes.plot([row.p50_ms, row.p95_ms], [place, place], color=INK, linewidth=1)
        axes.plot([row.p95_ms] * 2, [place - 0.13, place + 0.13], color=INK, linewidth=1)
        text = f"{row.p50_ms:,.2f} ms   {row.images_per_second:,.0f} images/s"
        axes.annotate(
            text if row.agrees else f"{text}   does not agree", (max(row.p50_ms, row.p95_ms), place),
            xytext=(6, 0), textcoords="offset points", va="center", fontsize=9, color=INK if row is best else LIGHT_INK,
        )  # fmt: skip
    axes.set_yticks(range(len(rows)), [row.engine for row in rows])
    axes.invert_yaxis()
    axes.tick_params(left=False)
    axes.set_xlim(0, 1.45 * max(row.p95_ms for row in rows))
    batch = rows[0].batch
    axes.set_title("one image" if batch == 1 else f"{batch} images at once", loc="left", fontsize=10, color=LIGHT_INK)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color("#cccccc")
