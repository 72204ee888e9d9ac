"""The report: one self-contained page that shows a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from lenext.data.reading import Reading
from lenext.evaluation.judge import Judgement
from lenext.evaluation.pages.curves import draw_curves
from lenext.evaluation.pages.pieces import LISTED, shown_answers
from lenext.explanation.mistakes import Reasons
from lenext.files import write_text
from lenext.pages.templates import template
from lenext.progress import duration

RELOAD = 5  # seconds after which the page of a run that is under way loads itself anew


class Pulse(Protocol):
    """How far a training is: the last step, the epoch under way, and the seconds `left`, below 0 where that is open.

    `steps` and `epochs` are those planned, or 0 where that is open.
    """

    step: int
    steps: int
    epoch: int
    epochs: int
    loss: float
    lr: float
    images_per_second: float
    left: float


@dataclass
class Drawn:
    """What a page that is written over and over keeps from one time to the next: all that takes long to draw."""

    epochs: int = 0
    curves: str = ""
    judgement: Judgement | None = None
    answers: dict[str, Any] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)


def write_report(
    path: Path,
    record: dict[str, Any],
    history: Sequence[dict[str, Any]],
    judgement: Judgement,
    held_out: Reading,
    reasons: Reasons | None = None,
) -> None:
    """Write the page of a run: curves, confusion matrix, classes, worst mistakes, settings, how to rerun it.

    With `reasons`, each mistake has the map of what led to it, for which a page that is written over and over has no
    time.

    Raises:
        LenextError: the write failed.
    """
    drawn = Drawn(judgement=judgement)
    drawn.answers = shown_answers(judgement, held_out, record["data"]["class_names"], reasons)
    drawn.figures = judgement.figures() if record["result"] is None else {}
    write_live_page(path, record, history, judgement, held_out, None, drawn)


def write_live_page(
    path: Path,
    record: dict[str, Any],
    history: Sequence[dict[str, Any]],
    judgement: Judgement | None,
    held_out: Reading,
    pulse: Pulse | None,
    drawn: Drawn | None = None,
) -> None:
    """Write the page of a run that may be under way: how far it is, and what is known so far.

    While the state is `running`, the page loads itself anew every few seconds. `judgement` is that of the weights kept,
    or None before the first. Who writes the page over and over gives the same `drawn` each time, so that curves are
    drawn only after an epoch, and pictures and tables only after a judgement.

    Raises:
        LenextError: the write failed.
    """
    drawn = drawn or Drawn()
    if history and drawn.epochs != len(history):
        drawn.curves, drawn.epochs = draw_curves(history, record["data"]["held_out_split"]), len(history)
    if judgement is not None and drawn.judgement is not judgement:
        drawn.answers = shown_answers(judgement, held_out, record["data"]["class_names"])
        drawn.judgement = judgement
        drawn.figures = judgement.figures() if record["result"] is None else {}
    running = record["state"] == "running"
    html = template(__package__, "report.html.jinja").render(
        record=record,
        name=Path(record["data"]["location"]).resolve().name,
        result=record["result"] or (_so_far(record, history, drawn.figures) if judgement else None),
        running=running,
        reload=RELOAD,
        progress=_progress(pulse) if running and pulse and pulse.step else None,
        now=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M:%S"),
        curves=drawn.curves,
        skipped=record["skipped_files"][:LISTED],
        skipped_left_out=max(0, len(record["skipped_files"]) - LISTED),
        **(drawn.answers if judgement else {}),
    )
    write_text(path, html)


def _so_far(record: dict[str, Any], history: Sequence[dict[str, Any]], figures: dict[str, Any]) -> dict[str, Any]:
    """Return the figures of a run that has no result yet, by the names that a result has."""
    seconds = sum(row["train_seconds"] for row in history)
    images = record["data"]["train_images"]
    return {
        **figures,
        "epochs": len(history),
        "train_images": images,
        "train_seconds": seconds,
        "images_per_second": images * len(history) / seconds if seconds else 0.0,
        "split": record["data"]["held_out_split"],
        "selected_by": "early stopping" if record["recipe"]["early_stopping"] else "last epoch",
    }


def _progress(pulse: Pulse) -> dict[str, Any]:
    """Return how far the training is, as the page tells it."""
    return {
        "epoch": f"{pulse.epoch} of {pulse.epochs}" if pulse.epochs else pulse.epoch,
        "step": f"{pulse.step:,} of {pulse.steps:,}" if pulse.steps else f"{pulse.step:,}",
        "percent": 100 * min(1.0, pulse.step / pulse.steps) if pulse.steps else None,
        "left": duration(pulse.left) if pulse.left >= 0 else None,
        "loss": pulse.loss,
        "lr": pulse.lr,
        "images_per_second": pulse.images_per_second,
    }
