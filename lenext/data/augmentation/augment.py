"""`Augmenter`: what an augmentation does to a batch once its images have the model's size, by (seed, epoch, index)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lenext.data.augmentation.augmentation import Augmentation
from lenext.data.augmentation.colour import brightness, contrast, pca_noise, saturation
from lenext.data.augmentation.erasing import erase
from lenext.data.augmentation.mixing import beta_weights, cutmix, mixup
from lenext.data.augmentation.policies import randaugment, trivialaugment
from lenext.data.draws import Purpose, uniforms

ERASING_DRAWS = 8
LARGE = 2**14  # bytes of an image, from which on several do not fit into a core's cache


class Augmenter:
    """Changes batches of uint8 images; the parameters of each image are drawn from the seed, the epoch and its index.

    `fill` (C,) are the grey levels that come in where an image is turned or shifted, `axes` (C, C) the principal axes
    of the training set's colours, which `colour_noise` needs.
    """

    def __init__(self, augmentation: Augmentation, *, fill: tuple[float, ...], axes: Tensor | None = None) -> None:
        self.augmentation, self.fill, self.axes = augmentation, torch.tensor(fill), axes

    def change(self, pixels: Tensor, seed: int, epoch: int, indices: NDArray[np.int64]) -> Tensor:
        """Return the images changed one by one: uint8 (N, H, W, C) -> the same."""
        plan = self.augmentation

        def drawn(purpose: Purpose, count: int) -> Tensor:
            return torch.from_numpy(uniforms(seed, epoch, indices, purpose, count))  # small, and best left on the CPU

        if plan.mirror:
            pixels = mirrored(pixels, (drawn(Purpose.MIRROR, 1)[:, 0] < 0.5).to(pixels.device))
        if plan.jitter:
            pixels = self._jittered(pixels, drawn(Purpose.COLOUR, 3))
        fill = self.fill
        if plan.trivialaugment:
            pixels = trivialaugment(pixels, drawn(Purpose.POLICY, 3), fill=fill)
        if plan.randaugment:
            draws = drawn(Purpose.POLICY, plan.randaugment * (3 if plan.magnitude_std else 2))
            pixels = randaugment(
                pixels, draws, plan.randaugment, plan.magnitude, fill, plan.magnitude_std, plan.randaugment_probability
            )
        if plan.colour_noise:
            assert self.axes is not None
            normals = torch.special.ndtri(drawn(Purpose.NOISE, pixels.shape[-1]))
            pixels = pca_noise(pixels, plan.colour_noise * normals, self.axes)
        if plan.erasing:
            draws = drawn(Purpose.ERASING, ERASING_DRAWS)
            pixels = erase(pixels, draws, plan.erasing, _noise(pixels, seed, epoch))
        return pixels

    def mix(
        self, pixels: Tensor, seed: int, epoch: int, indices: NDArray[np.int64], lead: int | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Return each image mixed with the one at the same place from the end, and its own share (N,).

        Of two ways to mix, the number `lead` draws one for the batch: that of its first image.
        """
        plan = self.augmentation
        if not plan.mixes:
            return pixels, None
        draws = torch.from_numpy(uniforms(seed, epoch, indices, Purpose.MIXING, 4))
        first = np.array([indices[0] if lead is None else lead])
        if plan.cutmix and (not plan.mixup or uniforms(seed, epoch, first, Purpose.MIXING, 4)[0, 3] < 0.5):
            shares = beta_weights(draws[:, 0], plan.cutmix)
            pixels, shares = cutmix(pixels, shares, draws[:, 1:3])
        else:
            shares = beta_weights(draws[:, 0], plan.mixup)
            pixels = mixup(pixels, shares)
        return pixels, shares.to(pixels.device)

    def _jittered(self, pixels: Tensor, draws: Tensor) -> Tensor:
        factors = (1 + self.augmentation.jitter * (2 * draws - 1)).float()
        for change, column in ((brightness, 0), (contrast, 1), (saturation, 2)):
            pixels = change(pixels, factors[:, column])
        return pixels


def mirrored(pixels: Tensor, chosen: Tensor) -> Tensor:
    """Return the batch with the chosen images (N,) turned left to right: uint8 (N, H, W, C) -> the same."""
    # Turning is fast in the view (N, C, H, W).
    if pixels.device.type != "cpu" or pixels.shape[1:].numel() < LARGE:
        turned = pixels.permute(0, 3, 1, 2).flip(3).permute(0, 2, 3, 1)
        return torch.where(chosen[:, None, None, None], turned, pixels)
    made = torch.empty_like(pixels)
    for image, out, turn in zip(pixels, made, chosen.tolist(), strict=True):  # one by one they stay in the cache
        out.copy_(image.permute(2, 0, 1).flip(2).permute(1, 2, 0) if turn else image)
    return made


def _noise(pixels: Tensor, seed: int, epoch: int) -> Tensor:
    """Return random grey levels (H, W, C), the same for all of an epoch."""
    start = uniforms(seed, epoch, np.zeros(1, np.int64), Purpose.NOISE, 1)[0, 0]
    generator = torch.Generator().manual_seed(int(start * 2**53))
    return torch.randint(0, 256, pixels.shape[1:], dtype=torch.uint8, generator=generator).to(pixels.device)
