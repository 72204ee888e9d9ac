"""The reliability diagram as SVG that takes its colours from the page around it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lenext.evaluation.calibration import Bin, Calibration
from lenext.pages.drawing import GOOD, INK, POOR, as_svg, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_reliability(calibration: Calibration) -> str:
    """Return the share of right answers over the confidence, and how many images have it, as an SVG element.

    There is one panel, or a second for the answers at the temperature where there is one.
    """
    panels: list[tuple[str, Sequence[Bin], float]] = [("as answered", calibration.bins, calibration.error)]
    if calibration.bins_after is not None and calibration.error_after is not None:
        panels.append(("at the temperature", calibration.bins_after, calibration.error_after))
    with new_figure(10, 4.7) as figure:
        grid: dict[str, Any] = {"height_ratios": (3.4, 1), "hspace": 0.06, "wspace": 0.08}
        rows = figure.subplots(2, 2, sharex=True, sharey="row", gridspec_kw=grid)
        for axes in rows[:, len(panels) :].ravel():
            axes.set_visible(False)
        for (title, bins, error), upper, lower in zip(panels, *rows, strict=False):
            _draw_panel(upper, lower, bins)
            upper.set_title(f"{title}: error {error:.1f} points", fontsize=12, loc="left", pad=10)
            lower.set_xlabel("confidence (%)")
        rows[0, 0].set_ylabel("answered right (%)")
        rows[1, 0].set_ylabel("images (%)")
        return as_svg(figure)


def _draw_panel(upper: Axes, lower: Axes, bins: Sequence[Bin]) -> None:
    count = sum(row.images for row in bins)
    upper.plot([0, 100], [0, 100], color=INK, alpha=0.45, linewidth=1, linestyle=(0, (4, 4)))
    for row in bins:
        width = 0.86 * (row.high - row.low)
        middle = (row.low + row.high) / 2
        lower.bar(middle, 100 * row.images / count, width, color=INK, alpha=0.4, linewidth=0)
        if row.accuracy is None or row.confidence is None:
            continue
        least = min(row.accuracy, row.confidence)
        colour = POOR if row.accuracy < row.confidence else GOOD
        upper.bar(middle, least, width, color=GOOD, alpha=0.85, linewidth=0)
        upper.bar(middle, abs(row.confidence - row.accuracy), width, least, color=colour, alpha=0.4, linewidth=0)
    for axes in (upper, lower):
        axes.set_xlim(0, 100)
        axes.set_axisbelow(True)
        axes.grid(axis="y", alpha=0.15, color=INK)
    upper.set_ylim(0, 100)
    lower.set_ylim(bottom=0)
