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
from lenext.processes import ALONE, Group
from lenext.progress import SILENT, Progress
from lenext.training.arithmetic import Arithmetic, Forward
from lenext.training.average import Average
from lenext.training.checkpoint import Checkpoint
from lenext.training.criterion import Criterion
from lenext.training.keeping import Keeping, Place, restore
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
    keeping: Keeping | None = None,
    resumed: Checkpoint | None = None,
    group: Group = ALONE,
    progress: Progress = SILENT,
) -> Iterator[Epoch]:
    """Train the model in place and yield after every epoch.

    `stopping` holds the images that early stopping goes by. `keeping` writes checkpoints, after every epoch and when
    they are due; from `resumed`, one of these, training goes on as if it had never stopped. The processes of `group`
    each train on their own part of every batch, and judge their own part of the images.

    Raises:
        LenextError: the loss is no longer a finite number; the message names step and learning rate.
        UserError: batches of one image, of which batch normalisation cannot take a variance.
    """
    criterion = criterion or Criterion(recipe, train.class_counts, train.device)
    pace = pace or Pace(recipe.epochs * train.steps, train.steps)
    keeping = keeping or Keeping(None, group=group)
    work = Work(model, recipe, criterion, arithmetic or Arithmetic(), group)
    place = restore(resumed, work, pace, group.rank) if resumed else Place()
    while place.losses or (not pace.finished and not 0 < recipe.early_stopping <= place.since):
        _make_steps(work, train, place, pace, keeping, seed, progress)
        number = place.epochs + 1
        judged = work.average.model if work.average else model
        with keeping.judging(work, place, pace):
            watched = judge(judged, stopping, group=group) if stopping else None
            answers = judge(judged, held_out, group=group)
        place.since += 1
        if watched is None or watched.loss < place.best:
            place.best, place.since = watched.loss if watched else place.best, 0
        yield Epoch(
            number, pace.step, place.images, place.lr, place.losses, pace.last - place.seconds, pace.last, place.waited,
            answers, watched, not place.since, judged,
        )  # fmt: skip
        pace.judge()
        _follow(group, pace)
        place.begin_epoch()
        keeping.keep(work, place, pace)
        keeping.patient = False


class DivergedError(LenextError):
    """The loss is no longer a finite number."""


class Work:
    """What a step needs: the model, the optimiser, the loss, the arithmetic, and the average of the weights.

    With a `group` of several processes, each has its own part of a batch, and all make the same step.
    """

    def __init__(
        self,
        model: ImageClassifier,
        recipe: Recipe,
        criterion: Criterion,
        arithmetic: Arithmetic,
        group: Group = ALONE,
    ) -> None:
        self.model, self.recipe, self.criterion, self.arithmetic, self.group = (
            model, recipe, criterion, arithmetic, group,
        )  # fmt: skip
        self.local_forward = arithmetic.prepare(model)
        self.forward = group.shared(model, self.local_forward)
        self.optimiser = make_optimiser(model, recipe)
        self.average = Average(model, recipe.ema) if recipe.ema else None
        self.statistics = [buffer for buffer in model.buffers() if buffer.is_floating_point()]

    def answers(self, images: Tensor, forward: Forward | None = None) -> tuple[Tensor, list[Tensor]]:
        """Return the logits of images (N, C, H, W), and those of auxiliary classifiers."""
        try:
            return (forward or self.forward)(self.arithmetic.order(images))
        except ValueError as error:
            if len(images) > 1 or "more than 1 value per channel" not in str(error):
                raise
            raise UserError(
                "one image at a time is too few: batch normalisation takes the variance of one value a map; give "
                "--batch-size 2 or more, fewer parts to accumulate, or another optimizer than sdlm"
            ) from error

    def local_answers(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the answers to images that every process of the group has, for gradients that none shares."""
        return self.answers(images, self.local_forward)

    def step(self, batch: Batch, lr: float, number: int) -> float:
        """Change the weights by a batch, and return its loss, without that of auxiliary classifiers.

        Raises:
            DivergedError: the loss is no finite number; the weights are as they were.
        """
        loss = self._gradients(batch)
        if not math.isfinite(loss):
            raise DivergedError(f"the loss is {loss} at step {number}, learning rate {lr:.3g}")
        if self.recipe.clip:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip)
        for group in self.optimiser.param_groups:
            group["lr"] = lr
        self.optimiser.step()
        self.optimiser.zero_grad()
        self.group.average(self.statistics)
        if self.average:
            self.average.update(self.model)
        return loss

    def _gradients(self, batch: Batch) -> float:
        """Take the gradients of a batch, part by part, and return its loss, both over the whole group."""
        recipe, loss = self.recipe, 0.0
        targets = self.criterion.targets(batch.labels, batch.shares)
        parts = min(recipe.accumulate, len(batch))
        pieces = zip(batch.images.tensor_split(parts), targets.tensor_split(parts), strict=True)
        for number, (images, wanted) in enumerate(pieces, 1):
            with self.group.last_only(self.forward, number == parts):
                with self.arithmetic.cast(images.device):
                    logits, auxiliary = self.answers(images)
                main = self.criterion(logits.float(), wanted)
                aside = sum(self.criterion(extra.float(), wanted) for extra in auxiliary)
                share = len(images) / batch.whole
                # The gradients that come of it are the mean over the group, and are to be the sum.
                (share * self.group.world * (main + recipe.auxiliary * aside)).backward()  # type: ignore[no-untyped-call]
            loss += share * main.item()
        return self.group.sums(loss)[0]


def _make_steps(
    work: Work, train: TrainingLoader, place: Place, pace: Pace, keeping: Keeping, seed: int, progress: Progress
) -> None:
    """Make the steps of an epoch that are left."""
    number, recipe, model = place.epochs + 1, work.recipe, work.model
    model.train()
    began = pace.begin() - place.seconds
    if isinstance(work.optimiser, DiagonalLevenbergMarquardt) and not place.losses:
        images = _one_by_one(train, seed, number)
        work.optimiser.measure(work.local_answers, work.criterion, images, seed=(seed, number))
    waited = train.waited - place.waited
    batches = train.shuffled(seed=seed, epoch=number, skip=len(place.losses)) if not pace.finished else []
    keeping.patient = True
    for batch in progress.track(batches, _title(number, pace), len(train), lambda batch: batch.whole):
        place.lr = recipe.lr * rate_share(recipe, pace.done, pace.steps)
        try:
            place.losses.append(work.step(batch, place.lr, pace.step + 1))
        except DivergedError as error:
            raise LenextError(f"{error}; {_last_good(keeping)}; try --lr {recipe.lr / 10:.1g}") from error
        place.images += batch.whole
        pace.advance()
        _follow(work.group, pace)
        place.seconds, place.waited = pace.last - began, train.waited - waited
        keeping.keep_if_due(work, place, pace)
        if pace.step >= pace.steps:
            break


def _follow(group: Group, pace: Pace) -> None:
    """Let all processes plan by the clock of the first."""
    if pace.deadline is not None:
        pace.steps = int(group.sums(pace.steps * group.first)[0])


def _last_good(keeping: Keeping) -> str:
    if keeping.written is None:
        return "no checkpoint was written before it"
    return f"the last good checkpoint is {keeping.written}"


def _title(number: int, pace: Pace) -> str:
    if not pace.planned:
        return f"epoch {number}"
    return f"epoch {number} of {'about ' if pace.deadline is not None else ''}{pace.epochs}"


def _one_by_one(train: TrainingLoader, seed: int, number: int) -> Iterator[Tensor]:
    """Yield the first images of the epoch, each (1, C, H, W)."""
    left = IMAGES
    for batch in train.shuffled(seed=seed, epoch=number, whole=True):
        yield from batch.images[:left].tensor_split(min(left, len(batch)))
        left -= min(left, len(batch))
        if not left:
            return
