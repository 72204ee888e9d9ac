"""The page of an evaluation: self-contained, with intervals, calibration, classes and mistakes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lenext.data.reading import Reading
from lenext.evaluation.figures import Figures
from lenext.evaluation.judge import Judgement
from lenext.evaluation.pages.pieces import LISTED, shown_answers
from lenext.evaluation.pages.reliability import draw_reliability
from lenext.explanation.mistakes import Reasons
from lenext.files import write_text
from lenext.pages.templates import template


@dataclass(frozen=True)
class Standing:
    """One of several protocols, members or models: percentages, nats, forward passes an image, seconds, and the gain.

    `top5` is None below six classes; `gain` says in words how much better than the first it is.
    """

    name: str
    top1: float
    top5: float | None
    loss: float
    passes: float
    seconds: float
    gain: str = ""


@dataclass(frozen=True)
class EvaluationPage:
    """What the page shows.

    `subtitle` is one line each, as on which split and among how many candidates; `judgement` are the answers to the
    images of `reading`, in its order, `class_names` those of its columns; `skipped_files` are {path, reason}. With
    `reasons`, each of the worst mistakes has the map of what led to it.
    """

    title: str
    subtitle: Sequence[str]
    figures: Figures
    judgement: Judgement
    reading: Reading
    class_names: Sequence[str]
    command: str
    standings: Sequence[Standing] = ()
    skipped_files: Sequence[dict[str, str]] = ()
    reasons: Reasons | None = None


def write_evaluation_page(path: Path, page: EvaluationPage) -> None:
    """Write the page, beside and renamed.

    Raises:
        LenextError: the write failed.
    """
    html = template(__package__, "evaluation.html.jinja").render(
        page=page,
        figures=page.figures,
        calibration=page.figures.calibration,
        any_top5=any(row.top5 is not None for row in page.standings),
        reliability=draw_reliability(page.figures.calibration),
        skipped=page.skipped_files[:LISTED],
        skipped_left_out=max(0, len(page.skipped_files) - LISTED),
        **shown_answers(page.judgement, page.reading, page.class_names, page.reasons),
    )
    write_text(path, html)
