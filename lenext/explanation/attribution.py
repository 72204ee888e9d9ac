"""Occlusion and integrated gradients, both through Captum: what places add to the logit of a class."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lenext.errors import UserError
from lenext.models import ImageClassifier
from lenext.models.modes import evaluating

CELLS = 10  # along the shorter side, of which a patch covers two by two
STEPS = 50  # from the grey image to the image, at which gradients are taken
AT_ONCE = 16  # images in a batch


def occlusion(model: ImageClassifier, image: Tensor, index: int) -> tuple[Tensor, int]:
    """Return by how much the logit of a class falls where the image is covered, and the side of a cell in pixels.

    (1, C, H, W) -> (h, w), cells that begin at the corner. Zeiler and Fergus 2013, https://arxiv.org/abs/1311.2901: a
    patch of two by two cells, a tenth of the shorter side each, of the mean colour, zero after normalisation; a cell
    has the mean of the patches over it.

    Raises:
        UserError: Captum is not installed.
    """
    attr = _captum("occlusion")
    channels, height, width = image.shape[1:]
    side = max(1, min(height, width) // CELLS)
    with evaluating(model), torch.no_grad():
        found: Tensor = attr.Occlusion(model).attribute(
            image.contiguous(),
            sliding_window_shapes=(channels, min(2 * side, height), min(2 * side, width)),
            strides=(channels, side, side),
            target=index,
            perturbations_per_eval=AT_ONCE,
        )
    middle = side // 2
    return found[0, 0, middle::side, middle::side].float(), side  # every channel, and every pixel of a cell, is alike


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


def _captum(what: str) -> Any:
    try:
        from captum import attr
    except ImportError as error:
        raise UserError(f"{what} needs Captum, which is not installed: pip install 'lenext[explain]'") from error
    return attr
