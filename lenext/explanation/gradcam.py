"""Grad-CAM: Selvaraju et al. 2016, https://arxiv.org/abs/1610.02391"""

from __future__ import annotations

import torch
from torch import Tensor

from lenext.models import ImageClassifier
from lenext.models.modes import evaluating


def grad_cam(model: ImageClassifier, images: Tensor, classes: Tensor, stage: int | None = None) -> Tensor:
    """Return how far each place of a stage's map speaks for a class: (N, C, H, W), (N,) -> (N, h, w), 0 or more.

        heat = grad_cam(model, images, model(images).argmax(1))

    Each map of the stage, counted from 0 (the last where it is None), is weighed by the mean of the gradient that the
    logit of the class has in it; of the sum, what is below zero counts as nothing. The model answers as in evaluation
    and is left as it was found: modes, statistics, and the gradients of its weights.

    Raises:
        UserError: the model has no stages, or no such one.
    """
    number = len(model.stages) - 1 if stage is None else stage
    with evaluating(model), torch.inference_mode(False):
        index = classes.clone()[:, None]  # what was made in inference mode has no place in a gradient
        with torch.no_grad():
            maps = model.feature_map(images, number)
        with torch.enable_grad():
            maps = maps.detach().requires_grad_()
            logits = model.answer(maps.clone(), number)  # a copy, for a layer may work in place of its input
            own = logits.gather(1, index).sum()  # an image's logit depends on its own maps alone
            (gradients,) = torch.autograd.grad(own, maps)
    maps = maps.detach()
    weights = gradients.mean((2, 3), keepdim=True)  # (N, C, h, w) -> (N, C, 1, 1)
    return (weights * maps).sum(1).relu()
