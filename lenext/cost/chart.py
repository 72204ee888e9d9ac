"""The chart of a comparison: published error against multiply-adds, with the parameters as area."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from lenext.cost.comparison import Comparison
from lenext.errors import UserError
from lenext.files import write_atomically

Metric = Literal["top1", "top5"]
FORMATS = (".png", ".svg")
# One colour a protocol, for errors measured in different ways do not compare: Okabe and Ito's, which colour-blind
# readers tell apart.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#999999", "#000000")
INK, FAINT = "#222222", "#8a8a8a"
AREA = 5.0  # square points for a million parameters


def choose(rows: Sequence[Comparison], metric: Metric | None = None) -> tuple[str, Metric, list[Comparison]]:
    """Return the dataset, the error, and the models of a chart: those that most models have, if not given.

    Raises:
        UserError: none of the models has a published error.
    """
    told = [row for row in rows if row.error]
    if not told:
        raise UserError(f"no error was published of {', '.join(row.name for row in rows)}: there is nothing to draw")
    dataset = Counter(row.error.dataset for row in told if row.error).most_common(1)[0][0]
    told = [row for row in told if row.error and row.error.dataset == dataset]
    counts = {name: sum(_value(row, name) is not None for row in told) for name in ("top1", "top5")}
    chosen: Metric = metric or ("top5" if counts["top5"] > counts["top1"] else "top1")
    told = [row for row in told if _value(row, chosen) is not None]
    if not told:
        raise UserError(f"no {chosen} error was published of these models; leave --error out")
    return dataset, chosen, told


def write_chart(rows: Sequence[Comparison], path: Path, metric: Metric | None = None) -> list[str]:
    """Write the chart to `path`, a PNG or an SVG, and return the names of the models that it cannot show.

    Raises:
        UserError: another kind of file, or none of the models has a published error.
        LenextError: the file cannot be written.
    """
    import matplotlib

    kind = path.suffix.lower()
    if kind not in FORMATS:
        raise UserError(f"{path.name} is no {' or '.join(FORMATS)}: give a name that ends so")
    dataset, chosen, shown = choose(rows, metric)
    style: dict[Any, Any] = {
        "svg.fonttype": "none", "svg.hashsalt": "lenext", "font.family": "sans-serif", "font.size": 10,
        "text.color": INK, "axes.edgecolor": FAINT, "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK,
        "axes.spines.top": False, "axes.spines.right": False,
    }  # fmt: skip
    with matplotlib.rc_context(style):
        picture = _draw(shown, kind[1:], dataset, chosen)
    write_atomically(path, lambda beside: beside.write_bytes(picture))
    return [row.name for row in rows if row not in shown]


def _draw(rows: Sequence[Comparison], kind: str, dataset: str, metric: Metric) -> bytes:
    from adjustText import adjust_text
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator

    figure = Figure(figsize=(9, 5.6), dpi=160, layout="constrained")
    axes = figure.subplots()
    protocols = dict.fromkeys(_protocol(row) for row in rows)
    colours = dict(zip(protocols, COLOURS * len(protocols), strict=False))
    for protocol, colour in colours.items():
        of = [row for row in rows if _protocol(row) == protocol]
        x, y = [row.total.macs / 1e9 for row in of], [_value(row, metric) or 0.0 for row in of]
        areas = [AREA * row.total.params / 1e6 for row in of]
        axes.scatter(x, y, s=areas, color=colour, alpha=0.28, linewidths=0)
        axes.scatter(x, y, s=8, color=colour, linewidths=0)
    axes.set_xscale("log")
    axes.margins(x=0.16, y=0.16)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_minor_locator(LogLocator(subs="all"))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(FuncFormatter(lambda _value, _: ""))
    axes.set_xlabel("multiply-adds of an image (G)")
    axes.set_ylabel(f"{dataset} {'top-1' if metric == 'top1' else 'top-5'} error (%)")
    axes.grid(alpha=0.12, color=INK, which="major")
    axes.set_axisbelow(True)
    _add_legend(figure, axes, rows, colours)
    x, y = [row.total.macs / 1e9 for row in rows], [_value(row, metric) or 0.0 for row in rows]
    labels = [axes.text(*place, fontsize=9) for place in zip(x, y, [row.name for row in rows], strict=True)]
    adjust_text(
        labels, x=x, y=y, ax=axes, expand=(1.3, 1.6), time_lim=1,
        arrowprops={"arrowstyle": "-", "color": FAINT, "lw": 0.6},
    )  # fmt: skip
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, metadata={"Date": None, "Creator": None} if kind == "svg" else None)
    return buffer.getvalue()


def _add_legend(figure: Any, axes: Any, rows: Sequence[Comparison], colours: dict[str, str]) -> None:
    """Tell what colour stands for which protocol, and what area for how many parameters."""
    largest = max(row.total.params for row in rows) / 1e6
    sizes = [size for size in (1, 5, 25, 100) if size <= 1.5 * largest][-3:] or [1]

    def dot(area: float, colour: str, alpha: float) -> Any:
        return axes.scatter([], [], s=area, color=colour, alpha=alpha, linewidths=0)

    entries = [
        ("protocol", dot(0, INK, 0)),
        *((protocol, dot(40, colour, 1)) for protocol, colour in colours.items()),
        ("", dot(0, INK, 0)),
        ("parameters", dot(0, INK, 0)),
        *((f"{size} M", dot(AREA * size, FAINT, 0.4)) for size in sizes),
    ]
    legend = figure.legend(
        [handle for _, handle in entries], [label for label, _ in entries], frameon=False, loc="outside right center",
        fontsize=9, labelspacing=1.1, handletextpad=1.0,
    )  # fmt: skip
    for text in legend.get_texts():
        text.set_fontweight("bold" if text.get_text() in ("protocol", "parameters") else "normal")


def _protocol(row: Comparison) -> str:
    assert row.error is not None
    return f"{row.error.protocol} ({row.error.source})" if row.error.source else row.error.protocol


def _value(row: Comparison, metric: str) -> float | None:
    value: float | None = getattr(row.error, metric)
    return value
