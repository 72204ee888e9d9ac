"""`Situation`: what a recipe may depend on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lenext.data.decode import UnreadableImageError, open_image
from lenext.data.source import ALL, Source, Split

if TYPE_CHECKING:
    from lenext.transfer.separation import Separation

LOOKED_AT = 16  # images


@dataclass(frozen=True, kw_only=True)
class Situation:
    """So many images to train `model` on, of `size` (height, width); grey or not, and from given weights or not.

    The number of images is `estimated` where those that are held out are told by their bytes, and not read yet.
    `lr_scale` is how much of a recipe's rate the network bears, as its facts say. `head_alone` says that everything
    but the last layer is frozen, `head_fitted` that this is fitted before it is trained. `separation` is what was
    measured of the weights to start from on these images, or None.
    """

    train_images: int
    estimated: bool = False
    model: str = ""
    size: tuple[int, int] = (224, 224)
    grey: bool = False
    pretrained: bool = False
    lr_scale: float = 1.0
    head_alone: bool = False
    head_fitted: bool = False
    separation: Separation | None = None

    @property
    def count(self) -> str:
        """How many images there are to train on, in words."""
        return f"{'about ' if self.estimated else ''}{self.train_images:,}"

    @property
    def photos(self) -> bool:
        """Whether the network sees colour images large enough for their parts to show what they are of."""
        return not self.grey and min(self.size) >= 64


def training_split(source: Source) -> tuple[Split | None, int]:
    """Return the split that is trained on, and how many of its images: a fifth is held out where no other judges."""
    split = source.splits.get("train", source.splits.get(ALL))
    if split is None or {"val", "test"} & source.splits.keys():
        return split, len(split or ())
    return split, round(len(split) * 0.8)


def all_grey(split: Split) -> bool:
    """Say whether some images of the split are all grey; one that cannot be read says nothing."""
    count = min(LOOKED_AT, len(split))
    return all(map(_grey, _some(split, np.linspace(0, len(split) - 1, count).round().astype(int).tolist())))


def _some(split: Split, indices: Sequence[int]) -> list[object]:
    return [split.items[i] for i in indices]


def _grey(item: object) -> bool:
    try:
        return open_image(item).mode == "L"  # type: ignore[arg-type]
    except UnreadableImageError:
        return True
