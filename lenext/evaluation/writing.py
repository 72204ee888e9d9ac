"""What an evaluation leaves in files: the answer to each image, the page, and an average of weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lenext.evaluation.answers import write_answers
from lenext.evaluation.evaluate import Evaluation
from lenext.evaluation.examination import CENTER
from lenext.evaluation.pages.evaluation_page import EvaluationPage, Standing, write_evaluation_page
from lenext.evaluation.result import EvaluationResult
from lenext.files import require_suffix
from lenext.weights.model_file import model_metadata, write_model_file


@dataclass(frozen=True)
class Files:
    """Where the answers, the page and the averaged weights go; None is nowhere."""

    answers: Path | None = None
    page: Path | None = None
    model: Path | None = None

    def __post_init__(self) -> None:
        """Raise UserError for a name that does not say what the file holds."""
        for path, what, suffixes in (
            (self.answers, "answers to the images", (".parquet", ".csv")),
            (self.page, "a page", (".html",)),
            (self.model, "weights", (".safetensors",)),
        ):
            if path is not None:
                require_suffix(path, suffixes, what)


def write_evaluation(evaluation: Evaluation, files: Files, *, data: str, command: str) -> Iterator[Path]:
    """Write the files that are wanted of an evaluation of `data`, each at once or not at all, and yield their names.

    Raises:
        LenextError: a write failed.
    """
    if files.answers is not None:
        write_answers(files.answers, evaluation.judgement, evaluation.reading, evaluation.class_names)
        yield files.answers
    if files.page is not None:
        write_evaluation_page(files.page, _page(evaluation, data, command))
        yield files.page
    if files.model is not None and evaluation.blend is not None:
        _write_blend(files.model, evaluation)
        yield files.model


def _page(evaluation: Evaluation, data: str, command: str) -> EvaluationPage:
    result = evaluation.result
    present = f"among all {result.candidates:,}"
    if result.candidates == result.classes:
        present = "among these"
    views = f", looked at by the protocol {result.views}" if result.views != CENTER else ""
    return EvaluationPage(
        title=f"{result.model} on {Path(data).name or data}",
        subtitle=(
            f"{result.images:,} images of the split {result.split!r}, of {result.classes:,} classes; answers are "
            f"chosen {present}{views}.",
            *([f"The average of {result.average} of {result.target}."] if result.average else []),
        ),
        figures=result.figures,
        judgement=evaluation.judgement,
        reading=evaluation.reading,
        class_names=evaluation.class_names,
        command=command,
        standings=[_standing(row, evaluation) for row in evaluation.standings],
        skipped_files=result.skipped_files,
        reasons=evaluation.reasons,
    )


def _standing(row: EvaluationResult, evaluation: Evaluation) -> Standing:
    name = row.views
    if evaluation.result.members:
        name = f"{row.average} averaged" if row.average else row.target
    gain = row.gain.words if row.gain else ""
    return Standing(name, row.top1, row.top5, row.loss, row.passes, row.seconds_of_views, gain)


def _write_blend(path: Path, evaluation: Evaluation) -> None:
    blend, result = evaluation.blend, evaluation.result
    assert blend is not None
    assert blend.model.spec is not None
    figures = {
        "split": result.split, "top1": result.top1, "top5": result.top5, "loss": result.loss, "images": result.images,
    }  # fmt: skip
    metadata = model_metadata(
        blend.model.spec,
        blend.classes,
        blend.preprocessing.to_json(),
        figures=figures,
        trained_on={"location": f"the average of {result.target}"},
    )
    write_model_file(path, blend.model.state_dict(), metadata, blend.trained_on)
