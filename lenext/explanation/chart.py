"""The chart of a deletion: how the probability of a class falls as places of the image go."""

from __future__ import annotations

from lenext.explanation.faithfulness import Deletion
from lenext.pages.drawing import GOOD, INK, as_svg, new_figure


def draw_deletion(deletion: Deletion) -> str:
    """Return the two curves as an SVG element."""
    shares = [100 * share for share in deletion.deleted]
    with new_figure(3.6, 2.5) as figure:
        axes = figure.subplots()
        axes.plot(shares, deletion.at_random, color=INK, alpha=0.55, linewidth=1.4, linestyle=(0, (4, 2)))
        axes.plot(shares, deletion.by_map, color=GOOD)
        axes.fill_between(shares, deletion.by_map, color=GOOD, alpha=0.12, linewidth=0)
        axes.set(xlim=(0, 100), ylim=(0, 1), xlabel="deleted (%)", ylabel="probability")
        axes.set_xticks([0, 25, 50, 75, 100])
        axes.set_yticks([0, 0.5, 1])
        return as_svg(figure)
