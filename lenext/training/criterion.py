"""The loss of a recipe, by the labels of a batch or by those of its mixed images."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, pad

from lenext.data.augmentation.mixing import mixed_targets
from lenext.training.recipes.recipe import Recipe

NONE_OF_THESE = -0.1  # the logit of an image of no class: j of LeCun et al. 1998, equation 9, which gives it no value


class Criterion:
    """Cross-entropy with smoothed labels and weighted classes, or the loss of LeCun et al. 1998.

    `counts` (classes,) are the training images of each class, for `class_weights="balanced"`: a class weighs what it
    lacks of an equal share, n / (classes * count).
    """

    def __init__(self, recipe: Recipe, counts: Tensor, device: torch.device) -> None:
        self.smoothing, self.loss = recipe.label_smoothing, recipe.loss
        self.classes = len(counts)
        balanced = counts.sum() / (self.classes * counts.clamp_min(1))
        self.weights = balanced.float().to(device) if recipe.class_weights == "balanced" else None

    def targets(self, labels: Tensor, shares: Tensor | None = None) -> Tensor:
        """Return what the answers of a batch are held against: labels (N,), or (N, classes) of images that are mixed.

        Where `shares` (N,) are given, each image is mixed with the one at the same place from the end, and has the
        labels of both.
        """
        return labels if shares is None else mixed_targets(labels, self.classes, shares)

    def probabilities(self, logits: Tensor) -> Tensor:
        """Return those that the loss sees in logits (N, classes), (N, classes) or one more, for "none of these"."""
        return self._with_none(logits).softmax(1)

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the mean loss of logits (N, classes); a batch of rare images counts for more than one of others."""
        weights = self.weights
        if self.loss == "map":
            targets = pad(targets, (0, 1)) if targets.ndim == 2 else targets
            weights = None if weights is None else pad(weights, (0, 1), value=1.0)
        summed = cross_entropy(
            self._with_none(logits), targets, weights, label_smoothing=self.smoothing, reduction="sum"
        )
        return summed / len(logits)

    def _with_none(self, logits: Tensor) -> Tensor:
        return pad(logits, (0, 1), value=NONE_OF_THESE) if self.loss == "map" else logits
