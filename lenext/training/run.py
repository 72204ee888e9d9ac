"""`train`: a whole training run, from a source of images to a run folder that predicts."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lenext.building import as_size
from lenext.data.decode import Fit
from lenext.data.opening import open_source
from lenext.data.reading import Loading
from lenext.data.source import Source
from lenext.device import choose_device, set_threads
from lenext.errors import LenextError, Terminated, UserError
from lenext.files import exists
from lenext.growing import How
from lenext.launch import launch_began, launch_name, leads, restarted
from lenext.processes import Group, joined_group
from lenext.progress import SILENT, Progress
from lenext.training.folder.checkpoint import Checkpoint, checkpoint_path, last_checkpoint, read_checkpoint, set_aside
from lenext.training.folder.record import first_record, full_record, require_same, resumed_record, settings_of
from lenext.training.folder.run_folder import RunFolder, run_folders
from lenext.training.folder.states import read_record
from lenext.training.folder.writer import RunWriter, TrainResult
from lenext.training.keeping import Keeping
from lenext.training.loop import fit
from lenext.training.memory import memory_explained
from lenext.training.preparing import Prepared, prepare
from lenext.training.settings import MINUTES, Settings
from lenext.training.signals import checkpoint_on_signal
from lenext.training.telling import announce

__all__ = ["TrainResult", "resume", "train"]


def train(
    data: str | Path,
    model: str,
    *,
    epochs: int | None = None,
    batch_size: int | None = None,
    lr: float | None = None,
    size: int | tuple[int, int] | None = None,
    fit: Fit | None = None,
    channels: int | None = None,
    seed: int = 0,
    options: Mapping[str, Any] | None = None,
    recipe: str = "default",
    overrides: Mapping[str, Any] | None = None,
    weights: str | Path | None = None,
    grow: How | None = None,
    minutes: float | None = None,
    loading: Loading = "auto",
    workers: int | None = None,
    device: str = "auto",
    threads: int | None = None,
    checkpoint: float = MINUTES,
    sync_norm: bool = False,
    exclude: str | Path | None = None,
    out: str | Path | None = None,
    progress: Progress = SILENT,
    **values: Any,
) -> TrainResult:
    """Train `model` on `data` and keep everything in a run folder.

        print(lenext.train("photos/", "lenet5", epochs=5).run)

    `data` is any source of `lenext.data.opening.open_source`. `recipe` names a recipe, whose values `epochs`,
    `batch_size`, `lr`, `overrides` and further `values`, such as `freeze="all but head"`, replace. `fit` says how a
    photo's shape meets the model's: `crop`, `pad` or `squash`; `channels` is 1 or 3, or what the images have.
    `options` are those of the architecture, such as `{"shortcut": "D"}`. `weights` is what to start from, with its
    options; they may be those of a shallower model where `grow` says how `lenext.grow` makes `model` of it. `minutes`,
    in place of epochs, is how long all of it may take. `loading` is where decoded images are kept: `memory`, `cache`
    (on disk, for later runs), nowhere (`workers`, so many processes that decode), or `auto`, the first that has room.
    A checkpoint is written after every epoch, and every `checkpoint` minutes. `exclude` lists images to leave out, as
    `lenext check --write-exclusions` does. `out` is the run folder, a new one below `runs/` if None.

    Under torchrun, all processes train together, each on its part of every batch; `sync_norm` lets batch norms take
    their statistics over all parts. Where torchrun starts its processes again, they go on from the last checkpoint.

    Raises:
        UserError: a mistake in the settings or in the data.
        LenextError: a write failed, or the loss is no longer finite.
    """
    started = time.perf_counter()
    settings = Settings(
        data=str(data), model=model, recipe=recipe, fit=fit, channels=channels, seed=seed, options=dict(options or {}),
        overrides=_merged(overrides or {}, epochs=epochs, batch_size=batch_size, lr=lr, **values),
        size=as_size(size) if size is not None else None, weights=str(weights) if weights is not None else None,
        grow=grow, minutes=minutes, loading=loading, workers=workers, device=device, threads=threads,
        checkpoint=checkpoint, sync_norm=sync_norm, exclude=str(exclude) if exclude is not None else None,
    )  # fmt: skip
    source = _source(settings, progress)
    with joined_group() as group:
        return _begin(settings, source, out, group, progress, started)


def resume(run: str | Path, *, progress: Progress = SILENT) -> TrainResult:
    """Let a run that was interrupted, or whose process was killed, go on from its last checkpoint.

        result = lenext.resume("runs/lenet5-photos")

    On a CPU it ends with the weights that it would have had, to the bit: what it decided when it began (the way of the
    images, the arithmetic, threads, steps) is taken from `run.json`.

    Raises:
        UserError: no run, one that is finished or under way, or images or settings that are others now.
        LenextError: as for `train`.
    """
    started = time.perf_counter()
    with joined_group() as group:
        return _resume(Path(run), group, progress, started)


def _source(settings: Settings, progress: Progress) -> Source:
    return open_source(settings.data, exclude=settings.exclude, progress=progress if leads() else SILENT)


def _merged(overrides: Mapping[str, Any], **shortcuts: Any) -> dict[str, Any]:
    """Return the values of the recipe that are given as arguments of their own, and the others."""
    given = {key: value for key, value in shortcuts.items() if value is not None}
    for key in given.keys() & overrides.keys():
        raise UserError(f"{key} is given twice, as {given[key]} and as {overrides[key]}; give it once")
    return {**given, **overrides}


@dataclass(frozen=True)
class _Plan:
    """What a run is to do: its settings, what its record says so far, and where it goes on from."""

    settings: Settings
    source: Source
    record: Mapping[str, Any]
    checkpoint: Checkpoint | None = None

    @property
    def spent(self) -> float:
        """Seconds that other processes took to come to the checkpoint."""
        return float(self.checkpoint.state["seconds"]) if self.checkpoint else 0.0


def _begin(
    settings: Settings, source: Source, out: str | Path | None, group: Group, progress: Progress, started: float
) -> TrainResult:
    again = group.agreed(lambda: _made_before(settings, out))
    if again is not None:
        return _resume(Path(again), group, progress, started)
    first = first_record(settings, launch_name())
    with _held(group, lambda: (RunFolder.create(out, settings.model, settings.data, first), {})) as (folder, _):
        return _execute(_Plan(settings, source, first), group, folder, progress, started)


def _made_before(settings: Settings, out: str | Path | None) -> str | None:
    """Return the run folder that this launch had before torchrun started its processes again, or None."""
    launch = launch_name()
    if launch is None or not restarted():
        return None
    for path in run_folders(out, settings.model, settings.data):
        if not exists(path):
            return None
        with contextlib.suppress(UserError, KeyError, ValueError):  # what another version wrote is not of this launch
            record = read_record(path)
            if (
                record["launch"] == launch
                and datetime.fromisoformat(record["started"]).timestamp() > launch_began() - 1
            ):
                return str(path)
    return None


@contextlib.contextmanager
def _held(
    group: Group, take: Callable[[], tuple[RunFolder, dict[str, Any]]]
) -> Iterator[tuple[RunFolder | None, dict[str, Any]]]:
    """Yield the folder, which the first process alone takes and holds, and what it says of it."""
    taken: list[RunFolder] = []

    def told() -> dict[str, Any]:
        folder, said = take()
        taken.append(folder)
        return said

    try:
        said = group.agreed(told)
        yield (taken[0] if taken else None), said
    finally:
        for folder in taken:
            folder.close()


def _resume(run: Path, group: Group, progress: Progress, started: float) -> TrainResult:
    with _held(group, lambda: RunFolder.reopen(run)) as (folder, record):
        found: list[Checkpoint | None] = []
        group.agreed(lambda: found.append(_taken_up(run, folder, progress)))
        checkpoint = _sent(run, found[0] if found else None, group)
        settings = settings_of(record, run)
        plan = _Plan(settings, _source(settings, progress), record, checkpoint)
        return _execute(plan, group, folder, progress, started)


def _taken_up(run: Path, folder: RunFolder | None, progress: Progress) -> Checkpoint | None:
    """Return the checkpoint that a run goes on from, or None where it had none, and tell of it.

    Raises:
        UserError: every checkpoint is damaged or gone, and epochs were finished, which would be made again.
    """
    assert folder is not None
    checkpoint, wrong = last_checkpoint(run)
    epochs = folder.finished_epochs()
    if checkpoint is None and (epochs > 1 or (epochs and wrong)):  # the first epoch may have ended without one
        lost = "; ".join(wrong.values()) or "its checkpoints are gone"
        raise UserError(f"{run} cannot go on: {lost}; its weights are whole: start anew with --weights {run}")
    for path, reason in wrong.items():
        progress.note(f"note: {reason}; it is called {set_aside(path).name} now")
    if checkpoint is None:
        progress.note("there is no checkpoint: from step 0 on")
    else:
        progress.note(f"going on from step {checkpoint.step:,}")
    return checkpoint


def _sent(run: Path, checkpoint: Checkpoint | None, group: Group) -> Checkpoint | None:
    """Return the checkpoint of the first process, which alone need be able to read it."""
    data = group.sent(checkpoint_path(run, checkpoint.step).read_bytes() if checkpoint and group.world > 1 else b"")
    if group.first or not data:
        return checkpoint
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sent.safetensors"
        path.write_bytes(data)
        return read_checkpoint(path)


def _execute(plan: _Plan, group: Group, folder: RunFolder | None, progress: Progress, started: float) -> TrainResult:
    """Train, and let the process that has the folder write down what comes of it."""
    progress, settings = progress if group.first else SILENT, plan.settings
    with torch.random.fork_rng():
        set_threads(settings.threads)
        torch.manual_seed(settings.seed)
        device = group.device(choose_device(settings.device))
        ready = prepare(
            settings, plan.source, device, progress, started=started - plan.spent, group=group,
            record=plan.record,
        )  # fmt: skip
        record = full_record(plan.record, settings, ready, plan.source, group)
        if group.agreed(lambda: record["data"]["digest"]) != record["data"]["digest"]:
            raise UserError(f"the images of {settings.data} are others here than on the machine of the first process")
        if "recipe" in plan.record:
            group.agreed(lambda: require_same(plan.record, record, ready, folder.path if folder else Path()))
            record = resumed_record(plan.record)
        # What layers draw by themselves differs from process to process, and not with what came before.
        torch.manual_seed(int(np.random.SeedSequence((settings.seed, group.rank)).generate_state(1)[0]))
        writer = RunWriter(folder, ready, record, plan.checkpoint, progress, started) if folder else None
        return _trained(plan, group, ready, writer, progress, started)


def _trained(
    plan: _Plan, group: Group, ready: Prepared, writer: RunWriter | None, progress: Progress, started: float
) -> TrainResult:
    settings, result = plan.settings, None
    keeping = Keeping(
        writer.folder.path if writer else None, settings.checkpoint,
        group=group, began=started - plan.spent, on_step=writer.beat if writer else None,
    )  # fmt: skip
    if writer and plan.checkpoint:
        keeping.written = checkpoint_path(writer.folder.path, plan.checkpoint.step)
    with checkpoint_on_signal(keeping, progress):
        try:
            if writer:
                announce(ready, progress)
                writer.begin(keeping)
            with group.explained(), memory_explained(ready.memory):
                for epoch in fit(
                    ready.model, ready.train, ready.held_out, ready.recipe, seed=settings.seed,
                    criterion=ready.criterion, arithmetic=ready.arithmetic, pace=ready.pace, stopping=ready.stopping,
                    keeping=keeping, resumed=plan.checkpoint, group=group, progress=progress,
                ):  # fmt: skip
                    if writer:
                        writer.keep(epoch)
            keeping.patient = True  # for the little that is left to write
            result = writer.close("finished") if writer else None
        except BaseException as error:
            if writer:
                with contextlib.suppress(LenextError):  # the error that stopped the run is the one to tell
                    writer.stopped(error, isinstance(error, KeyboardInterrupt | Terminated))
            raise
        if keeping.stop is not None:
            raise keeping.stop
    return TrainResult(**group.agreed(lambda: asdict(result) if result else {}))
