"""Preprocessing: what is done to every image before a model sees it, stored with the model."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lenext.data.decode import FITS, RESAMPLING, ImageForm
from lenext.errors import UserError

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True)
class Preprocessing:
    """From a file to the tensor that enters the model, the same in training, evaluation and prediction.

    `form` is what images are brought to; `mean` and `std` hold one number a channel, of pixels from 0 to 1.
    """

    form: ImageForm
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def normalise(self, pixels: Tensor) -> Tensor:
        """uint8 (N, H, W, C) -> float32 (N, C, H, W) in channels-last memory, less `mean`, over `std`."""
        import torch

        n, height, width, channels = pixels.shape
        mean, std = _grey_levels(self.mean, self.std, width, pixels.device)
        rows = torch.empty((n, height, width * channels), device=pixels.device)  # whole rows, for speed
        rows.copy_(pixels.reshape(n, height, -1), non_blocking=True).sub_(mean).div_(std)
        return rows.view(n, height, width, channels).permute(0, 3, 1, 2)

    def to_json(self) -> dict[str, Any]:
        """Return all fields in one object of JSON values."""
        return {**dataclasses.asdict(self.form), "mean": list(self.mean), "std": list(self.std)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any], where: str) -> Preprocessing:
        """Return what `to_json` gave.

        Raises:
            UserError: a field is missing, unknown, or holds what no preprocessing can hold.
        """
        try:
            fields: dict[str, Any] = {
                key: tuple(item) if isinstance(item, list) else item for key, item in value.items()
            }
            mean, std = fields.pop("mean"), fields.pop("std")
            known = {field.name: fields.pop(field.name) for field in dataclasses.fields(ImageForm)}
            form = ImageForm(**known, **fields)
            sound = (
                len(form.size) == 2
                and all(isinstance(side, int) and side >= 1 for side in form.size)
                and form.channels in (1, 3)
                and len(mean) == len(std) == form.channels
                and form.fit in FITS
                and form.interpolation in RESAMPLING
                and 0.01 <= form.crop_ratio <= 1
                and all(math.isfinite(value) for value in (*mean, *std))
                and min(std) > 0
            )
        except (TypeError, KeyError, AttributeError) as error:
            raise UserError(f"{where} is damaged: its preprocessing cannot be read ({error})") from error
        if not sound:
            raise UserError(f"{where} is damaged: its preprocessing is not usable")
        return cls(form, mean, std)


@functools.cache  # made anew for every batch, they would cost a small network a tenth of its time
def _grey_levels(
    mean: tuple[float, ...], std: tuple[float, ...], width: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Return mean and deviation of pixels from 0 to 255, for every value of a row of pixels, (width * C,)."""
    import torch

    levels = torch.tensor([mean, std], device=device).repeat(1, width) * 255
    return levels[0], levels[1]
