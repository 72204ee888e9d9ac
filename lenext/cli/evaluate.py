"""`lenext evaluate`."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from lenext.cli.arguments import DeviceOption, ExcludeOption, JsonOption, ThreadsOption, WeightsOption, new_file
from lenext.cli.evaluate_tables import print_comparisons, print_evaluation
from lenext.cli.output import (
    STARTED,
    TerminalProgress,
    elapsed,
    interrupts_held,
    print_json,
    refuse_hostile,
    refuse_unusable,
    say,
)

if TYPE_CHECKING:
    from lenext.evaluation.evaluate import Evaluation
    from lenext.evaluation.examination import Examination
    from lenext.evaluation.writing import Files

WORDS = "TARGET... DATA"
WordsArgument = Annotated[
    list[str],
    typer.Argument(
        metavar=WORDS, help="Run folders, model or exported files, or a model's name with --weights; then the data."
    ),
]
SplitOption = Annotated[
    str | None, typer.Option(help="train, val, test, held-out or all; test, else val, else held-out.")
]
ViewsOption = Annotated[
    str,
    typer.Option(
        help="How each image is looked at: center, mirror, full, ten-crop, random-5, dense, multi-scale, multi-crop, "
        "crops-144, resnet-multi-scale or overfeat."
    ),
]
PresentOption = Annotated[bool, typer.Option("--among-present", help="Choose only among the classes of the data.")]
EnsembleOption = Annotated[bool, typer.Option("--ensemble", help="Average the answers of all targets.")]
AverageOption = Annotated[
    Literal["probabilities", "logits", "weights"],
    typer.Option(help="What --ensemble averages, probabilities if not given."),
]
FitOption = Annotated[
    bool,
    typer.Option("--fit-weights", help="Of --ensemble: let members count so much that the loss is lowest, crosswise."),
]
SaveOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Keep the average of --average weights: a .safetensors file.")
]
OutOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write the answer to each image: a .parquet or .csv file.")
]
ReportOption = Annotated[Path | None, typer.Option(metavar="FILE", help="Write a page of it all: an .html file.")]
StrictOption = Annotated[bool, typer.Option("--strict", help="End with an error where an image cannot be read.")]


def evaluate(
    words: WordsArgument,
    split: SplitOption = None,
    views: ViewsOption = "center",
    among_present: PresentOption = False,
    ensemble: EnsembleOption = False,
    average: AverageOption = "probabilities",
    fit_weights: FitOption = False,
    save: SaveOption = None,
    out: OutOption = None,
    report: ReportOption = None,
    seed: Annotated[int, typer.Option(help="Of places that are drawn, and parts to fit on.", min=0)] = 0,
    weights: WeightsOption = None,
    exclude: ExcludeOption = None,
    strict: StrictOption = False,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    json: JsonOption = False,
) -> None:
    """Judge trained models on labelled images: one, several side by side, or several averaged.

    Example: [bold]lenext evaluate runs/lenet5-digits digits --report page.html[/bold]
    """
    targets, data = _targets_and_data(words, weights)
    _require_sense(targets, ensemble, average, fit_weights, save, (out, report))
    paths = [new_file(path) for path in (out, report, save)]
    if weights is None:
        refuse_unusable(*targets)
    else:
        refuse_hostile(weights)
    with interrupts_held():
        from lenext.answering import answering
        from lenext.device import set_threads
        from lenext.evaluation.evaluate import evaluate_ensemble, evaluate_one
        from lenext.evaluation.examination import Examination
        from lenext.evaluation.views.protocols import protocol
        from lenext.evaluation.writing import Files

    protocol(views)
    files = Files(*paths)
    set_threads(threads)
    classifiers = [answering(target, weights=weights, device=device) for target in targets]
    for notice in dict.fromkeys(classifier.presumed for classifier in classifiers if classifier.presumed):
        say(f"note: {notice}")
    exam = Examination(
        classifiers, data, split=split, among_present=among_present, strict=strict, seed=seed, exclude=exclude,
        progress=TerminalProgress(), names=targets, started=STARTED,
    )  # fmt: skip
    if ensemble:
        _tell(evaluate_ensemble(exam, views, average=average, fit_weights=fit_weights), files, data, json)
    elif len(targets) == 1:
        _tell(evaluate_one(exam, views), files, data, json)
    else:
        _tell_each(exam, views, json)


def _tell(found: Evaluation, files: Files, data: str, json: bool) -> None:
    from lenext.evaluation.writing import write_evaluation

    found = replace(found, result=replace(found.result, seconds=elapsed()))
    if json:
        print_json(found.result.to_json())
    else:
        print_evaluation(found)
    # After the figures, which a full disk then cannot take away.
    for path in write_evaluation(found, files, data=data, command=shlex.join(["lenext", *sys.argv[1:]])):
        say(f"written: {path}")


def _tell_each(exam: Examination, views: str, json: bool) -> None:
    from lenext.evaluation.evaluate import evaluate_each

    results, comparisons = evaluate_each(exam, views)
    if json:
        rows = [replace(result, seconds=elapsed()).to_json() for result in results]
        print_json({"models": rows, "comparisons": [each.to_json() for each in comparisons]})
    else:
        print_comparisons(results, comparisons, elapsed())


def _targets_and_data(words: list[str], weights: str | None) -> tuple[list[str], str]:
    if len(words) < 2:
        raise typer.BadParameter(f"{words[0]} alone cannot be judged: give {WORDS}", param_hint=WORDS)
    *targets, data = words
    if weights is not None and len(targets) > 1:
        raise typer.BadParameter(
            f"--weights {weights} are those of one model, and here are {len(targets)}: give a file that says of which "
            "architecture it is (`lenext convert` writes one), or a name of `lenext weights`, for each"
        )
    return targets, data


def _require_sense(
    targets: list[str],
    ensemble: bool,
    average: str,
    fit_weights: bool,
    save: Path | None,
    written: tuple[Path | None, Path | None],
) -> None:
    """Raise BadParameter where options are given that do nothing together."""
    if ensemble and len(targets) < 2:
        raise typer.BadParameter(f"--ensemble needs two targets or more before the data; there is {targets[0]} alone")
    if not ensemble and (fit_weights or average != "probabilities"):
        raise typer.BadParameter("--average and --fit-weights are those of an ensemble: give --ensemble too")
    if average == "weights" and fit_weights:
        raise typer.BadParameter("--average weights counts all members equally; --fit-weights is of the other two")
    if save is not None and not (ensemble and average == "weights"):
        raise typer.BadParameter("--save keeps one network: give --ensemble --average weights, which makes one")
    if len(targets) > 1 and not ensemble and any(written):
        raise typer.BadParameter("--out and --report hold the answers of one model, or, with --ensemble, of several")
