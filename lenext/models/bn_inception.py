"""BN-Inception: Ioffe and Szegedy 2015, https://arxiv.org/abs/1502.03167

bn_inception at 224 px: stem 192x28x28 | stages 320x28x28, 608x14x14, 1024x7x7 | head mean 1024, (N, classes)

GoogLeNet with batch normalisation, two 3x3 convolutions in place of each 5x5, and modules that halve the resolution by
themselves: trained to GoogLeNet's accuracy in a fourteenth of the steps.
"""

from __future__ import annotations

from typing import Any, Literal

from torch import nn

from lenext.models.base import ImageClassifier
from lenext.models.blocks import Branches, ConvNorm, named
from lenext.models.heads import PoolHead
from lenext.models.initialisation import Init, initialise
from lenext.registry import Claim, Facts, Published, register


def inception(
    channels: int, one: int, three: tuple[int, int], deep: tuple[int, int], pool: Literal["avg", "max"], project: int
) -> Branches:
    """Return a module of four branches; `three` and `deep` are the widths of the reduction and of the 3x3 behind."""
    pools = {"avg": nn.AvgPool2d, "max": nn.MaxPool2d}
    return Branches(
        one=ConvNorm(channels, one),
        three=named(reduce=ConvNorm(channels, three[0]), conv=ConvNorm(*three, 3)),
        deep=named(reduce=ConvNorm(channels, deep[0]), conv1=ConvNorm(*deep, 3), conv2=ConvNorm(deep[1], deep[1], 3)),
        pool=named(pool=pools[pool](3, 1, padding=1), project=ConvNorm(channels, project)),
    )


def reduction(channels: int, three: tuple[int, int], deep: tuple[int, int]) -> Branches:
    """Return a module that halves the resolution: its pool passes every map on."""
    return Branches(
        three=named(reduce=ConvNorm(channels, three[0]), conv=ConvNorm(*three, 3, stride=2)),
        deep=named(
            reduce=ConvNorm(channels, deep[0]),
            conv1=ConvNorm(*deep, 3),
            conv2=ConvNorm(deep[1], deep[1], 3, stride=2),
        ),
        pool=nn.MaxPool2d(3, 2, padding=1),
    )


class BNInception(ImageClassifier):
    """A stem that brings 224 px to 28, ten modules in three stages, the mean of each map, one dense layer.

        model = BNInception()
        logits = model(torch.zeros(1, 3, 224, 224))    # (1, 1000)

    Widths are those of the paper's figure 5 as printed. They make 608 maps after modules 4c and 4d, for which the
    figure prints 576, and 1,056 after 4e, for which it prints 1,024.
    """

    def __init__(self, *, dropout: float = 0.0, init: Init = "he", classes: int = 1000, in_channels: int = 3) -> None:
        super().__init__()
        self.stem = named(
            conv1=ConvNorm(in_channels, 64, 7, stride=2),  # (N, C, H, W) -> (N, 64, H/2, W/2)
            pool1=nn.MaxPool2d(3, 2, ceil_mode=True),
            reduce=ConvNorm(64, 64),
            conv2=ConvNorm(64, 192, 3),
            pool2=nn.MaxPool2d(3, 2, ceil_mode=True),  # (N, 192, H/4, W/4) -> (N, 192, H/8, W/8)
        )
        third = named(
            a=inception(192, 64, (64, 64), (64, 96), "avg", 32),
            b=inception(256, 64, (64, 96), (64, 96), "avg", 64),
        )
        fourth = named(
            reduction=reduction(320, (128, 160), (64, 96)),
            a=inception(576, 224, (64, 96), (96, 128), "avg", 128),
            b=inception(576, 192, (96, 128), (96, 128), "avg", 128),
            c=inception(576, 160, (128, 160), (128, 160), "avg", 128),
            d=inception(608, 96, (128, 192), (160, 192), "avg", 128),
        )
        fifth = named(
            reduction=reduction(608, (128, 192), (192, 256)),
            a=inception(1056, 352, (192, 320), (160, 224), "avg", 128),
            b=inception(1024, 352, (192, 320), (192, 224), "max", 128),
        )
        self.stages = nn.ModuleList([third, fourth, fifth])
        self.head = PoolHead(1024, classes, dropout=dropout)
        initialise(self, init)


@register(
    Facts(
        paper="1502.03167", year=2015, params=11_285_224, macs=2_032_600_064, size=224, smallest=7, strides=(8, 16, 32),
        errors=(
            Published(top1=25.2, top5=7.82, protocol="one crop"),
            Published(top5=4.82, protocol="ensemble of six, test set"),
        ),
        claims=(Claim("macs", 2.0e9, 1.6, "the paper of Inception v3 prints it to one digit"),),
    )
)  # fmt: skip
def bn_inception(**options: Any) -> BNInception:
    """The network of the paper's figure 5, with a last stage that 1,056 maps enter."""
    return BNInception(**options)
