"""The curves of a run as SVG that takes its ink from the page around it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lenext.pages.drawing import GOOD, INK, POOR, as_svg, new_figure


def draw_curves(history: Sequence[dict[str, Any]], held_out_split: str) -> str:
    """Return two panels side by side, loss and top-1 over the epochs, as an SVG element."""
    from matplotlib.ticker import MaxNLocator

    epochs = [row["epoch"] for row in history]
    with new_figure(10, 3.4) as figure:
        loss, top1 = figure.subplots(1, 2)
        loss.plot(*_training_curve(history), color=POOR, label="training", linewidth=1.5)
        loss.plot(epochs, [row["loss"] for row in history], "o-", color=GOOD, label=held_out_split)
        loss.set_ylabel("loss (nats)")
        loss.set_ylim(bottom=0)
        for axes in (loss, top1):
            axes.set_xlim(0, epochs[-1] + 0.05 * len(epochs))
        top1.plot(epochs, [row["top1"] for row in history], "o-", color=GOOD, label=held_out_split)
        top1.set_ylabel("top-1 (%)")
        for axes in (loss, top1):
            axes.set_xlabel("epoch")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
            axes.grid(alpha=0.15, color=INK)
            axes.legend(frameon=False)
        return as_svg(figure)


def _training_curve(history: Sequence[dict[str, Any]]) -> tuple[list[float], list[float]]:
    """Return the training loss of each part of each epoch, at the parts' middles."""
    places, losses = [], []
    for row in history:
        parts = row["train_loss_parts"]
        places += [row["epoch"] - 1 + (k + 0.5) / len(parts) for k in range(len(parts))]
        losses += parts
    return places, losses
