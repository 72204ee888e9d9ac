"""`train`: a whole training run, from a source of images to a run folder that predicts."""

from __future__ import annotations

import contextlib
import platform
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lenext.building import as_size
from lenext.creation import create
from lenext.data.decode import Fit
from lenext.data.opening import open_source
from lenext.data.reading import Loading, available_cores
from lenext.data.source import Source
from lenext.device import choose_device, set_threads
from lenext.errors import LenextError, Terminated, UserError
from lenext.evaluation.answers import write_answers
from lenext.evaluation.judge import Judgement, judge
from lenext.evaluation.report import write_report
from lenext.growing import How
from lenext.progress import SILENT, Progress
from lenext.training.checkpoint import Checkpoint, last_checkpoint
from lenext.training.keeping import Keeping
from lenext.training.loop import Epoch, fit
from lenext.training.preparing import Prepared, prepare
from lenext.training.resuming import digest_of, require_same, settings_of
from lenext.training.run_folder import RunFolder
from lenext.training.settings import Settings
from lenext.training.telling import announce, tell_waiting
from lenext.weights.loading import answering
from lenext.weights.model_file import model_metadata

PARTS = 25  # of an epoch, for the curve of the training loss


@dataclass(frozen=True)
class TrainResult:
    """What a run brought: the figures of exactly the weights saved, on the images held out.

    `seconds` is the whole call, `train_seconds` from the first to the last step; `images_per_second` counts the
    time in training steps alone, without the judging between epochs. `split` says which images were held out.
    """

    run: str
    model: str
    epochs: int
    top1: float
    top5: float | None
    loss: float
    images: int
    train_images: int
    seconds: float
    train_seconds: float
    images_per_second: float
    steps_executed: int
    skipped: int
    selected_by: str
    split: str


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
    out: str | Path | None = None,
    progress: Progress = SILENT,
) -> TrainResult:
    """Train `model` on `data` and keep everything in a run folder.

        result = lenext.train("photos/", "lenet5", epochs=5)
        print(result.top1, result.run)

    `data` is any source that `lenext.data.opening.open_source` opens. `recipe` names a recipe, whose values `epochs`,
    `batch_size`, `lr` and `overrides` replace. `fit` says how a photo's shape meets the model's: `crop`, `pad` or
    `squash`; `channels` is 1 or 3, or what the images have. `options` are those of the architecture, such as
    `{"shortcut": "D"}`. `weights` is what to start from, with its options; they may be those of a shallower model
    where `grow` says how `lenext.grow` makes `model` of it. `minutes`, in place of epochs, is how long all
    of it may take. `loading` is where decoded images are kept: `memory`, `cache` (on disk, for later epochs and runs),
    nowhere (`workers`, so many processes that decode), or `auto`, the first of these that has room. `out` is the run
    folder, a new one below `runs/` if None.

    Raises:
        UserError: a mistake in the settings or in the data.
        LenextError: a write failed, or the loss is no longer finite.
    """
    started = time.perf_counter()
    shortcuts = {"epochs": epochs, "batch_size": batch_size, "lr": lr}
    shortcuts = {key: value for key, value in shortcuts.items() if value is not None}
    for key in shortcuts.keys() & (overrides or {}).keys():
        raise UserError(f"{key} is given twice, as {shortcuts[key]} and as {(overrides or {})[key]}; give it once")
    settings = Settings(
        data=str(data), model=model, recipe=recipe, fit=fit, channels=channels, seed=seed, options=dict(options or {}),
        overrides={**shortcuts, **(overrides or {})},
        size=as_size(size) if size is not None else None, weights=str(weights) if weights is not None else None,
        grow=grow, minutes=minutes, loading=loading, workers=workers, device=device, threads=threads,
    )  # fmt: skip
    source = open_source(data)
    folder = RunFolder.create(out, model, str(data))
    with contextlib.closing(folder), torch.random.fork_rng():
        return _Run(settings, source, folder, progress, started).execute()


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
    folder, record = RunFolder.reopen(Path(run))
    with contextlib.closing(folder), torch.random.fork_rng():
        settings = settings_of(record)
        checkpoint, wrong = last_checkpoint(folder.path)
        for each in wrong:
            progress.note(f"note: {each}; the checkpoint before it is taken")
        begun = f"going on from step {checkpoint.step:,}" if checkpoint else "there is no checkpoint: from step 0 on"
        progress.note(begun)
        source = open_source(settings.data)
        return _Run(settings, source, folder, progress, started, before=record, checkpoint=checkpoint).execute()


class _Run:
    """One run: everything is prepared in the constructor; `execute` trains and writes after every epoch."""

    def __init__(
        self,
        settings: Settings,
        source: Source,
        folder: RunFolder,
        progress: Progress,
        started: float,
        *,
        before: dict[str, Any] | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> None:
        self.settings, self.source, self.folder, self.progress = settings, source, folder, progress
        self.started = started
        set_threads(settings.threads)
        device = choose_device(settings.device)
        torch.manual_seed(settings.seed)
        self.ready = prepare(settings, source, device, progress, started=started)
        self.record = _record(settings, self.ready, source, device)
        if before is not None:
            require_same(before, self.record)
            self.record = {**before, "resumed": [*before.get("resumed", []), _now()]}
        self.checkpoint, self.keeping = checkpoint, Keeping(folder.path)
        self.history: list[dict[str, Any]] = []  # of the epochs that are counted
        self.judgement: Judgement | None = None  # of the weights last written
        self.being_written: Epoch | None = None
        self.images = 0  # trained on
        self.first_step = self.last_step = 0.0
        self.trained_before = 0.0  # seconds, by processes before this one
        if before is not None:
            self._go_on()

    def _go_on(self) -> None:
        """Take the figures of the epochs before the checkpoint, and no others."""
        about = self.checkpoint.state["run"] if self.checkpoint else {}
        self.history = about.get("history", [])
        self.images, self.trained_before = about.get("images", 0), about.get("train_seconds", 0.0)
        self.keeping.about = about
        self.folder.write_metrics(self.history)
        saved = self.folder.saved_epoch() if self.history else None
        if saved is not None and saved <= len(self.history):
            model = create(self.settings.model, weights=self.folder.model_file).to(self.ready.train.device)
            self.judgement = judge(model, self.ready.held_out)

    def execute(self) -> TrainResult:
        announce(self.ready, self.progress)
        self.folder.write_record({**self.record, "state": "running", "result": None})
        ready = self.ready
        try:
            for epoch in fit(
                ready.model, ready.train, ready.held_out, ready.recipe, seed=self.settings.seed,
                criterion=ready.criterion, arithmetic=ready.arithmetic, pace=ready.pace, stopping=ready.stopping,
                keeping=self.keeping, resumed=self.checkpoint, progress=self.progress,
            ):  # fmt: skip
                self._keep(epoch)
            result = self._close("finished")
        except BaseException as error:
            interrupted = isinstance(error, KeyboardInterrupt | Terminated)
            self._count_if_written()
            kept = f"{self.folder.path} holds epoch {len(self.history)}" if self.history else "no epoch was finished"
            self.progress.note(f"{'interrupted' if interrupted else 'stopped'}: {kept}")
            with contextlib.suppress(LenextError):  # the error that stopped the run is the one to tell
                self._close("interrupted" if interrupted else "failed")
            raise
        assert result is not None
        return result

    def _keep(self, epoch: Epoch) -> None:
        """Write the weights with their figures, unless earlier ones are better, and a line of metrics."""
        spec, ready = epoch.model.spec, self.ready
        assert spec is not None
        if epoch.best:
            figures = {"split": ready.data.held_out_split, "epoch": epoch.number, **epoch.held_out.figures()}
            self.being_written = epoch
            self.folder.write_model(
                answering(epoch.model, epoch.model.state_dict()),
                {
                    **model_metadata(
                        spec,
                        ready.classes,
                        ready.data.preprocessing.to_json(),
                        figures=figures,
                        trained_on={"location": self.source.location},
                    ),
                    **ready.origin,
                },
                ready.trained_on,
            )
        self._count(epoch)
        row = self.history[-1]
        watched = f"  set aside {row['watched_loss']:.4f}" if epoch.watched else ""
        self.progress.note(f"epoch {epoch.number:>3}  loss {row['train_loss']:.4f}{watched}  top-1 {row['top1']:.2f} %")
        tell_waiting(epoch, ready.train, self.progress)

    def _count(self, epoch: Epoch) -> None:
        """Count the epoch as kept: from now on its figures are those of the run."""
        parts = np.array_split(epoch.losses, min(PARTS, len(epoch.losses)))
        row = {
            "epoch": epoch.number,
            "steps": epoch.steps,
            "lr": epoch.lr,
            "train_loss": float(np.mean(epoch.losses)),
            "train_loss_parts": [float(part.mean()) for part in parts],
            "train_seconds": epoch.ended - epoch.began,
            "waited_seconds": epoch.waited,
            **({"watched_loss": epoch.watched.loss} if epoch.watched else {}),
            **epoch.held_out.figures(),
        }
        self.first_step, self.last_step = self.first_step or epoch.began, epoch.ended
        self.images, self.being_written = epoch.images, None
        if epoch.best:
            self.judgement = epoch.held_out
        self.history.append(row)
        self.folder.append_metrics(row)
        self.keeping.about = {
            "history": self.history,
            "images": self.images,
            "train_seconds": self.trained_before + self.last_step - self.first_step,
        }

    def _count_if_written(self) -> None:
        """Count an epoch whose writing was broken off after its weights had reached the disk."""
        epoch = self.being_written
        if epoch is not None and self.folder.saved_epoch() == epoch.number:
            self._count(epoch)

    def _close(self, state: str) -> TrainResult | None:
        """Write the report and then the record; return the result, or None where no epoch was kept."""
        result = self._result(self.judgement) if self.judgement else None
        record = {**self.record, "state": state, "result": asdict(result) if result else None}
        if self.judgement:
            class_names = record["data"]["class_names"]
            write_answers(self.folder.answers, self.judgement, self.ready.data.held_out, class_names)
            write_report(self.folder.report, record, self.history, self.judgement, self.ready.data.held_out)
        self.folder.write_record(record)
        return result

    def _result(self, judgement: Judgement) -> TrainResult:
        ready = self.ready
        return TrainResult(
            run=str(self.folder.path),
            model=self.settings.model,
            epochs=len(self.history),
            top1=judgement.top1,
            top5=judgement.top5,
            loss=judgement.loss,
            images=len(judgement.labels),
            train_images=len(ready.data.train.images),
            seconds=time.perf_counter() - self.started,
            train_seconds=self.trained_before + self.last_step - self.first_step,
            images_per_second=self.images / sum(row["train_seconds"] for row in self.history),
            steps_executed=self.history[-1]["steps"] - (self.checkpoint.step if self.checkpoint else 0),
            skipped=len(ready.data.skipped),
            selected_by="early stopping" if ready.stopping else "last epoch",
            split=ready.data.held_out_split,
        )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _record(settings: Settings, ready: Prepared, source: Source, device: torch.device) -> dict[str, Any]:
    """Return what `run.json` says from the start: everything that was decided, and with what."""
    data = ready.data
    chosen = ready.arithmetic.overrides() if ready.arithmetic.measured else {}
    return {
        "started": _now(),
        "command": replace(settings, overrides={**settings.overrides, **chosen}).command(),
        "settings": settings.to_json(),
        "recipe": asdict(ready.recipe),
        "arithmetic": asdict(ready.arithmetic),
        "preprocessing": data.preprocessing.to_json(),
        "steps": None if settings.minutes else ready.pace.steps,
        "data": {
            "location": source.location,
            "class_names": list(source.class_names),
            "train_images": len(data.train.images),
            "train_images_of_class": np.bincount(data.train.labels, minlength=len(source.class_names)).tolist(),
            "held_out_images": len(data.held_out.images),
            "held_out_split": data.held_out_split,
            "watched_images": len(ready.stopping) if ready.stopping else 0,
            "loading": ready.train.way,
            "digest": digest_of(data, ready.stopping),
        },
        "skipped_files": [{"path": path, "reason": reason} for path, reason in data.skipped],
        "hardware": {"device": str(device), "threads": torch.get_num_threads(), "cores": available_cores()},
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("lenext", "torch", "numpy", "pillow")},
        },
    }
