"""`bench`: how fast each engine answers for a model on this machine, what it costs to load, and whether it agrees."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lenext.data.cores import available_cores
from lenext.deployment.benching.measuring import Task, compared, logits_of, measure
from lenext.deployment.benching.process import EngineError
from lenext.deployment.benching.result import Bench
from lenext.deployment.benching.subject import Subject
from lenext.engines.engine import EngineName
from lenext.engines.exported import is_exported
from lenext.engines.machine import machine
from lenext.engines.opening import engine_version
from lenext.engines.remembered import Row
from lenext.errors import LenextError, UserError
from lenext.progress import SILENT, Progress

ROUNDS, BATCHES = 5, (1, 8)
MOST = 10_000  # threads, rounds, calls, and images at once


def bench(
    target: str | Path,
    *,
    weights: str | Path | None = None,
    engines: Sequence[EngineName] | None = None,
    batches: Sequence[int] = BATCHES,
    threads: int | None = None,
    rounds: int = ROUNDS,
    calls: int | None = None,
    progress: Progress = SILENT,
) -> Bench:
    """Return how fast each engine answers, and remember it for `--engine auto`.

        lenext.bench("runs/photos").fastest    # "openvino"

    `target` and `weights` are what `lenext.load` takes; all engines are asked where none is named. Those that need a
    file of their own get it in the folder `engines` of the run, or beside the file. Each engine has a process of its
    own, and one works at a time: in every round each is asked `calls` times (3 to 30 where not given) for every batch.
    Logits are compared with those of PyTorch, or, of an exported file, with those of the first engine that runs it.

    Raises:
        UserError: the target is not there or damaged, no engine can run it, or a number that cannot be.
        LenextError: the engine that the others are compared with cannot answer.
    """
    for what, numbers in (("threads", [threads]), ("rounds", [rounds]), ("calls", [calls]), ("batch", batches)):
        for number in numbers:
            if number is not None and not 1 <= number <= MOST:
                raise UserError(f"{what} {number} cannot be; give 1 to {MOST:,}")
    subject = Subject(str(target), None if weights is None else str(weights), progress)
    with tempfile.TemporaryDirectory() as temporary:
        if weights is None and is_exported(target):
            subject.of_exported(engines)
        else:
            subject.of_model(engines, Path(temporary))
        asked = [engine for engine in engines or subject.files if engine in subject.files]
        if not asked:
            why = "; ".join(f"{engine} is left out: {reason}" for engine, reason in subject.skipped.items())
            raise UserError(f"no engine here can run {target}: {why}")
        task = Task(
            subject.target, subject.weights, dict(subject.files), tuple(sorted(set(batches))),
            threads or available_cores(), rounds, calls,
        )  # fmt: skip
        reference = next(iter(subject.files))
        rows, accelerator = _rows(task, reference, asked, subject)
    if subject.place is not None and subject.folder is not None:
        subject.place.remember(subject.folder, rows, accelerator=accelerator)
    return Bench(
        subject.model, tuple(rows), subject.skipped, reference, machine(),
        {engine: engine_version(engine) for engine in asked}, subject.folder,
    )  # fmt: skip


def _rows(task: Task, reference: EngineName, asked: Sequence[EngineName], subject: Subject) -> tuple[list[Row], bool]:
    """Return a row for each engine and batch, and whether torch has a better device here than the CPU."""
    expected = _answers(task, reference)
    gaps: dict[EngineName, dict[int, tuple[float, float]]] = {}
    for engine in subject.progress.track(asked, "comparing", len(asked), lambda _: 1):
        try:
            found = expected if engine == reference else logits_of(task, engine)
        except EngineError as error:
            subject.skip(engine, str(error))
            continue
        gaps[engine] = {batch: compared(found[batch], expected[task.batches[0]]) for batch in task.batches}
    measured = measure(task, list(gaps), subject.skip, subject.progress)
    rows = [
        about.row(engine, batch, task.threads, *gaps[engine][batch])
        for engine, about in measured.items()
        for batch in task.batches
    ]
    return rows, any(about.accelerator for about in measured.values())


def _answers(task: Task, engine: EngineName) -> dict[int, NDArray[np.float64]]:
    try:
        return logits_of(task, engine)
    except EngineError as error:
        raise LenextError(f"{engine}, with which the others are compared, cannot answer: {error}") from error
