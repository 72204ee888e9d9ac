"""What a run writes while it trains: its record, metrics, weights, report and pulse; the first process alone does."""

from __future__ import annotations

import contextlib
import time
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from lenext.classifier import load
from lenext.creation import create
from lenext.data.loader import Loader
from lenext.errors import LenextError, one_line
from lenext.evaluation.answers import write_answers
from lenext.evaluation.judge import Judgement, judge
from lenext.evaluation.pages.report import Drawn, write_live_page, write_report
from lenext.explanation.mistakes import Reasons
from lenext.files import write_text
from lenext.progress import Progress
from lenext.training.folder.checkpoint import Checkpoint
from lenext.training.folder.names import IMAGES
from lenext.training.folder.pulse import PulseFile
from lenext.training.folder.record import images_list, now
from lenext.training.folder.run_folder import RunFolder
from lenext.training.folder.tensorboard import Board
from lenext.training.keeping import Keeping, Place
from lenext.training.loop import Epoch
from lenext.training.pace import Pace
from lenext.training.preparing import JUDGING_BATCH, Prepared
from lenext.training.telling import tell_waiting
from lenext.weights.loading import answering
from lenext.weights.model_file import model_metadata, write_model_file

PARTS = 25  # of an epoch, for the curve of the training loss
PAGE_EVERY = 5.0  # seconds from one version of the live page to the next, and
PAGE_SHARE = 0.01  # of the time, at most, that it takes


@dataclass(frozen=True)
class TrainResult:
    """What a run brought: the figures of exactly the weights saved, on the images held out.

    `seconds` is the whole call, `train_seconds` from the first to the last step; `images_per_second` counts the
    time in training steps alone, without the judging between epochs. `steps_executed` are the steps that all
    processes of the run made, those after the last checkpoint of one that was killed too. `split` says which images
    were held out.
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


class RunWriter:
    """Keeps the run folder of a training; after a `checkpoint` it goes on from the figures of that time."""

    def __init__(
        self,
        folder: RunFolder,
        ready: Prepared,
        record: dict[str, Any],
        checkpoint: Checkpoint | None,
        progress: Progress,
        started: float,
    ) -> None:
        self.folder, self.ready, self.record, self.progress, self.started = folder, ready, record, progress, started
        about = checkpoint.state["run"] if checkpoint else {}
        self.history: list[dict[str, Any]] = about.get("history", [])  # of the epochs that are counted
        self.images = about.get("images", 0)  # trained on, in those
        self.trained_before = about.get("train_seconds", 0.0)  # by processes before this one
        self.judgement: Judgement | None = None  # of the weights last written by this process
        self.being_written: Epoch | None = None
        self.first_step = self.last_step = 0.0
        self.pulse = PulseFile(folder.path)
        self.keeping: Keeping | None = None
        self.board, self.drawn, self.page_due = Board(folder.path), Drawn(), 0.0

    def begin(self, keeping: Keeping) -> None:
        """Write down what was decided, before the first step."""
        self.keeping = keeping
        keeping.about = self._about()
        if not (self.folder.path / IMAGES).exists():
            write_text(self.folder.path / IMAGES, images_list(self.ready))
        if self.record["settings"]["weights"] is not None and not self.folder.start.exists():
            self._write_start()
        self.folder.write_metrics(self.history)
        self.folder.write_record({**self.record, "state": "running", "result": self.record.get("result")})
        self._show()

    def _write_start(self) -> None:
        """Keep the weights that the run begins from, so that it does not need their file again.

        They are those before anything was fitted to the images: who trains again on a part of these fits it to that.
        """
        spec, ready, beginning = self.ready.model.spec, self.ready, self.ready.beginning
        assert spec is not None
        assert beginning is not None
        metadata = model_metadata(
            spec, ready.classes, ready.data.preprocessing.to_json(), figures={}, trained_on={"location": "before"}
        )
        tensors = {**ready.model.state_dict(), **beginning.before}
        said = {**metadata, **ready.origin, "new_head": beginning.new_head}
        write_model_file(self.folder.start, tensors, said, ready.trained_before)

    def beat(self, place: Place, pace: Pace) -> None:
        """Note that a step was made."""
        pulse, planned = self.pulse.pulse, pace.planned
        pulse.executed += 1
        pulse.step, pulse.steps = pace.step, pace.steps if planned else 0
        pulse.epoch, pulse.epochs = place.epochs + 1, pace.epochs if planned else 0
        pulse.loss, pulse.lr = place.losses[-1], place.lr
        rate = len(place.losses) / max(place.seconds, 1e-9)
        pulse.images_per_second = rate * self.ready.recipe.batch_size
        pulse.left = (pace.steps - pace.step) / rate if planned else -1.0
        self.pulse.beat()
        if time.perf_counter() >= self.page_due:
            self._show()

    def _show(self, state: str = "running") -> None:
        """Write the report as far as it can be."""
        began = time.perf_counter()
        record = {**self.record, "state": state, "result": None}
        pulse = self.pulse.pulse if self.pulse.pulse.beat else None
        write_live_page(
            self.folder.report, record, self.history, self.judgement, self.ready.data.held_out, pulse, self.drawn
        )
        ended = time.perf_counter()
        self.page_due = ended + max(PAGE_EVERY, (ended - began) / PAGE_SHARE)

    def keep(self, epoch: Epoch) -> None:
        """Write the weights with their figures, unless earlier ones are better, and a line of metrics."""
        spec, ready = epoch.model.spec, self.ready
        assert spec is not None
        if epoch.best:
            figures = {"split": ready.data.held_out_split, "epoch": epoch.number, **epoch.held_out.figures()}
            self.being_written = epoch
            metadata = model_metadata(
                spec,
                ready.classes,
                ready.data.preprocessing.to_json(),
                figures=figures,
                trained_on={"location": self.record["data"]["location"]},
            )
            tensors = answering(epoch.model, epoch.model.state_dict())
            self.folder.write_model(tensors, {**metadata, **ready.origin}, ready.trained_on)
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
            "images_per_second": (epoch.images - self.images) / max(epoch.ended - epoch.began, 1e-9),
            **({"watched_loss": epoch.watched.loss} if epoch.watched else {}),
            **epoch.held_out.figures(),
        }
        self.first_step, self.last_step = self.first_step or epoch.began, epoch.ended
        self.images, self.being_written = epoch.images, None
        if epoch.best:
            self.judgement = epoch.held_out
        self.history.append(row)
        self.folder.append_metrics(row)
        self.board.epoch(row)
        if self.keeping is not None:
            self.keeping.about = self._about()

    def _about(self) -> dict[str, Any]:
        return {"history": self.history, "images": self.images, "train_seconds": self._train_seconds()}

    def _train_seconds(self) -> float:
        return float(self.trained_before + self.last_step - self.first_step)

    def stopped(self, error: BaseException, interrupted: bool) -> None:
        """Write down how a run ended that did not finish, as far as that can be."""
        epoch = self.being_written
        if epoch is not None and self.folder.saved_epoch() == epoch.number:  # broken off after it reached the disk
            self._count(epoch)
        kept = f"{self.folder.path} holds epoch {len(self.history)}" if self.history else "no epoch was finished"
        checkpoint = self.keeping.written if self.keeping else None
        if checkpoint is not None:
            kept += f"; to go on: lenext train --resume {self.folder.path}"
        self.progress.note(f"{'interrupted' if interrupted else 'stopped'}: {kept}")
        self.close("interrupted" if interrupted else "failed", error=None if interrupted else error)

    def close(self, state: str, error: BaseException | None = None) -> TrainResult | None:
        """Write the report and then the record; return the result, or None where no epoch was kept."""
        self.pulse.close()
        self.board.close()
        if self.judgement is None and self.history and state == "finished":
            self.judgement = self._judged_again()
        result = self._result(self.judgement) if self.judgement else None
        said = asdict(result) if result else self.record.get("result")
        record = {**self.record, "state": state, "ended": now(), "result": said}
        record |= {"error": one_line(error)} if error is not None else {}
        if self.judgement is None:
            self._show(state)
        else:
            write_answers(self.folder.answers, self.judgement, self.ready.data.held_out, record["data"]["class_names"])
            held_out = self.ready.data.held_out
            write_report(self.folder.report, record, self.history, self.judgement, held_out, self._reasons())
        self.folder.write_record(record)
        return result

    def _reasons(self) -> Reasons | None:
        """Return what tells what led to the answers of the weights that were kept, which may not be the last ones."""
        if not self.ready.model.stages:
            return None
        with torch.random.fork_rng(devices=[]), contextlib.suppress(LenextError):  # a page without maps will do
            return Reasons(load(self.folder.model_file, device=str(self.ready.train.device)))
        return None

    def _judged_again(self) -> Judgement:
        """Return the answers of the weights that an earlier process wrote, where none since was better."""
        data = self.ready.data
        loader = Loader(data.held_out, data.preprocessing, batch_size=JUDGING_BATCH, device=self.ready.train.device)
        return judge(create(self.record["settings"]["model"], weights=self.folder.model_file).to(loader.device), loader)

    def _result(self, judgement: Judgement) -> TrainResult:
        ready = self.ready
        return TrainResult(
            run=str(self.folder.path),
            model=self.record["settings"]["model"],
            epochs=len(self.history),
            top1=judgement.top1,
            top5=judgement.top5,
            loss=judgement.loss,
            images=len(judgement.labels),
            train_images=len(ready.data.train.images),
            seconds=time.perf_counter() - self.started,
            train_seconds=self._train_seconds(),
            images_per_second=self.images / sum(row["train_seconds"] for row in self.history),
            steps_executed=self.pulse.pulse.executed,
            skipped=len(ready.data.skipped),
            selected_by="early stopping" if ready.stopping else "last epoch",
            split=ready.data.held_out_split,
        )
