"""Pictures as SVG that takes its colours from the page around it, light or dark."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Colours that stand for the page's own until the picture is done, and what they become.
INK, GOOD, POOR = "#123456", "#0f766e", "#d97706"
ON_THE_PAGE = {INK: "currentColor", GOOD: "rgb(var(--right))", POOR: "rgb(var(--wrong))"}

STYLE: dict[Any, Any] = {
    "svg.fonttype": "none", "svg.hashsalt": "lenext", "font.family": "sans-serif", "font.size": 11,
    "text.color": INK, "axes.edgecolor": INK, "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK,
    "axes.spines.top": False, "axes.spines.right": False, "lines.linewidth": 2, "lines.markersize": 4,
}  # fmt: skip


@contextmanager
def new_figure(width: float, height: float) -> Iterator[Figure]:
    """Give a figure to draw on, of so many inches, and the style of the pages while it is drawn."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        yield Figure(figsize=(width, height), layout="constrained")


def as_svg(figure: Figure) -> str:
    """Return the figure as an SVG element, which is as wide as the page lets it be."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    for colour, own in ON_THE_PAGE.items():
        svg = svg.replace(colour, own)
    # The page sets the size; the viewBox keeps the proportions.
    return re.sub(
        r'(<svg[^>]*?) width="[^"]*"', r"\1", re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1), count=1
    )
