"""`train`: a whole training run, from a source of images to a run folder that predicts."""

from __future__ import annotations

import platform
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lenext.create import as_size, create
from lenext.data.decode import Fit
from lenext.data.holdout import sketch
from lenext.data.loader import Loader
from lenext.data.reading import available_cores
from lenext.data.source import Source, open_source
from lenext.data.training_data import TrainingData, read_training_data
from lenext.device import choose_device, set_threads
from lenext.errors import Terminated, UserError
from lenext.evaluation.judge import Judgement
from lenext.evaluation.report import write_report
from lenext.models import ImageClassifier
from lenext.progress import SILENT, Progress
from lenext.training.loop import Epoch, fit
from lenext.training.recipes import Recipe, make_recipe
from lenext.training.run_folder import RunFolder
from lenext.training.settings import Settings
from lenext.weights.loading import load_strictly

JUDGING_BATCH = 256
PARTS = 25  # of an epoch, for the curve of the training loss
SHOWN = 10  # skipped files that are told one by one


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
    recipe: str = "default",
    overrides: Mapping[str, Any] | None = None,
    weights: str | Path | None = None,
    device: str = "auto",
    threads: int | None = None,
    out: str | Path | None = None,
    progress: Progress = SILENT,
) -> TrainResult:
    """Train `model` on `data` and keep everything in a run folder.

        result = lenext.train("photos/", "lenet5", epochs=5)
        print(result.top1, result.run)

    `data` is any source that `lenext.data.source.open_source` opens. `recipe` names a recipe, whose values
    `epochs`, `batch_size`, `lr` and `overrides` replace. `fit` says how a photo's shape meets the model's:
    `crop`, `pad` or `squash`; `channels` is 1 or 3, or what the images have. `out` is the run folder, a new one
    below `runs/` where it is None.

    Raises:
        UserError: a mistake in the settings or in the data.
        LenextError: a write failed, or the loss is no longer finite.
    """
    started = time.perf_counter()
    shortcuts = {"epochs": epochs, "batch_size": batch_size, "lr": lr}
    settings = Settings(
        data=str(data),
        model=model,
        recipe=recipe,
        overrides={**{k: v for k, v in shortcuts.items() if v is not None}, **(overrides or {})},
        size=as_size(size) if size is not None else None,
        fit=fit,
        channels=channels,
        seed=seed,
        weights=str(weights) if weights is not None else None,
        device=device,
        threads=threads,
    )
    folder = RunFolder.create(out, model, str(data))
    try:
        with torch.random.fork_rng():
            return _Run(settings, folder, progress).execute(started)
    finally:
        folder.discard_if_empty()


class _Run:
    """One run: `prepare` everything, then train and write after every epoch."""

    def __init__(self, settings: Settings, folder: RunFolder, progress: Progress) -> None:
        self.settings, self.folder, self.progress = settings, folder, progress
        self.history: list[dict[str, Any]] = []
        self.instants: list[float] = []  # when each epoch's steps began and ended
        self.steps = 0

    def execute(self, started: float) -> TrainResult:
        settings = self.settings
        set_threads(settings.threads)
        device = choose_device(settings.device)
        start = settings.start()
        source = open_source(settings.data)
        data = read_training_data(source, settings.form(), start[1] if start else None, self.progress)
        recipe = make_recipe(settings.recipe, len(data.train.images), settings.overrides)
        torch.manual_seed(settings.seed)
        model = self._create(source, data)
        if start:
            _require_same_classes(settings, start[0].metadata["class_names"], source.class_names)
            load_strictly(model, start[0].tensors, where=str(settings.weights))
        model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        record = _record(settings, recipe, source, data, device)
        self._announce(recipe, data)
        judgement, state = None, "failed"
        try:
            self.folder.write_record({**record, "state": "running"})
            for epoch in self._epochs(model, recipe, data, device):
                judgement = epoch.held_out
                self._keep(epoch, model, source, data)
            state = "finished"
        except (KeyboardInterrupt, Terminated):
            state = "interrupted"
            kept = f"{self.folder.path} holds epoch {len(self.history)}" if self.history else "no epoch was finished"
            self.progress.note(f"interrupted: {kept}")
            raise
        finally:
            result = self._result(data, judgement, time.perf_counter() - started) if judgement else None
            record |= {"state": state, "result": asdict(result) if result else None}
            self.folder.write_record(record)
            if judgement:
                write_report(self.folder.report, record, self.history, judgement, data.held_out)
        assert result is not None
        return result

    def _create(self, source: Source, data: TrainingData) -> ImageClassifier:
        form = data.preprocessing.form
        return create(self.settings.model, classes=len(source.class_names), in_channels=form.channels, size=form.size)

    def _announce(self, recipe: Recipe, data: TrainingData) -> None:
        for path, reason in data.skipped[:SHOWN]:
            self.progress.note(f"skipped {path}: {reason}")
        if len(data.skipped) > SHOWN:
            self.progress.note(f"skipped {len(data.skipped) - SHOWN} more; run.json lists them")
        images, judged = len(data.train.images), len(data.held_out.images)
        self.progress.note(
            f"{recipe.name} recipe ({recipe.why}): {recipe.epochs} epochs of {images:,} images, {recipe.batch_size} a "
            f"step; judged on {judged:,} images ({data.held_out_split})"
        )

    def _epochs(self, model: ImageClassifier, recipe: Recipe, data: TrainingData, device: torch.device) -> Any:
        train = Loader(data.train, data.preprocessing, batch_size=recipe.batch_size, device=device)
        held_out = Loader(data.held_out, data.preprocessing, batch_size=JUDGING_BATCH, device=device)
        return fit(model, train, held_out, recipe, seed=self.settings.seed, progress=self.progress)

    def _keep(self, epoch: Epoch, model: ImageClassifier, source: Source, data: TrainingData) -> None:
        """Write the weights with their figures, and a line of metrics."""
        figures = {"split": data.held_out_split, **epoch.held_out.figures(), "epoch": epoch.number}
        assert model.spec is not None
        self.folder.write_model(
            model.state_dict(),
            {
                "model": model.spec.name,
                "classes": model.spec.classes,
                "in_channels": model.spec.in_channels,
                "size": list(model.spec.size),
                "options": model.spec.options,
                "class_names": list(source.class_names),
                "preprocessing": data.preprocessing.to_json(),
                "figures": figures,
                "trained_on": {"location": source.location, "sketch": sketch(data.train.digests.tolist())},
            },
        )
        steps = len(epoch.losses)
        row = {
            "epoch": epoch.number,
            "steps": epoch.steps,
            "lr": epoch.lr,
            "train_loss": float(np.mean(epoch.losses)),
            "train_loss_parts": [float(part.mean()) for part in np.array_split(epoch.losses, min(PARTS, steps))],
            "train_seconds": epoch.ended - epoch.began,
            **epoch.held_out.figures(),
        }
        self.folder.append_metrics(row)
        self.history.append(row)
        self.progress.note(f"epoch {epoch.number:>3}  loss {row['train_loss']:.4f}  top-1 {row['top1']:.2f} %")
        self.instants += [epoch.began, epoch.ended]
        self.steps = epoch.steps

    def _result(self, data: TrainingData, judgement: Judgement, seconds: float) -> TrainResult:
        in_steps = sum(row["train_seconds"] for row in self.history)
        return TrainResult(
            run=str(self.folder.path),
            model=self.settings.model,
            epochs=len(self.history),
            top1=judgement.top1,
            top5=judgement.top5,
            loss=judgement.loss,
            images=len(judgement.labels),
            train_images=len(data.train.images),
            seconds=seconds,
            train_seconds=self.instants[-1] - self.instants[0],
            images_per_second=len(data.train.images) * len(self.history) / in_steps,
            steps_executed=self.steps,
            skipped=len(data.skipped),
            selected_by="last epoch",
            split=data.held_out_split,
        )


def _require_same_classes(settings: Settings, trained: list[str], found: tuple[str, ...]) -> None:
    if tuple(trained) != found:
        raise UserError(
            f"the weights {settings.weights} are for {len(trained)} classes ({_some(trained)}), but {settings.data} "
            f"has {len(found)} ({_some(found)}); train without --weights"
        )


def _some(names: list[str] | tuple[str, ...]) -> str:
    return ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")


def _record(
    settings: Settings, recipe: Recipe, source: Source, data: TrainingData, device: torch.device
) -> dict[str, Any]:
    """Return what `run.json` says from the start: everything that was decided, and with what."""
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": settings.command(),
        "settings": settings.to_json(),
        "recipe": asdict(recipe),
        "preprocessing": data.preprocessing.to_json(),
        "data": {
            "location": source.location,
            "class_names": list(source.class_names),
            "train_images": len(data.train.images),
            "train_images_of_class": np.bincount(data.train.labels, minlength=len(source.class_names)).tolist(),
            "held_out_images": len(data.held_out.images),
            "held_out_split": data.held_out_split,
        },
        "skipped_files": [{"path": path, "reason": reason} for path, reason in data.skipped],
        "hardware": {"device": str(device), "threads": torch.get_num_threads(), "cores": available_cores()},
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("lenext", "torch", "numpy", "pillow")},
        },
    }
