"""Answers out of fold: a run's settings trained again on all folds but one, and that one answered."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lenext.data.source import Source, Split
from lenext.device import set_threads
from lenext.errors import UserError
from lenext.evaluation.judge import Judgement
from lenext.progress import Progress, duration
from lenext.training.folder.record import settings_of
from lenext.training.folder.states import read_record
from lenext.training.loop import fit
from lenext.training.memory import memory_explained
from lenext.training.preparing import Prepared, prepare
from lenext.training.settings import Settings


@dataclass(frozen=True)
class Again:
    """What is trained again: the settings of a run, the classes it has, and its record, which says what it measured.

    There are no classes where the run never came to read any.
    """

    settings: Settings
    class_names: tuple[str, ...]
    record: Mapping[str, Any]


@dataclass(frozen=True)
class Answered:
    """What a fold was answered: `rows` are where its images stand among all, in the order of the judgement.

    `epochs` is how many the network was trained for, `skipped` pairs what could not be read with the reason.
    """

    rows: NDArray[np.int64]
    judgement: Judgement
    epochs: int
    skipped: list[tuple[str, str]]


def again(
    run: Path,
    data: str,
    device: torch.device,
    *,
    epochs: int | None = None,
    seed: int | None = None,
    threads: int | None = None,
) -> Again:
    """Return what a run was, to be trained on other parts of `data`.

    Decoded images are not put into the cache, where each fold would leave its own. The list of what the run left out
    is of its own data.

    Raises:
        UserError: no run folder, or a record that lacks something.
    """
    if not run.is_dir():
        raise UserError(f"{run} is no run folder; its settings are trained again, so that one is needed: `lenext runs`")
    record = read_record(run)
    settings = settings_of(record, run)
    began = record.get("data", {})
    overrides = dict(settings.overrides)
    if began and torch.device(record["hardware"]["device"]).type != device.type:
        overrides = dict(record["settings"]["overrides"])  # the arithmetic was chosen for another machine
    if epochs is not None:
        overrides["epochs"] = epochs
    same = Path(settings.data).resolve() == Path(data).resolve()
    changed = replace(
        settings,
        data=data,
        overrides=overrides,
        minutes=settings.minutes if epochs is None else None,
        loading="memory" if settings.loading == "memory" else "workers",
        seed=settings.seed if seed is None else seed,
        threads=settings.threads if threads is None else threads,
        device=str(device),
        sync_norm=False,
        exclude=settings.exclude if same else None,
    )
    return Again(changed, tuple(began.get("class_names", ())), record)


def answers_out_of_fold(
    run: Again,
    source: Source,
    split: Split,
    folds: NDArray[np.int64],
    device: torch.device,
    progress: Progress,
) -> Iterator[Answered]:
    """Train a run again on all folds but one, and yield what that one is answered, for each in turn.

    No network ever saw an image that it answers: `folds` keeps equal images together, and weights to start from that
    saw one are refused.

    Raises:
        UserError: a mistake in the settings, or weights that were trained on the images.
        LenextError: the loss is no longer finite.
    """
    count, began = int(folds.max()) + 1, time.perf_counter()
    for number in range(count):
        rest, own = (np.flatnonzero(each) for each in (folds != number, folds == number))
        parts = {"train": split.take(rest), "val": split.take(own)}
        answered = _answered(run, replace(source, splits=parts), own, device, progress, first=not number)
        left = (time.perf_counter() - began) / (number + 1) * (count - number - 1)
        progress.note(
            f"fold {number + 1} of {count}: top-1 {answered.judgement.top1:.2f} % on {len(answered.rows):,} images"
            + (f"; about {duration(left)} left" if left else "")
        )
        yield answered


def _answered(
    run: Again, source: Source, own: NDArray[np.int64], device: torch.device, progress: Progress, *, first: bool
) -> Answered:
    settings = run.settings
    measured = run.record if "separation" in run.record else None  # how like the old task is, once for all folds
    with torch.random.fork_rng():
        set_threads(settings.threads)
        torch.manual_seed(settings.seed)
        ready = prepare(settings, source, device, progress, started=time.perf_counter(), record=measured)
        _require_unseen(ready, settings)
        if first:
            _announce(ready, progress)
        torch.manual_seed(settings.seed)
        judgement, epochs = None, 0
        with memory_explained(ready.memory):
            for epoch in fit(
                ready.model, ready.train, ready.held_out, ready.recipe, seed=settings.seed,
                criterion=ready.criterion, arithmetic=ready.arithmetic, pace=ready.pace, stopping=ready.stopping,
                progress=progress,
            ):  # fmt: skip
                epochs = epoch.number
                if epoch.best:  # the weights that a run would keep
                    judgement = epoch.held_out
    assert judgement is not None
    return Answered(_readable(source.splits["val"], own, ready), judgement, epochs, ready.data.skipped)


def _announce(ready: Prepared, progress: Progress) -> None:
    for note in ready.notes:
        progress.note(note)
    epochs = "as many epochs as the time allows" if ready.pace.deadline else f"epochs: {ready.recipe.epochs}"
    progress.note(f"{ready.recipe.name} recipe, {epochs}; arithmetic: {ready.arithmetic}")


def _require_unseen(ready: Prepared, settings: Settings) -> None:
    """Refuse weights to start from that were trained on images that they are to answer."""
    digests = ready.data.held_out.digests
    seen = int(np.isin(digests, ready.trained_on).sum())
    if seen:
        raise UserError(
            f"the weights that the run began from ({settings.weights}) were trained on {seen:,} of the "
            f"{len(digests):,} images of a fold, whose labels they know; give a run that began from others, or none"
        )


def _readable(split: Split, own: NDArray[np.int64], ready: Prepared) -> NDArray[np.int64]:
    """Return where the images that were judged stand; all were readable when they were first read."""
    gone = {name for name, _ in ready.data.skipped}
    if not gone:
        return own
    rows: NDArray[np.int64] = own[np.array([name not in gone for name in split.names], bool)]
    return rows
