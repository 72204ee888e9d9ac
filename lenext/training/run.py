"""`train`: a whole training run, from a source of images to a run folder that predicts."""

from __future__ import annotations

import contextlib
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
from numpy.typing import NDArray

from lenext.building import as_size
from lenext.conversion import origin_of
from lenext.creation import Pretrained, create
from lenext.data.decode import Fit
from lenext.data.loader import Loader
from lenext.data.opening import open_source
from lenext.data.preprocessing import Preprocessing
from lenext.data.reading import available_cores
from lenext.data.source import Source
from lenext.data.training_data import TrainingData, read_training_data
from lenext.device import choose_device, set_threads
from lenext.errors import LenextError, Terminated
from lenext.evaluation.judge import Judgement
from lenext.evaluation.report import write_report
from lenext.growing import How
from lenext.models import ImageClassifier, lookup
from lenext.progress import SILENT, Progress
from lenext.training.folded_norms import has_folded_norms, unfold_norms
from lenext.training.loop import Epoch, fit
from lenext.training.recipes import Recipe, make_recipe
from lenext.training.run_folder import RunFolder
from lenext.training.settings import Settings
from lenext.weights.classes import ClassList
from lenext.weights.loading import answering
from lenext.weights.model_file import model_metadata

JUDGING_BATCH = 256
PARTS = 25  # of an epoch, for the curve of the training loss
STATISTICS = 256  # images that folded norms get theirs from
FEW = 30  # images to judge by
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
    options: Mapping[str, Any] | None = None,
    recipe: str = "default",
    overrides: Mapping[str, Any] | None = None,
    weights: str | Path | None = None,
    grow: How | None = None,
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
    where `grow` says how `lenext.grow` makes `model` of it. `out` is the run folder, a new one below `runs/` if None.

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
        options=dict(options or {}),
        weights=str(weights) if weights is not None else None,
        grow=grow,
        device=device,
        threads=threads,
    )
    source = open_source(data)
    folder = RunFolder.create(out, model, str(data))
    try:
        with torch.random.fork_rng():
            return _Run(settings, source, folder, progress, started).execute()
    finally:
        folder.discard_unless_begun()


class _Run:
    """One run: everything is prepared in the constructor; `execute` trains and writes after every epoch."""

    def __init__(
        self, settings: Settings, source: Source, folder: RunFolder, progress: Progress, started: float
    ) -> None:
        self.settings, self.source, self.folder, self.progress = settings, source, folder, progress
        self.started = started
        set_threads(settings.threads)
        self.device = choose_device(settings.device)
        torch.manual_seed(settings.seed)
        # Weights that do not fit are refused before any image is read.
        start = settings.start(source.class_names)
        # What the classes are called, and what else the file says of where its weights are from.
        self.classes = start.classes.called(source.class_names) if start else ClassList(source.class_names)
        self.origin = origin_of(start) if start else {}
        stored = Preprocessing.from_json(start.preprocessing, str(settings.weights)) if start else None
        self.data = read_training_data(self.source, settings.form(), stored, progress)
        self.recipe = make_recipe(
            settings.recipe,
            len(self.data.train.images),
            settings.overrides,
            lr_scale=lookup(settings.model).facts.lr_scale,
        )
        self.model, self.trained_on = self._model(start)
        self.model.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        if start is not None and has_folded_norms(self.model):
            self._unfold()
        self.record = _record(settings, self.recipe, self.source, self.data, self.device)
        self.history: list[dict[str, Any]] = []  # of the epochs whose weights were written
        self.judgement: Judgement | None = None  # of the weights last written
        self.being_written: Epoch | None = None
        self.first_step = self.last_step = 0.0

    def _model(self, start: Pretrained | None) -> tuple[ImageClassifier, NDArray[np.uint64]]:
        """Return the model to train, and the digests of the images behind it: those of its weights stay known."""
        settings, digests = self.settings, self.data.train.digests
        if start is None:
            classes, form = len(self.source.class_names), self.data.preprocessing.form
            model = create(
                settings.model, classes=classes, in_channels=form.channels, size=form.size, **settings.options
            )
            return model, np.unique(digests)
        if start.presumed:
            self.progress.note(f"note: {start.presumed}")
        return start.model, np.union1d(digests, start.trained_on)

    def _unfold(self) -> None:
        """Give the norms of weights that were made for shipping the statistics of some of the images."""
        count = min(STATISTICS, len(self.data.train.images))
        chosen = np.random.default_rng(self.settings.seed).permutation(len(self.data.train.images))[:count]
        some = Loader(self.data.train.take(chosen), self.data.preprocessing, batch_size=32, device=self.device)
        unfold_norms(self.model, (batch.images for batch in some.in_order()))
        self.progress.note(f"note: the weights came with folded norms, which got the statistics of {count} images")

    def execute(self) -> TrainResult:
        self._announce()
        self.folder.write_record({**self.record, "state": "running", "result": None})
        train = Loader(self.data.train, self.data.preprocessing, batch_size=self.recipe.batch_size, device=self.device)
        held_out = Loader(self.data.held_out, self.data.preprocessing, batch_size=JUDGING_BATCH, device=self.device)
        try:
            for epoch in fit(self.model, train, held_out, self.recipe, seed=self.settings.seed, progress=self.progress):
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

    def _announce(self) -> None:
        skipped, recipe = self.data.skipped, self.recipe
        for path, reason in skipped[:SHOWN]:
            self.progress.note(f"skipped {path}: {reason}")
        if len(skipped) > SHOWN:
            self.progress.note(f"skipped {len(skipped) - SHOWN} more; run.json lists them")
        images, judged = len(self.data.train.images), len(self.data.held_out.images)
        self.progress.note(
            f"{recipe.name} recipe, {recipe.optimizer} with {recipe.schedule}: {_count_of(recipe.epochs, 'epoch')} of "
            f"{_count_of(images, 'image')}, {recipe.batch_size} a step; judged on {_count_of(judged, 'image')} "
            f"({self.data.held_out_split})"
        )
        if judged < FEW:
            self.progress.note(f"note: {_count_of(judged, 'image')} to judge by is few; the figures say little")

    def _keep(self, epoch: Epoch) -> None:
        """Write the weights with their figures, and a line of metrics."""
        spec, data = self.model.spec, self.data
        assert spec is not None
        figures = {"split": data.held_out_split, "epoch": epoch.number, **epoch.held_out.figures()}
        self.being_written = epoch
        self.folder.write_model(
            answering(self.model, self.model.state_dict()),
            {
                **model_metadata(
                    spec,
                    self.classes,
                    data.preprocessing.to_json(),
                    figures=figures,
                    trained_on={"location": self.source.location},
                ),
                **self.origin,
            },
            self.trained_on,
        )
        self._count(epoch)
        row = self.history[-1]
        self.progress.note(f"epoch {epoch.number:>3}  loss {row['train_loss']:.4f}  top-1 {row['top1']:.2f} %")

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
            **epoch.held_out.figures(),
        }
        self.first_step, self.last_step = self.first_step or epoch.began, epoch.ended
        self.judgement, self.being_written = epoch.held_out, None
        self.history.append(row)
        self.folder.append_metrics(row)

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
            write_report(self.folder.report, record, self.history, self.judgement, self.data.held_out)
        self.folder.write_record(record)
        return result

    def _result(self, judgement: Judgement) -> TrainResult:
        images = len(self.data.train.images)
        return TrainResult(
            run=str(self.folder.path),
            model=self.settings.model,
            epochs=len(self.history),
            top1=judgement.top1,
            top5=judgement.top5,
            loss=judgement.loss,
            images=len(judgement.labels),
            train_images=images,
            seconds=time.perf_counter() - self.started,
            train_seconds=self.last_step - self.first_step,
            images_per_second=images * len(self.history) / sum(row["train_seconds"] for row in self.history),
            steps_executed=self.history[-1]["steps"],
            skipped=len(self.data.skipped),
            selected_by="last epoch",
            split=self.data.held_out_split,
        )


def _count_of(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


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
