"""The training loop. Read this first: everything else in training prepares it or keeps what comes of it."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import cross_entropy

from lenext.data.loader import Loader
from lenext.errors import LenextError, UserError
from lenext.evaluation.judge import Judgement, judge
from lenext.models import ImageClassifier
from lenext.progress import SILENT, Progress
from lenext.training.optimiser import make_optimiser, make_schedule
from lenext.training.recipes import Recipe

AUXILIARY_WEIGHT = 0.3  # Szegedy et al. 2014, https://arxiv.org/abs/1409.4842


@dataclass(frozen=True)
class Epoch:
    """What one pass over the training images brought; `steps` counts from the start of training.

    `began` and `ended` are the instants, on the performance counter, of its first and last step.
    `losses` are the training loss of every step; `held_out` is the model's answer to the images it does not train
    on, with the weights it has now.
    """

    number: int
    steps: int
    lr: float
    losses: list[float]
    began: float
    ended: float
    held_out: Judgement


def fit(
    model: ImageClassifier,
    train: Loader,
    held_out: Loader,
    recipe: Recipe,
    *,
    seed: int,
    progress: Progress = SILENT,
) -> Iterator[Epoch]:
    """Train the model in place and yield after every epoch.

    Raises:
        LenextError: the loss is no longer a finite number; the message names step and learning rate.
        UserError: batches of one image, of which batch normalisation cannot take a variance.
    """
    optimiser = make_optimiser(model, recipe)
    schedule = make_schedule(optimiser, recipe, recipe.epochs * train.steps)
    step = 0
    for number in range(1, recipe.epochs + 1):
        model.train()
        began, losses = time.perf_counter(), []
        batches = train.shuffled(seed=seed, epoch=number)
        for batch in progress.track(batches, f"epoch {number} of {recipe.epochs}", len(train), len):
            logits, auxiliary = _answers(model, batch.images)
            loss = cross_entropy(logits, batch.labels, label_smoothing=recipe.label_smoothing)
            for extra in auxiliary:
                loss = loss + AUXILIARY_WEIGHT * cross_entropy(
                    extra, batch.labels, label_smoothing=recipe.label_smoothing
                )
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            lr, value = float(schedule.get_last_lr()[0]), loss.item()
            step += 1
            if not math.isfinite(value):
                raise LenextError(
                    f"the loss is {value} at step {step}, learning rate {lr:.3g}; try --lr {recipe.lr / 10:.1g}"
                )
            optimiser.step()
            schedule.step()
            losses.append(value)
        ended = time.perf_counter()
        yield Epoch(number, step, lr, losses, began, ended, judge(model, held_out))


def _answers(model: ImageClassifier, images: Tensor) -> tuple[Tensor, list[Tensor]]:
    try:
        return model.forward_train(images)
    except ValueError as error:
        if len(images) > 1 or "more than 1 value per channel" not in str(error):
            raise
        raise UserError(
            "one image a step is too few: batch normalisation takes the variance of one value a map; "
            "give --batch-size 2 or more"
        ) from error
