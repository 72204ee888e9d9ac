"""Measuring engines in alternating rounds, one at a time, and comparing their logits."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lenext.deployment.benching.pictures import DIFFERENT
from lenext.deployment.benching.process import EngineError, EngineProcess
from lenext.engines.engine import EngineName
from lenext.engines.remembered import Row
from lenext.progress import Progress

GAP = 1e-3  # largest difference of a logit, over the largest logit, up to which an engine agrees
MOST_CALLS, FEWEST_CALLS = 30, 3
ROUND = 300.0  # milliseconds that a round of one engine and batch takes, where that is between so many calls


@dataclass(frozen=True)
class Task:
    """What is asked of every engine."""

    target: str
    weights: str | None
    files: Mapping[EngineName, Path | None]  # None for those that torch runs
    batches: tuple[int, ...]
    threads: int
    rounds: int
    calls: int | None

    @property
    def pictures(self) -> int:
        """How many pictures engines are compared by."""
        return max(DIFFERENT, *self.batches)

    def started(self, engine: EngineName) -> tuple[EngineProcess, dict[str, Any]]:
        """Return a process in which the engine is loaded, and what it said of that.

        Raises:
            EngineError: it cannot be loaded.
        """
        process, file = EngineProcess(engine, self.threads), self.files[engine]
        try:
            said = process.ask(
                "open", engine=engine, threads=self.threads,
                target=self.target, weights=self.weights, file=None if file is None else str(file),
            )  # fmt: skip
        except BaseException:
            process.close()
            raise
        return process, said


@dataclass
class Measured:
    """What was measured of one engine; by batch, all but `load`."""

    load: float = 0.0
    accelerator: bool = False
    peak: int = 0
    first: dict[int, float] = field(default_factory=dict)
    taken: dict[int, list[float]] = field(default_factory=dict)
    calls: dict[int, int] = field(default_factory=dict)

    def row(self, engine: EngineName, batch: int, threads: int, gap: float, agreement: float) -> Row:
        """Return the row of a batch."""
        taken = np.array(self.taken[batch])
        middle, slow = (float(np.percentile(taken, share)) for share in (50, 95))
        return Row(
            engine=engine, batch=batch, threads=threads, p50_ms=middle, p95_ms=slow,
            images_per_second=batch * 1000 / middle, load_seconds=self.load + self.first[batch],
            largest_gap=gap, agreement=agreement, agrees=gap <= GAP, peak_bytes=self.peak, calls=len(taken),
        )  # fmt: skip


def logits_of(task: Task, engine: EngineName) -> dict[int, NDArray[np.float64]]:
    """Return what an engine answers the pictures, (N, classes), asked so many at once.

    What it keeps for its next start, it has made then.
    """
    process, _ = task.started(engine)
    with process:
        found = {}
        for batch in task.batches:
            pictures = math.ceil(task.pictures / batch) * batch
            found[batch] = np.array(process.ask("logits", pictures=pictures, batch=batch)["logits"])[: task.pictures]
            process.ask("time", batch=batch, calls=1)  # the probabilities too
        return found


def compared(found: NDArray[np.float64], expected: NDArray[np.float64]) -> tuple[float, float]:
    """Return the largest difference of a logit over the largest logit, and the same first classes in percent."""
    gap = float(np.abs(found - expected).max() / np.abs(expected).max())
    return gap if math.isfinite(gap) else 1e9, 100 * float((found.argmax(1) == expected.argmax(1)).mean())


@contextlib.contextmanager
def _loaded(
    task: Task, engines: Sequence[EngineName], failed: Callable[[EngineName, str], None]
) -> Iterator[tuple[dict[EngineName, EngineProcess], dict[EngineName, Measured]]]:
    """Yield a process for each engine, loaded and asked once for each batch."""
    with contextlib.ExitStack() as stack:
        processes: dict[EngineName, EngineProcess] = {}
        measured: dict[EngineName, Measured] = {}
        for engine in engines:
            try:
                process, said = task.started(engine)
                stack.enter_context(process)
                about = Measured(said["seconds"], said["accelerator"])
                for batch in task.batches:
                    about.first[batch] = process.ask("time", batch=batch, calls=1)["ms"][0] / 1000
                    about.taken[batch] = []
                    about.calls[batch] = task.calls or _fitting(process.ask("time", batch=batch, calls=2)["ms"][1])
            except EngineError as error:
                failed(engine, str(error))
                continue
            processes[engine], measured[engine] = process, about
        yield processes, measured


def _fitting(milliseconds: float) -> int:
    return min(MOST_CALLS, max(FEWEST_CALLS, round(ROUND / milliseconds)))


def measure(
    task: Task, engines: Sequence[EngineName], failed: Callable[[EngineName, str], None], progress: Progress
) -> dict[EngineName, Measured]:
    """Return what was measured of each engine that did not fail.

    In every round each engine works alone, after one call that does not count; the next round begins with the next.
    """
    with _loaded(task, engines, failed) as (processes, measured):
        turns = []
        for number in range(task.rounds):
            order = list(processes)
            first = number % max(1, len(order))
            turns += [(engine, batch) for engine in order[first:] + order[:first] for batch in task.batches]
        total = sum(measured[engine].calls[batch] * batch for engine, batch in turns)
        for engine, batch in progress.track(
            turns, "asking", total, lambda turn: measured[turn[0]].calls[turn[1]] * turn[1]
        ):
            if engine not in measured:
                continue
            about = measured[engine]
            try:
                about.taken[batch] += processes[engine].ask("time", batch=batch, calls=about.calls[batch] + 1)["ms"][1:]
                about.peak = processes[engine].ask("memory")["bytes"]
            except EngineError as error:
                failed(engine, str(error))
                del measured[engine]
        return measured
