"""OverFeat: Sermanet et al. 2013, https://arxiv.org/abs/1312.6229

overfeat_fast at 231 px:     stem 96x56x56 | stages 256x24x24, 1024x12x12
                             | head pool 1024x6x6, 3072, 4096, (N, classes)
overfeat_accurate at 221 px: stem 96x108x108 | stages 256x30x30, 1024x15x15
                             | head pool 1024x5x5, 4096, 4096, (N, classes)

AlexNet without response normalisation and overlapping pools, wider in its later layers. It was made to slide over
larger images, which its pools and dense layers allow at every position.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from lenext.models.base import ImageClassifier
from lenext.models.blocks import ConvReLU, named
from lenext.models.heads import DenseHead
from lenext.models.initialisation import Init, gaussian, initialise
from lenext.registry import Claim, Facts, Published, register


class OverFeat(ImageClassifier):
    """Convolutions, pools that do not overlap, three dense layers: `fast` is table 1, else table 3.

    model = OverFeat(fast=True, size=(231, 231))
    logits = model(torch.zeros(1, 3, 231, 231))    # (1, 1000)
    """

    def __init__(
        self,
        *,
        fast: bool,
        size: tuple[int, int],
        dropout: float = 0.5,
        init: Init = "he",
        classes: int = 1000,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        self.stem, self.stages, pool, hidden = (_fast if fast else _accurate)(in_channels)
        side = _fast_side if fast else _accurate_side
        self.head = DenseHead(
            1024, (side(size[0]), side(size[1])), hidden, nn.Linear(hidden[-1], classes),
            pool=pool, stride=2 if fast else 3, activation=nn.ReLU, dropout=(dropout, dropout),
        )  # fmt: skip
        initialise(self, init, gaussian(0.01))


Parts = tuple[nn.Module, nn.ModuleList, nn.Module, tuple[int, int]]


def _fast(in_channels: int) -> Parts:
    stem = named(conv1=ConvReLU(in_channels, 96, 11, stride=4))  # (N, C, H, W) -> (N, 96, H/4, W/4)
    second = named(pool=nn.MaxPool2d(2), conv2=ConvReLU(96, 256, 5))
    third = named(
        pool=nn.MaxPool2d(2),
        conv3=ConvReLU(256, 512, 3, padding=1),
        conv4=ConvReLU(512, 1024, 3, padding=1),
        conv5=ConvReLU(1024, 1024, 3, padding=1),
    )
    return stem, nn.ModuleList([second, third]), nn.MaxPool2d(2), (3072, 4096)


def _fast_side(pixels: int) -> int:
    """Return the side of the map that the head flattens."""
    return (((pixels - 11) // 4 + 1) // 2 - 4) // 2 // 2


def _accurate(in_channels: int) -> Parts:
    stem = named(conv1=ConvReLU(in_channels, 96, 7, stride=2))  # (N, C, H, W) -> (N, 96, H/2, W/2)
    second = named(pool=nn.MaxPool2d(3), conv2=ConvReLU(96, 256, 7))
    third = named(
        pool=nn.MaxPool2d(2),
        conv3=ConvReLU(256, 512, 3, padding=1),
        conv4=ConvReLU(512, 512, 3, padding=1),
        conv5=ConvReLU(512, 1024, 3, padding=1),
        conv6=ConvReLU(1024, 1024, 3, padding=1),
    )
    return stem, nn.ModuleList([second, third]), nn.MaxPool2d(3), (4096, 4096)


def _accurate_side(pixels: int) -> int:
    """Return the side of the map that the head flattens."""
    return (((pixels - 7) // 2 + 1) // 3 - 6) // 2 // 3


@register(
    Facts(
        paper="1312.6229", year=2013, params=145_920_872, macs=2_801_403_904, size=231, smallest=71, strides=(8, 16),
        size_bound=True, lr_scale=0.1,
        errors=(Published(top1=39.28, top5=17.12, protocol="one scale, coarse", source="second-hand"),),
        claims=(Claim("params", 145e6), Claim("macs", 2810e6)),
    )
)  # fmt: skip
def overfeat_fast(**options: Any) -> OverFeat:
    """Table 1."""
    return OverFeat(fast=True, **options)


@register(
    Facts(
        paper="1312.6229", year=2013, params=144_656_488, macs=5_355_446_784, size=221, smallest=77, strides=(6, 12),
        size_bound=True, lr_scale=0.1,
        errors=(Published(top1=35.74, top5=14.18, protocol="four scales", source="second-hand"),),
        claims=(Claim("params", 144e6), Claim("macs", 5369e6)),
    )
)  # fmt: skip
def overfeat_accurate(**options: Any) -> OverFeat:
    """Table 3."""
    return OverFeat(fast=False, **options)
