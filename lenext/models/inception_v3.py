"""Inception v3: Szegedy et al. 2015, https://arxiv.org/abs/1512.00567

inception_v3 at 299 px: stem 192x35x35 | stages 288x35x35, 768x17x17, 2048x8x8 | head mean 2048, (N, classes)

Large kernels taken apart: 5x5 into two 3x3, 7x7 into 1x7 and 7x1, and at the end 3x3 into 1x3 and 3x1 side by side.
Three kinds of modules, one a stage; pools and convolutions halve the resolution side by side. One auxiliary classifier
on the second stage; only training sees it. The widths are those of the public weights.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lenext.models.base import ImageClassifier
from lenext.models.blocks import Branches, halve, named
from lenext.models.blocks import inception_conv as conv
from lenext.models.heads import PoolHead
from lenext.models.initialisation import Init, draw, initialise
from lenext.registry import Claim, Facts, Published, register

AUXILIARY_AFTER = 2  # stages

WIDE, TALL = (1, 7), (7, 1)


def _pooled(channels: int, width: int) -> nn.Sequential:
    return named(pool=nn.AvgPool2d(3, 1, padding=1), project=conv(channels, width))


def square_module(channels: int, pooled: int) -> Branches:
    """Return a module of the first kind (figure 5): two 3x3 in place of one 5x5; public weights keep another."""
    return Branches(
        one=conv(channels, 64),
        five=named(reduce=conv(channels, 48), conv=conv(48, 64, 5)),
        deep=named(reduce=conv(channels, 64), conv1=conv(64, 96, 3), conv2=conv(96, 96, 3)),
        pool=_pooled(channels, pooled),
    )


def cross_module(channels: int, inner: int) -> Branches:
    """Return a module of the second kind (figure 6): 1x7 and 7x1 one after the other."""
    return Branches(
        one=conv(channels, 192),
        seven=named(reduce=conv(channels, inner), conv1=conv(inner, inner, WIDE), conv2=conv(inner, 192, TALL)),
        deep=named(
            reduce=conv(channels, inner),
            conv1=conv(inner, inner, TALL),
            conv2=conv(inner, inner, WIDE),
            conv3=conv(inner, inner, TALL),
            conv4=conv(inner, 192, WIDE),
        ),
        pool=_pooled(channels, 192),
    )


def split_module(channels: int) -> Branches:
    """Return a module of the third kind (figure 7): 1x3 and 3x1 side by side."""
    return Branches(
        one=conv(channels, 320),
        three=named(reduce=conv(channels, 384), split=_split(384)),
        deep=named(reduce=conv(channels, 448), conv=conv(448, 384, 3), split=_split(384)),
        pool=_pooled(channels, 192),
    )


def _split(channels: int) -> Branches:
    return Branches(wide=conv(channels, 384, (1, 3)), tall=conv(channels, 384, (3, 1)))


def _first_reduction() -> Branches:
    return Branches(
        three=halve(288, 384),
        deep=named(reduce=conv(288, 64), conv1=conv(64, 96, 3), conv2=halve(96, 96)),
        pool=nn.MaxPool2d(3, 2),
    )


def _second_reduction() -> Branches:
    return Branches(
        three=named(reduce=conv(768, 192), conv=halve(192, 320)),
        seven=named(
            reduce=conv(768, 192), conv1=conv(192, 192, WIDE), conv2=conv(192, 192, TALL), conv3=halve(192, 192)
        ),
        pool=nn.MaxPool2d(3, 2),
    )


class AuxiliaryClassifier(nn.Module):
    """A small classifier on the maps of the second stage, 17x17 at 299 px: (N, 768, H, W) -> (N, classes)."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.conv1 = conv(768, 128)
        self.conv2 = conv(128, 768, 5, padding=0)
        self.classifier = nn.Linear(768, classes)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 768, H, W) -> (N, classes)"""
        x = F.avg_pool2d(x, 5, 3) if min(x.shape[-2:]) >= 17 else F.adaptive_avg_pool2d(x, 5)
        x = F.adaptive_avg_pool2d(self.conv2(self.conv1(x)), 1)
        logits: Tensor = self.classifier(torch.flatten(x, 1))
        return logits


class InceptionV3(ImageClassifier):
    """A stem that brings 299 px to 35, three stages of one kind of module each, the mean of each map, one dense layer.

        model = InceptionV3()
        logits = model(torch.zeros(1, 3, 299, 299))                      # (1, 1000)
        logits, (extra,) = model.forward_train(torch.zeros(2, 3, 299, 299))

    Without `auxiliary` classifier it trains on its last logits alone.
    """

    def __init__(
        self,
        *,
        auxiliary: bool = True,
        dropout: float = 0.5,
        init: Init = "he",
        classes: int = 1000,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        self.stem = named(
            conv1=halve(in_channels, 32),
            conv2=conv(32, 32, 3, padding=0),
            conv3=conv(32, 64, 3),
            pool1=nn.MaxPool2d(3, 2),
            conv4=conv(64, 80),
            conv5=conv(80, 192, 3, padding=0),
            pool2=nn.MaxPool2d(3, 2),
        )
        first = named(a=square_module(192, 32), b=square_module(256, 64), c=square_module(288, 64))
        second = named(
            reduction=_first_reduction(),
            a=cross_module(768, 128),
            b=cross_module(768, 160),
            c=cross_module(768, 160),
            d=cross_module(768, 192),
        )
        third = named(reduction=_second_reduction(), a=split_module(1280), b=split_module(2048))
        self.stages = nn.ModuleList([first, second, third])
        self.auxiliary = nn.ModuleList([AuxiliaryClassifier(classes)] if auxiliary else [])
        self.head = PoolHead(2048, classes, dropout=dropout)
        initialise(self, init, _truncated)

    @property
    def training_only(self) -> tuple[str, ...]:
        """The auxiliary classifier."""
        return ("auxiliary",)

    def forward_train(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the logits and those of the auxiliary classifier, each (N, classes)."""
        x = self.stem(x)
        auxiliary: list[Tensor] = []
        for number, stage in enumerate(self.stages, 1):
            x = stage(x)
            if number == AUXILIARY_AFTER:
                auxiliary = [classifier(x) for classifier in self.auxiliary]
        return self.head(x), auxiliary


def _truncated(model: nn.Module) -> None:
    """The paper does not say; the authors' code draws normal with deviation 0.1, cut off at two deviations.

    The last two layers of the auxiliary classifier have deviations 0.01 and 0.001.
    """
    draw(model, lambda weight: nn.init.trunc_normal_(weight, std=0.1, a=-0.2, b=0.2))
    for module in model.modules():
        if isinstance(module, AuxiliaryClassifier):
            nn.init.trunc_normal_(module.conv2.conv.weight, std=0.01, a=-0.02, b=0.02)
            nn.init.trunc_normal_(module.classifier.weight, std=0.001, a=-0.002, b=0.002)


@register(
    Facts(
        paper="1512.00567", year=2015, params=23_834_568, macs=5_713_216_096, size=299, smallest=75,
        strides=(8, 16, 32),
        errors=(
            Published(top1=21.2, top5=5.6, protocol="one crop"),
            Published(top1=22.71, top5=6.55, protocol="one crop", source="torchvision"),
        ),
        claims=(
            Claim("params", 25e6, -4.7, "the abstract says less than 25 million"),
            Claim("macs", 5e9, 14.3, "the abstract says 5 billion, cut off after the first digit"),
        ),
    )
)  # fmt: skip
def inception_v3(**options: Any) -> InceptionV3:
    """With the widths of the public weights."""
    return InceptionV3(**options)
