"""`Augmentation`: everything that training does to an image before the model sees it, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lenext.errors import UserError

Crop = Literal["none", "pad", "translate", "random", "inception"]
CROPS: tuple[Crop, ...] = ("none", "pad", "translate", "random", "inception")


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """What is done to training images; as it stands, nothing.

    `crop` is which part of the image is shown:

    - `none`: what evaluation sees;
    - `pad`: `padding` black pixels all round, then a place of the model's size (He et al. 2015, for CIFAR);
    - `translate`: the same with the image mirrored at its border in place of black;
    - `random`: a place of the model's size in the image, its shorter side being `scale` times the model's, drawn
      between the two numbers: 256/224 twice for AlexNet, which first cuts the image square, 256/224 and 512/224 for
      VGG's scale jitter;
    - `inception`: a part of `area` of the image, the share drawn between the two numbers, and of a shape from 3:4 to
      4:3 of the model's, brought to its size (Szegedy et al. 2014).

    `mirror` turns every second image left to right. `colour_noise` is the deviation of AlexNet's noise along the
    principal axes of the training set's colours. `jitter` draws brightness, contrast and saturation from 1 - jitter to
    1 + jitter. `randaugment` is how many of RandAugment's operations an image gets, each with
    `randaugment_probability`, of `magnitude` from 0 to 30, give or take `magnitude_std`. `erasing` is the share of
    images that lose a rectangle. `mixup` and `cutmix` are the parameters of the Beta distribution that weights are
    drawn from, 0 for none; with both, each batch takes one of them.
    """

    crop: Crop = "none"
    padding: int = 4
    scale: tuple[float, ...] = (256 / 224, 256 / 224)
    area: tuple[float, ...] = (0.08, 1.0)
    mirror: bool = False
    colour_noise: float = 0.0
    jitter: float = 0.0
    randaugment: int = 0
    randaugment_probability: float = 1.0
    magnitude: float = 9.0
    magnitude_std: float = 0.0
    trivialaugment: bool = False
    erasing: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what cannot be done to an image."""
        self._require(self.crop in CROPS, "crop", ", ".join(CROPS))
        self._require(0 <= self.padding <= 64, "padding", "0 to 64")
        low, high = self._pair("scale")
        self._require(1 <= low <= high <= 8, "scale", "two numbers from 1 to 8, the smaller first")
        low, high = self._pair("area")
        self._require(0 < low <= high <= 1, "area", "two shares above 0 and up to 1, the smaller first")
        self._require(0 <= self.colour_noise <= 10, "colour_noise", "0 to 10")
        self._require(0 <= self.jitter <= 1, "jitter", "0 to 1")
        self._require(0 <= self.randaugment <= 14, "randaugment", "0 to 14 operations")
        self._require(0 <= self.randaugment_probability <= 1, "randaugment_probability", "0 to 1")
        self._require(0 <= self.magnitude <= 30, "magnitude", "0 to 30")
        self._require(0 <= self.magnitude_std <= 30, "magnitude_std", "0 to 30")
        self._require(0 <= self.erasing <= 1, "erasing", "a share from 0 to 1")
        self._require(0 <= self.mixup <= 100, "mixup", "0 to 100")
        self._require(0 <= self.cutmix <= 100, "cutmix", "0 to 100")

    @property
    def mixes(self) -> bool:
        """Whether an image is mixed with another one, and has the labels of both."""
        return self.mixup > 0 or self.cutmix > 0

    def _pair(self, field: str) -> tuple[float, float]:
        value = getattr(self, field)
        self._require(len(value) == 2, field, "two numbers, as 0.08,1")
        return value[0], value[1]

    def _require(self, sound: bool, field: str, wanted: str) -> None:
        if not sound:
            raise UserError(f"{field} {getattr(self, field)!r} cannot be: give {wanted}")


NOTHING = Augmentation()
