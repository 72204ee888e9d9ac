"""Inception-ResNet: Szegedy et al. 2016, https://arxiv.org/abs/1602.07261

inception_resnet_v2 at 299 px: stem 192x35x35 | stages 320x35x35, 1088x17x17, 2080x8x8 | head 1536 maps, their mean
inception_resnet_v1 at 299 px: stem 256x35x35 | stages 256x35x35, 896x17x17, 1792x8x8  | head mean 1792, (N, classes)

Inception modules as residual branches, scaled down before they are added, without which networks of more than a
thousand maps die in training. v1 costs about what Inception v3 does, v2 what Inception-v4 does. v1 is as printed; v2 as
the authors' code, whose stem is that of Inception v3 followed by one module, where the paper prints that of v4.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from lenext.models.base import ImageClassifier
from lenext.models.blocks import Branches, halve, named, relu
from lenext.models.blocks import inception_conv as conv
from lenext.models.heads import PoolHead
from lenext.models.initialisation import Init, initialise
from lenext.models.scaling import scale_depth
from lenext.registry import Facts, Published, register

SCALES = (0.17, 0.10, 0.20)  # of the residuals of each stage; the paper says between 0.1 and 0.3


class ResidualInception(nn.Module):
    """x + scale * mix(branches(x)), then ReLU unless it is the `last` block: (N, C, H, W) -> (N, C, H, W).

    `mix` is a 1x1 convolution with a bias that brings the `width` maps of all branches back to C.
    """

    def __init__(self, branches: Branches, width: int, channels: int, scale: float, *, last: bool = False) -> None:
        super().__init__()
        self.branches = branches
        self.mix = nn.Conv2d(width, channels, 1)
        self.scale = scale
        self.activation = nn.Identity() if last else relu()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)"""
        return self.activation(x + self.scale * self.mix(self.branches(x)))  # type: ignore[no-any-return]


def block_a(channels: int, deep: tuple[int, int], scale: float) -> ResidualInception:
    """Return figure 10 or 16; `deep` are the widths of the two 3x3 of the third branch."""
    branches = Branches(
        one=conv(channels, 32),
        three=named(reduce=conv(channels, 32), conv=conv(32, 32, 3)),
        deep=named(reduce=conv(channels, 32), conv1=conv(32, deep[0], 3), conv2=conv(*deep, 3)),
    )
    return ResidualInception(branches, 64 + deep[1], channels, scale)


def block_b(channels: int, one: int, seven: tuple[int, int, int], scale: float) -> ResidualInception:
    """Return figure 11 or 17; `seven` are the widths of the reduction, of 1x7 and of 7x1."""
    reduced, wide, tall = seven
    chain = named(reduce=conv(channels, reduced), conv1=conv(reduced, wide, (1, 7)), conv2=conv(wide, tall, (7, 1)))
    return ResidualInception(Branches(one=conv(channels, one), seven=chain), one + tall, channels, scale)


def block_c(channels: int, three: tuple[int, int, int], scale: float, *, last: bool) -> ResidualInception:
    """Return figure 13 or 19; `three` are the widths of the reduction, of 1x3 and of 3x1."""
    reduced, wide, tall = three
    chain = named(reduce=conv(channels, reduced), conv1=conv(reduced, wide, (1, 3)), conv2=conv(wide, tall, (3, 1)))
    branches = Branches(one=conv(channels, 192), three=chain)
    return ResidualInception(branches, 192 + tall, channels, scale, last=last)


def reduction_a(channels: int, deep: tuple[int, int, int]) -> Branches:
    """Return figure 7: 384 maps, those of `deep`, and those that enter."""
    reduced, inner, last = deep
    return Branches(
        three=halve(channels, 384),
        deep=named(reduce=conv(channels, reduced), conv1=conv(reduced, inner, 3), conv2=halve(inner, last)),
        pool=nn.MaxPool2d(3, 2),
    )


def reduction_b(channels: int, second: int, deep: tuple[int, int]) -> Branches:
    """Return figure 12 or 18: 384 maps, `second`, those of `deep`, and those that enter."""
    return Branches(
        first=named(reduce=conv(channels, 256), conv=halve(256, 384)),
        second=named(reduce=conv(channels, 256), conv=halve(256, second)),
        deep=named(reduce=conv(channels, 256), conv1=conv(256, deep[0], 3), conv2=halve(*deep)),
        pool=nn.MaxPool2d(3, 2),
    )


def _stem(in_channels: int) -> dict[str, nn.Module]:
    """Return what both stems begin with: (N, C, 299, 299) -> (N, 192, 71, 71)."""
    return {
        "conv1": halve(in_channels, 32),
        "conv2": conv(32, 32, 3, padding=0),
        "conv3": conv(32, 64, 3),
        "pool1": nn.MaxPool2d(3, 2),
        "conv4": conv(64, 80),
        "conv5": conv(80, 192, 3, padding=0),
    }


def _stem_module() -> Branches:
    """Return the module that v2 has before its blocks: (N, 192, H, W) -> (N, 320, H, W)."""
    return Branches(
        one=conv(192, 96),
        five=named(reduce=conv(192, 48), conv=conv(48, 64, 5)),
        deep=named(reduce=conv(192, 64), conv1=conv(64, 96, 3), conv2=conv(96, 96, 3)),
        pool=named(pool=nn.AvgPool2d(3, 1, padding=1, count_include_pad=False), project=conv(192, 64)),
    )


class InceptionResNet(ImageClassifier):
    """A stem that brings 299 px to 35, three stages of residual inception blocks, the mean of each map, a dense layer.

        model = InceptionResNet(version=2)
        logits = model(torch.zeros(1, 3, 299, 299))    # (1, 1000)

    The last block has no ReLU, as in the authors' code. `depth` multiplies the blocks of each stage.
    """

    def __init__(
        self,
        *,
        version: int,
        dropout: float = 0.2,
        depth: float = 1.0,
        init: Init = "he",
        classes: int = 1000,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        if version == 1:
            self.stem = named(**_stem(in_channels), conv6=halve(192, 256))
            self.stages = _stages_v1(depth)
            self.head = PoolHead(1792, classes, dropout=dropout)
        else:
            self.stem = named(**_stem(in_channels), pool2=nn.MaxPool2d(3, 2))
            self.stages = _stages_v2(depth)
            self.head = PoolHead(1536, classes, dropout=dropout, before=conv(2080, 1536))
        initialise(self, init)


def _stages_v1(depth: float) -> nn.ModuleList:
    a, b, c = SCALES
    counts = [scale_depth(blocks, depth) for blocks in (5, 10, 5)]
    lasts = [place == counts[2] - 1 for place in range(counts[2])]
    return nn.ModuleList(
        [
            nn.Sequential(*(block_a(256, (32, 32), a) for _ in range(counts[0]))),
            nn.Sequential(
                reduction_a(256, (192, 192, 256)),
                *(block_b(896, 128, (128, 128, 128), b) for _ in range(counts[1])),
            ),
            nn.Sequential(
                reduction_b(896, 256, (256, 256)), *(block_c(1792, (192, 192, 192), c, last=last) for last in lasts)
            ),
        ]
    )


def _stages_v2(depth: float) -> nn.ModuleList:
    a, b, c = SCALES
    counts = [scale_depth(blocks, depth) for blocks in (10, 20, 9)]
    return nn.ModuleList(
        [
            nn.Sequential(_stem_module(), *(block_a(320, (48, 64), a) for _ in range(counts[0]))),
            nn.Sequential(
                reduction_a(320, (256, 256, 384)),
                *(block_b(1088, 192, (128, 160, 192), b) for _ in range(counts[1])),
            ),
            nn.Sequential(
                reduction_b(1088, 288, (288, 320)),
                *(block_c(2080, (192, 224, 256), c, last=False) for _ in range(counts[2])),
                block_c(2080, (192, 224, 256), 1.0, last=True),
            ),
        ]
    )


def _facts(params: int, macs: int, top1: float, top5: float) -> Facts:
    return Facts(
        paper="1602.07261", year=2016, params=params, macs=macs, size=299, smallest=75, strides=(8, 16, 32),
        errors=(Published(top1=top1, top5=top5, protocol="one crop, without the blacklisted images"),),
    )  # fmt: skip


@register(_facts(22_756_328, 6_206_361_696, 21.3, 5.5))
def inception_resnet_v1(**options: Any) -> InceptionResNet:
    """Five, ten and five blocks, as printed."""
    return InceptionResNet(version=1, **options)


@register(_facts(55_843_464, 13_155_794_016, 19.9, 4.9))
def inception_resnet_v2(**options: Any) -> InceptionResNet:
    """Ten, twenty and ten blocks, with the widths of the public weights."""
    return InceptionResNet(version=2, **options)
