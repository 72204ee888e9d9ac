"""One step of training: the gradients of a batch, and what the optimiser makes of them."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lenext.data.loader import Batch
from lenext.errors import LenextError, UserError
from lenext.models import ImageClassifier
from lenext.models.parts import parts_of
from lenext.processes import ALONE, Group
from lenext.training.arithmetic import Arithmetic, Forward
from lenext.training.average import Average
from lenext.training.criterion import Criterion
from lenext.training.optimiser import make_optimiser
from lenext.training.recipes.recipe import Recipe


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
        self.frozen = model.frozen  # at the start
        self.forward = group.shared(model, self.local_forward)
        self.optimiser = make_optimiser(model, recipe)
        self.average = Average(model, recipe.ema) if recipe.ema else None
        self._note_what_changes()

    def free(self, count: int) -> None:
        """Let the last `count` of the parts that were frozen at the start be trained."""
        frozen = self.frozen[: len(self.frozen) - count]
        if frozen != self.model.frozen:
            self.model.freeze_exactly(frozen)
            self.forward = self.group.shared(self.model, self.local_forward)
            self._note_what_changes()

    def _note_what_changes(self) -> None:
        """Note the weights that are trained, and the statistics that are gathered."""
        self.trained = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        parts = parts_of(self.model)
        still = {b for part in self.model.frozen for module in parts[part] for b in module.buffers()}
        self.statistics = [b for b in self.model.buffers() if b.is_floating_point() and b not in still]

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
            group["lr"] = lr * group["share"]
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
        self.group.exchange(self.trained)
        return self.group.sums(loss)[0]
