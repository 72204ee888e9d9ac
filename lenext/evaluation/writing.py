"""What an evaluation leaves in files: the answer to each image, the page, and an average of weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lenext.errors import UserError
from lenext.evaluation.answers import write_answers
from lenext.evaluation.evaluate import Evaluation
from lenext.evaluation.evaluation_page import EvaluationPage, Standing, write_evaluation_page
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
            if path is not None and path.suffix.lower() not in suffixes:
                raise UserError(f"{path} cannot hold {what}; give a name that ends in {' or '.join(suffixes)}")

    @property
    def all(self) -> list[Path]:
        """Those that are written."""
        return [path for path in (self.answers, self.page, self.model) if path is not None]


def write_evaluation(evaluation: Evaluation, files: Files, *, data: str, command: str) -> None:
    """Write the files that are wanted of an evaluation of `data`, each at once or not at all.

    Raises:
        LenextError: a write failed.
    """
    if files.answers is not None:
        write_answers(files.answers, evaluation.judgement, evaluation.reading, evaluation.class_names)
    if files.page is not None:
        write_evaluation_page(files.page, _page(evaluation, data, command))
    if files.model is not None and evaluation.blend is not None:
        _write_blend(files.model, evaluation, data)


def _page(evaluation: Evaluation, data: str, command: str) -> EvaluationPage:
    result = evaluation.result
    raise NotImplementedError


def _write_blend(path: Path, evaluation: Evaluation, data: str) -> None:
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
