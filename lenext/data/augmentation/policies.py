"""RandAugment and TrivialAugment: one of fourteen operations at a time, drawn for each image of a batch.

RandAugment: Cubuk et al. 2019, https://arxiv.org/abs/1909.13719: `count` operations in a row, all of one magnitude.
TrivialAugment: Müller and Hutter 2021, https://arxiv.org/abs/2103.10158: one operation, of any strength.

Ranges are those of torchvision's RandAugment and TrivialAugmentWide. Rotation and shear are about the centre.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from lenext.data.augmentation import colour
from lenext.data.augmentation.affine import affine, rotations, shears_x, shears_y, translations_x, translations_y

MAGNITUDES = 30  # the strongest on the scale of the RandAugment paper
BINS = 31  # strengths that TrivialAugment chooses from

Apply = Callable[[Tensor, Tensor, Tensor], Tensor]  # pixels (N, H, W, C), values (N,), fill (C,) -> pixels


def _move(matrices: Callable[[Tensor], Tensor]) -> Apply:
    return lambda pixels, values, fill: affine(pixels, matrices(values), fill)


def _shift_x(pixels: Tensor, values: Tensor, fill: Tensor) -> Tensor:
    return affine(pixels, translations_x(values.trunc()), fill)


def _shift_y(pixels: Tensor, values: Tensor, fill: Tensor) -> Tensor:
    return affine(pixels, translations_y(values.trunc()), fill)


def _shift_x_by_share(pixels: Tensor, values: Tensor, fill: Tensor) -> Tensor:
    return _shift_x(pixels, values * pixels.shape[2], fill)


def _shift_y_by_share(pixels: Tensor, values: Tensor, fill: Tensor) -> Tensor:
    return _shift_y(pixels, values * pixels.shape[1], fill)


def _enhance(change: Callable[[Tensor, Tensor], Tensor]) -> Apply:
    return lambda pixels, values, _: change(pixels, 1 + values)


def _posterize(pixels: Tensor, values: Tensor, _: Tensor) -> Tensor:
    return colour.posterize(pixels, values.round())


def _solarize(pixels: Tensor, values: Tensor, _: Tensor) -> Tensor:
    return colour.solarize(pixels, values)


def _same(pixels: Tensor) -> Tensor:
    return pixels


def _always(change: Callable[[Tensor], Tensor]) -> Apply:
    return lambda pixels, _, __: change(pixels)


@dataclass(frozen=True)
class Operation:
    """What a policy can choose, and its values: from `weakest` to `strongest`, and of either sign where `signed`."""

    name: str
    apply: Apply
    weakest: float = 0.0
    strongest: float = 0.0
    signed: bool = False

    def values(self, strengths: Tensor, negative: Tensor) -> Tensor:
        """Return the values for strengths from 0 to 1: (N,), bool (N,) -> float32 (N,)."""
        values = self.weakest + (self.strongest - self.weakest) * strengths
        if self.signed:
            values = torch.where(negative, -values, values)
        return values.to(torch.float32)


# At its weakest, every operation leaves an image as it is but solarize, which makes white black, and the two without
# a strength.
RANDAUGMENT = (
    Operation("identity", _always(_same)),
    Operation("shear_x", _move(shears_x), 0, 0.3, signed=True),
    Operation("shear_y", _move(shears_y), 0, 0.3, signed=True),
    Operation("translate_x", _shift_x_by_share, 0, 150 / 331, signed=True),  # of the width, cut to whole pixels
    Operation("translate_y", _shift_y_by_share, 0, 150 / 331, signed=True),  # of the height
    Operation("rotate", _move(rotations), 0, 30, signed=True),  # degrees
    Operation("brightness", _enhance(colour.brightness), 0, 0.9, signed=True),  # factors less 1
    Operation("saturation", _enhance(colour.saturation), 0, 0.9, signed=True),
    Operation("contrast", _enhance(colour.contrast), 0, 0.9, signed=True),
    Operation("sharpness", _enhance(colour.sharpness), 0, 0.9, signed=True),
    Operation("posterize", _posterize, 8, 4),  # bits
    Operation("solarize", _solarize, 255, 0),  # threshold
    Operation("autocontrast", _always(colour.autocontrast)),
    Operation("equalize", _always(colour.equalize)),
)

TRIVIALAUGMENT = (
    Operation("identity", _always(_same)),
    Operation("shear_x", _move(shears_x), 0, 0.99, signed=True),
    Operation("shear_y", _move(shears_y), 0, 0.99, signed=True),
    Operation("translate_x", _shift_x, 0, 32, signed=True),  # pixels, whatever the size of the image
    Operation("translate_y", _shift_y, 0, 32, signed=True),
    Operation("rotate", _move(rotations), 0, 135, signed=True),  # degrees
    Operation("brightness", _enhance(colour.brightness), 0, 0.99, signed=True),  # factors less 1
    Operation("saturation", _enhance(colour.saturation), 0, 0.99, signed=True),
    Operation("contrast", _enhance(colour.contrast), 0, 0.99, signed=True),
    Operation("sharpness", _enhance(colour.sharpness), 0, 0.99, signed=True),
    Operation("posterize", _posterize, 8, 2),  # bits
    Operation("solarize", _solarize, 255, 0),  # threshold
    Operation("autocontrast", _always(colour.autocontrast)),
    Operation("equalize", _always(colour.equalize)),
)


def randaugment(
    pixels: Tensor,
    draws: Tensor,
    count: int,
    magnitude: float,
    fill: Tensor,
    magnitude_std: float = 0.0,
    probability: float = 1.0,
) -> Tensor:
    """Change each image by `count` operations of `RANDAUGMENT`; `magnitude` is from 0 to 30.

    `draws` (N, 2*count) are uniform in [0, 1): first what decides the operations, then what decides their signs. With
    `magnitude_std`, another `count` columns let the magnitude of each operation on each image be normal about
    `magnitude`, cut to 0 to 30. Each operation happens with `probability`. `fill` (C,) are the levels of what comes
    in from outside the image.
    """
    which, signs, *normals = draws.cpu().to(torch.float64).reshape(len(pixels), -1, count).unbind(1)  # (N, count) each
    magnitudes = torch.full((len(pixels), count), float(magnitude), dtype=torch.float64)
    if magnitude_std > 0:
        magnitudes += magnitude_std * torch.special.ndtri(normals[0])
    which = torch.where(which < probability, which / probability if probability else which, 0.0)  # else the identity
    strengths = magnitudes.clamp(0, MAGNITUDES) / MAGNITUDES
    for step in range(count):
        pixels = _apply(RANDAUGMENT, pixels, which[:, step], strengths[:, step], signs[:, step] < 0.5, fill)
    return pixels


def trivialaugment(pixels: Tensor, draws: Tensor, fill: Tensor) -> Tensor:
    """Change each image by one operation of `TRIVIALAUGMENT`.

    `draws` (N, 3) are uniform in [0, 1) and decide operation, strength and sign. `fill` (C,) are the levels of what
    comes in from outside the image.
    """
    which, strength, sign = draws.cpu().to(torch.float64).unbind(1)
    return _apply(TRIVIALAUGMENT, pixels, which, (strength * BINS).floor() / (BINS - 1), sign < 0.5, fill)


def _apply(
    table: tuple[Operation, ...], pixels: Tensor, which: Tensor, strengths: Tensor, negative: Tensor, fill: Tensor
) -> Tensor:
    """Change each image by the operation that `which` (N,), in [0, 1), chooses; all but `pixels` is on the CPU.

    The images are sorted by operation, so that each operation finds its own side by side.
    """
    chosen = (which * len(table)).long()
    order = chosen.argsort()
    sizes = chosen.bincount(minlength=len(table)).tolist()
    sorted_pixels = pixels.index_select(0, order.to(pixels.device))
    parts = zip(
        table, *(x.split_with_sizes(sizes) for x in (sorted_pixels, strengths[order], negative[order])), strict=True
    )
    changed = [
        operation.apply(images, operation.values(strength, sign), fill)
        for operation, images, strength, sign in parts
        if len(images)
    ]
    return torch.cat(changed).index_select(0, order.argsort().to(pixels.device))
