"""Two runs side by side: what differs in their settings and figures, and whether chance explains it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lenext.errors import UserError
from lenext.evaluation.answers import Answers, read_answers
from lenext.evaluation.significance import Significance, of_other_images, of_same_images
from lenext.runs.run import Run, read_run
from lenext.training.folder.names import ANSWERS
from lenext.training.folder.states import read_record

SETTINGS = ("settings", "recipe", "arithmetic", "preprocessing", "steps", "data", "hardware", "versions")
FIGURES = ("top1", "top5", "loss", "train_seconds", "images_per_second", "epochs")
SEED = "chance is which images were held out; what another seed of the training would change is not in it"


@dataclass(frozen=True)
class Difference:
    """A setting or a figure, by its place in the record, such as `recipe.lr`, and its value in either run."""

    name: str
    a: Any
    b: Any


@dataclass(frozen=True)
class Comparison:
    """Two runs: the `settings` that differ, all `figures`, and whether the difference in top-1 is chance.

    `significance` is None where a run has no figures; `notes` say how the runs were compared, and why not otherwise.
    """

    a: Run
    b: Run
    settings: list[Difference]
    figures: list[Difference]
    significance: Significance | None
    notes: list[str]


def compare_runs(first: Path, second: Path) -> Comparison:
    """Compare two runs.

    Raises:
        UserError: one of them is no run folder, or its record is damaged.
    """
    records = [read_record(path) for path in (first, second)]
    a, b = read_run(first), read_run(second)
    settings = [dict(_flat({key: record.get(key) for key in SETTINGS})) for record in records]
    names = list(dict.fromkeys([*settings[0], *settings[1]]))
    differ = [Difference(name, settings[0].get(name), settings[1].get(name)) for name in names]
    significance, notes = _significance(a, b)
    return Comparison(
        a,
        b,
        [each for each in differ if each.a != each.b],
        [Difference(name, getattr(a, name), getattr(b, name)) for name in FIGURES],
        significance,
        notes,
    )


def _flat(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", None if value == {} else value


def _significance(a: Run, b: Run) -> tuple[Significance | None, list[str]]:
    """Return how the top-1 of two runs differ, image by image where it can be, and how they were compared."""
    for run in (a, b):
        if run.top1 is None or not run.images:
            return None, [f"{run.run} has no figures yet"]
    notes, kept = [], []
    for run in (a, b):
        try:
            kept.append(_answers(run))
        except UserError as error:
            notes.append(str(error))
    if len(kept) == 2:
        if Counter(kept[0].keys) == Counter(kept[1].keys):
            return of_same_images(*(answers.right[_order(answers)] for answers in kept)), [SEED]
        shared = (Counter(kept[0].keys) & Counter(kept[1].keys)).total()
        notes.append(f"the images that they were judged on differ ({shared:,} are the same)")
    notes.append("so they are compared as if judged on different images, which sees only larger differences")
    counts = [round(run.top1 / 100 * run.images) for run in (a, b) if run.top1 is not None and run.images]
    assert a.images
    assert b.images
    return of_other_images(counts[0], a.images, counts[1], b.images), [*notes, SEED]


def _answers(run: Run) -> Answers:
    """Return the answers of exactly the weights whose figures the run tells.

    Raises:
        UserError: there are none.
    """
    try:
        answers = read_answers(Path(run.run) / ANSWERS)
    except UserError as error:
        raise UserError(f"what {run.run} answered to each image is not known: {error}") from error
    right = answers.right
    if run.top1 is None or len(right) != run.images or abs(100 * right.mean() - run.top1) > 1e-6:
        raise UserError(f"what {run.run} answered to each image is not known: {ANSWERS} is of other weights")
    return answers


def _order(answers: Answers) -> Any:
    return np.lexsort((np.array(answers.labels), answers.digests))
