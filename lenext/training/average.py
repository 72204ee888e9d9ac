"""The average of the weights over the steps of training, which often answers better than the last ones."""

from __future__ import annotations

import copy

import torch

from lenext.models import ImageClassifier

SOON = 10  # steps after which the average forgets its beginning, whatever its decay


class Average:
    """An exponential moving average of a model's weights and statistics (Polyak and Juditsky 1992).

    The share that is kept grows from nothing to `decay`, so that the first weights do not stay in a short training.
    """

    def __init__(self, model: ImageClassifier, decay: float) -> None:
        self.model, self.decay, self.steps = copy.deepcopy(model).requires_grad_(False), decay, 0

    @torch.no_grad()
    def update(self, model: ImageClassifier) -> None:
        """Take the weights that the model has now into the average."""
        self.steps += 1
        kept = min(self.decay, self.steps / (self.steps + SOON))
        averaged, current = self.model.state_dict(), model.state_dict()
        floating = [key for key, value in averaged.items() if value.is_floating_point()]
        torch._foreach_lerp_([averaged[key] for key in floating], [current[key] for key in floating], 1 - kept)
        for key in averaged.keys() - set(floating):
            averaged[key].copy_(current[key])
