"""Occlusion and integrated gradients, both through Captum: how much each pixel adds to the logit of a class."""

from __future__ import annotations

from types import ModuleType

import torch
from torch import Tensor

from lenext.errors import UserError
from lenext.models import ImageClassifier
from lenext.models.modes import evaluating

WINDOWS = 8  # patches along the shorter side, each half over the next
STEPS = 50  # from the grey image to the image, at which gradients are taken
AT_ONCE = 16  # images in a batch


def occlusion(model: ImageClassifier, image: Tensor, index: int) -> Tensor:
    """Return by how much the logit of a class falls where a patch is covered: (1, C, H, W) -> (H, W).

    Zeiler and Fergus 2013, https://arxiv.org/abs/1311.2901. The patch is an eighth of the shorter side, moves by half
    of that, and is of the mean colour, zero after normalisation; a pixel has the mean of the patches over it.

    Raises:
        UserError: Captum is not installed.
    """
    attr = _captum("occlusion")
    channels, height, width = image.shape[1:]
    side = max(1, min(height, width) // WINDOWS)
    with evaluating(model), torch.no_grad():
        found: Tensor = attr.Occlusion(model).attribute(
            image.contiguous(),
            sliding_window_shapes=(channels, side, side),
            strides=(channels, max(1, side // 2), max(1, side // 2)),
            target=index,
            perturbations_per_eval=AT_ONCE,
        )
    return found[0, 0].float()  # every channel has the same


def integrated_gradients(model: ImageClassifier, image: Tensor, index: int) -> Tensor:
    """Return how much each pixel adds to the logit of a class over that of plain grey: (1, C, H, W) -> (H, W).

    Sundararajan et al. 2017, https://arxiv.org/abs/1703.01365: the mean gradient on the way from the mean colour, zero
    after normalisation, times the way, over all channels. The sum over the pixels is the difference of the logits.

    Raises:
        UserError: Captum is not installed.
    """
    attr = _captum("integrated gradients")
    with evaluating(model), torch.enable_grad():
        found: Tensor = attr.IntegratedGradients(model).attribute(
            image.contiguous().requires_grad_(), target=index, n_steps=STEPS, internal_batch_size=AT_ONCE
        )
    return found[0].detach().sum(0).float()


def _captum(what: str) -> ModuleType:
    try:
        from captum import attr
    except ImportError as error:
        raise UserError(f"{what} needs Captum, which is not installed: pip install 'lenext[explain]'") from error
    return attr
