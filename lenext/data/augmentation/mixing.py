"""Mixup and CutMix: each image with its partner, which is the image as far from the other end of the batch.

Mixup: Zhang et al. 2017, https://arxiv.org/abs/1710.09412. CutMix: Yun et al. 2019, https://arxiv.org/abs/1905.04899.
Images are uint8 (N, H, W, C), and the partner of image i is image N-1-i. In both papers the weights are distributed as
Beta(alpha, alpha): see `beta_weights`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lenext.data.augmentation.erasing import paste


def mixup(pixels: Tensor, weights: Tensor) -> Tensor:
    """Return each image times its weight, plus its partner times the rest; weights (N,)."""
    rows = pixels.flatten(2)
    partners = rows.flip(0)
    share = weights.to(torch.float32).to(pixels.device).view(-1, 1, 1)
    mixed = rows.to(torch.float32).sub_(partners).mul_(share).add_(partners)
    return mixed.add_(0.5).to(torch.uint8).view(pixels.shape)


def cutmix(pixels: Tensor, weights: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
    """Paste a rectangle of each image's partner; return the images, and the share of each that is still its own.

    The rectangle has the image's shape and the share 1 - w of its area, w from `weights` (N,). Its centre is at
    `places` (N, 2), row and column, uniform in [0, 1); what lies beyond the border is cut off. The shares returned (N,)
    are those after that, to the pixel.
    """
    _, height, width, _ = pixels.shape
    sides = torch.tensor([height, width], dtype=torch.float64, device=places.device)
    half = (1 - weights.to(places.device, torch.float64)).sqrt()[:, None] * sides / 2  # (N, 2)
    centre = places.to(torch.float64) * sides
    first = (centre - half).round().clamp(min=0)
    last = (centre + half).round().minimum(sides)
    pasted = (last - first).prod(1) / (height * width)
    rectangles = torch.cat((first, last), 1).to(torch.int64)  # top, left, bottom, right
    return paste(pixels, pixels.flip(0), rectangles), 1 - pasted


def mixed_targets(labels: Tensor, classes: int, weights: Tensor) -> Tensor:
    """Return the probabilities of mixed images: int64 (N,), weights (N,) -> float32 (N, classes)."""
    weights = weights.to(labels.device, torch.float32)[:, None]
    targets = torch.zeros(len(labels), classes, device=labels.device)
    targets.scatter_(1, labels[:, None], weights)
    return targets.scatter_add_(1, labels.flip(0)[:, None], 1 - weights)


def beta_weights(uniform: Tensor, alpha: float) -> Tensor:
    """Return numbers distributed as Beta(alpha, alpha) from uniform ones: (N,) -> float64 (N,)."""
    from scipy.special import betaincinv  # type: ignore[import-untyped, unused-ignore]

    values = betaincinv(alpha, alpha, uniform.cpu().to(torch.float64).numpy())
    return torch.from_numpy(values).to(uniform.device)
