"""The training loop. Read this first: everything else in training prepares it or keeps what comes of it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from lenext.data.loader import Batch, Loader
from lenext.data.training_loader import TrainingLoader
from lenext.errors import LenextError, UserError
from lenext.evaluation.judge import Judgement, judge
from lenext.models import ImageClassifier
from lenext.progress import SILENT, Progress
from lenext.training.arithmetic import Arithmetic
from lenext.training.average import Average
from lenext.training.checkpoint import Checkpoint
from lenext.training.criterion import Criterion
from lenext.training.keeping import NOTHING_KEPT, Keeping, Place, restore
from lenext.training.levenberg_marquardt import IMAGES, DiagonalLevenbergMarquardt
from lenext.training.optimiser import make_optimiser
from lenext.training.pace import Pace
from lenext.training.recipes.recipe import Recipe
from lenext.training.schedule import rate_share


@dataclass(frozen=True)
class Epoch:
    """What one pass over the training images brought; `steps` and `images` count from the start of training.

    `began` and `ended` are the instants, on the performance counter, of its first and last step, of which `waited`
    seconds went by waiting for images. `losses` are the training loss of every step; `held_out` is the answer of
    `model` to the images it does not train on, with the weights it has now, or their average. `watched` is its answer
    to the images that early stopping goes by, and `best` whether no earlier epoch did better on them.
    """

    number: int
    steps: int
    images: int
    lr: float
    losses: list[float]
    began: float
    ended: float
    waited: float
    held_out: Judgement
    watched: Judgement | None
    best: bool
    model: ImageClassifier


def fit(
    model: ImageClassifier,
    train: TrainingLoader,
    held_out: Loader,
    recipe: Recipe,
    *,
    seed: int,
    criterion: Criterion | None = None,
    arithmetic: Arithmetic | None = None,
    pace: Pace | None = None,
    stopping: Loader | None = None,
    keeping: Keeping = NOTHING_KEPT,
    resumed: Checkpoint | None = None,
    progress: Progress = SILENT,
) -> Iterator[Epoch]:
    """Train the model in place and yield after every epoch.

    `stopping` holds the images that early stopping goes by. `keeping` writes checkpoints, after every epoch and when
    they are due; from `resumed`, one of these, training goes on as if it had never stopped.

    Raises:
        LenextError: the loss is no longer a finite number; the message names step and learning rate.
        UserError: batches of one image, of which batch normalisation cannot take a variance.
    """
    criterion = criterion or Criterion(recipe, train.class_counts, train.device)
    pace = pace or Pace(recipe.epochs * train.steps, train.steps)
    work = Work(model, recipe, criterion, arithmetic or Arithmetic())
    place = restore(resumed, work, pace) if resumed else Place()
    while not pace.finished and not 0 < recipe.early_stopping <= place.since:
        number = place.epochs + 1
        model.train()
        began = pace.begin() - place.seconds
        if isinstance(work.optimiser, DiagonalLevenbergMarquardt) and not place.losses:
            work.optimiser.measure(work.answers, criterion, _one_by_one(train, seed, number), seed=(seed, number))
        waited = train.waited - place.waited
        batches = train.shuffled(seed=seed, epoch=number, skip=len(place.losses))
        for batch in progress.track(batches, _title(number, pace), len(train), len):
            place.lr = recipe.lr * rate_share(recipe, pace.done, pace.steps)
            place.losses.append(work.step(batch, place.lr, pace.step + 1))
            place.images += len(batch)
            pace.advance()
            place.seconds, place.waited = pace.last - began, train.waited - waited
            if pace.step >= pace.steps:
                break
            keeping.keep_if_due(work, place, pace)
        judged = work.average.model if work.average else model
        place.since += 1
        watched = judge(judged, stopping) if stopping else None
        if watched is None or watched.loss < place.best:
            place.best, place.since = watched.loss if watched else place.best, 0
        yield Epoch(
            number, pace.step, place.images, place.lr, place.losses, began, pace.last, place.waited,
            judge(judged, held_out), watched, not place.since, judged,
        )  # fmt: skip
        pace.judge()
        place.begin_epoch()
        keeping.keep(work, place, pace)


class Work:
    """What a step needs: the model, the optimiser, the loss, the arithmetic, and the average of the weights."""

    def __init__(self, model: ImageClassifier, recipe: Recipe, criterion: Criterion, arithmetic: Arithmetic) -> None:
        self.model, self.recipe, self.criterion, self.arithmetic = model, recipe, criterion, arithmetic
        self.forward = arithmetic.prepare(model)
        self.optimiser = make_optimiser(model, recipe)
        self.average = Average(model, recipe.ema) if recipe.ema else None

    def answers(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the logits of images (N, C, H, W), and those of auxiliary classifiers."""
        try:
            return self.forward(self.arithmetic.order(images))
        except ValueError as error:
            if len(images) > 1 or "more than 1 value per channel" not in str(error):
                raise
            raise UserError(
                "one image at a time is too few: batch normalisation takes the variance of one value a map; give "
                "--batch-size 2 or more, fewer parts to accumulate, or another optimizer than sdlm"
            ) from error

    def step(self, batch: Batch, lr: float, number: int) -> float:
        """Change the weights by a batch, and return its loss, without that of auxiliary classifiers."""
        recipe, loss = self.recipe, 0.0
        targets = self.criterion.targets(batch.labels, batch.shares)
        parts = min(recipe.accumulate, len(batch))
        for images, wanted in zip(batch.images.tensor_split(parts), targets.tensor_split(parts), strict=True):
            with self.arithmetic.cast(images.device):
                logits, auxiliary = self.answers(images)
            main = self.criterion(logits.float(), wanted)
            aside = sum(self.criterion(extra.float(), wanted) for extra in auxiliary)
            share = len(images) / len(batch)
            (share * (main + recipe.auxiliary * aside)).backward()  # type: ignore[no-untyped-call]
            loss += share * main.item()
        if not math.isfinite(loss):
            raise LenextError(
                f"the loss is {loss} at step {number}, learning rate {lr:.3g}; try --lr {recipe.lr / 10:.1g}"
            )
        if recipe.clip:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), recipe.clip)
        for group in self.optimiser.param_groups:
            group["lr"] = lr
        self.optimiser.step()
        self.optimiser.zero_grad()
        if self.average:
            self.average.update(self.model)
        return loss


def _title(number: int, pace: Pace) -> str:
    if not pace.planned:
        return f"epoch {number}"
    return f"epoch {number} of {'about ' if pace.deadline is not None else ''}{pace.epochs}"


def _one_by_one(train: TrainingLoader, seed: int, number: int) -> Iterator[Tensor]:
    """Yield the first images of the epoch, each (1, C, H, W)."""
    left = IMAGES
    for batch in train.shuffled(seed=seed, epoch=number):
        yield from batch.images[:left].tensor_split(min(left, len(batch)))
        left -= min(left, len(batch))
        if not left:
            return
