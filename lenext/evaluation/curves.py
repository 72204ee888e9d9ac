"""The curves of a run as SVG that takes its ink from the page around it."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Any

INK = "#123456"  # stands for the page's own colour until the picture is done
TRAIN, HELD_OUT = "#d97706", "#0f766e"


def draw_curves(history: Sequence[dict[str, Any]], held_out_split: str) -> str:
    """Return two panels side by side, loss and top-1 over the epochs, as an SVG element."""
    import matplotlib
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    style: dict[Any, Any] = {
        "svg.fonttype": "none", "svg.hashsalt": "lenext", "font.family": "sans-serif", "font.size": 11,
        "text.color": INK, "axes.edgecolor": INK, "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK,
        "axes.spines.top": False, "axes.spines.right": False, "lines.linewidth": 2, "lines.markersize": 4,
    }  # fmt: skip
    epochs = [row["epoch"] for row in history]
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(10, 3.4), layout="constrained")
        loss, top1 = figure.subplots(1, 2)
        loss.plot(*_training_curve(history), color=TRAIN, label="training", linewidth=1.5)
        loss.plot(epochs, [row["loss"] for row in history], "o-", color=HELD_OUT, label=held_out_split)
        loss.set_ylabel("loss (nats)")
        loss.set_ylim(bottom=0)
        for axes in (loss, top1):
            axes.set_xlim(0, epochs[-1] + 0.05 * len(epochs))
        top1.plot(epochs, [row["top1"] for row in history], "o-", color=HELD_OUT, label=held_out_split)
        top1.set_ylabel("top-1 (%)")
        for axes in (loss, top1):
            axes.set_xlabel("epoch")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
            axes.grid(alpha=0.15, color=INK)
            axes.legend(frameon=False)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :].replace(INK, "currentColor")
    # The page sets the size; the viewBox keeps the proportions.
    return re.sub(
        r'(<svg[^>]*?) width="[^"]*"', r"\1", re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1), count=1
    )


def _training_curve(history: Sequence[dict[str, Any]]) -> tuple[list[float], list[float]]:
    """Return the training loss of each part of each epoch, at the parts' middles."""
    places, losses = [], []
    for row in history:
        parts = row["train_loss_parts"]
        places += [row["epoch"] - 1 + (k + 0.5) / len(parts) for k in range(len(parts))]
        losses += parts
    return places, losses
