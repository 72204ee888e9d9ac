"""GoogLeNet: Szegedy et al. 2014, https://arxiv.org/abs/1409.4842

googlenet at 224 px: stem 192x28x28 | stages 480x28x28, 832x14x14, 1024x7x7 | head mean 1024, (N, classes)

Nine inception modules, each of four branches side by side: 1x1, 3x3 and 5x5 convolutions and a pool, where 1x1
convolutions make the maps few before the larger kernels see them. Two auxiliary classifiers in the second stage
bring the gradient to the early layers; only training sees them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lenext.models.base import ImageClassifier
from lenext.models.blocks import ConvReLU, cross_map_norm, named
from lenext.models.heads import PoolHead
from lenext.models.initialisation import Init, draw, initialise
from lenext.registry import Claim, Facts, Published, register

Conv = Callable[..., ConvReLU]  # the convolution of all blocks: with a bias, or with batch normalisation


class Inception(nn.Module):
    """Four branches on one input, their maps stacked: (N, C, H, W) -> (N, C', H, W).

        module = Inception(192, 64, (96, 128), (16, 32), 32)    # 3a: 192 maps in, 256 out

    `three` and `five` are the widths of the 1x1 convolution that reduces and of the larger one that follows it;
    `large` is the side of the latter's kernel in the third branch.
    """

    def __init__(
        self,
        channels: int,
        one: int,
        three: tuple[int, int],
        five: tuple[int, int],
        pooled: int,
        *,
        conv: Conv = ConvReLU,
        large: int = 5,
    ) -> None:
        super().__init__()
        self.channels = one + three[1] + five[1] + pooled
        self.one = conv(channels, one, 1)
        self.three = named(reduce=conv(channels, three[0], 1), conv=conv(*three, 3, padding=1))
        self.five = named(reduce=conv(channels, five[0], 1), conv=conv(*five, large, padding=large // 2))
        self.pool = named(pool=nn.MaxPool2d(3, 1, padding=1), project=conv(channels, pooled, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, one + three[1] + five[1] + pooled, H, W)"""
        return torch.cat([self.one(x), self.three(x), self.five(x), self.pool(x)], 1)


class NaiveInception(nn.Module):
    """The module of the paper's figure 2a, without reductions; the pool passes every map of its input on.

    module = NaiveInception(192, 64, 128, 32)    # 192 maps in, 416 out
    """

    def __init__(self, channels: int, one: int, three: int, five: int) -> None:
        super().__init__()
        self.channels = one + three + five + channels
        self.one = ConvReLU(channels, one, 1)
        self.three = ConvReLU(channels, three, 3, padding=1)
        self.five = ConvReLU(channels, five, 5, padding=2)
        self.pool = nn.MaxPool2d(3, 1, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, one + three + five + C, H, W)"""
        return torch.cat([self.one(x), self.three(x), self.five(x), self.pool(x)], 1)


class AuxiliaryClassifier(nn.Module):
    """A small classifier on the maps of a middle layer: (N, C, H, W) -> (N, classes).

    The paper pools 5x5 windows with stride 3, 14x14 to 4x4; maps of other sizes are then brought to 4x4. The
    batch-normalised form brings them there at once, as torchvision does.
    """

    def __init__(self, channels: int, classes: int, *, conv: Conv, windows: bool) -> None:
        super().__init__()
        self.windows = windows
        self.conv = conv(channels, 128, 1)
        self.dense = nn.Linear(128 * 4 * 4, 1024)
        self.dropout = nn.Dropout(0.7)
        self.classifier = nn.Linear(1024, classes)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, classes)"""
        if self.windows and min(x.shape[-2:]) >= 5:
            x = F.avg_pool2d(x, 5, 3)
        x = self.conv(F.adaptive_avg_pool2d(x, 4))
        x = F.relu(self.dense(x.flatten(1)))  # (N, 128, 4, 4) -> (N, 2048) -> (N, 1024)
        logits: Tensor = self.classifier(self.dropout(x))
        return logits


class InceptionStage(nn.Module):
    """A pool where one comes first, inception modules, and auxiliary classifiers after some of them."""

    def __init__(self, pool: nn.Module, modules: list[Inception], auxiliary: dict[int, AuxiliaryClassifier]) -> None:
        super().__init__()
        self.pool = pool
        self.blocks = nn.ModuleList(modules)
        self.auxiliary = nn.ModuleDict({str(position): module for position, module in auxiliary.items()})

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C', H', W'), without the auxiliary classifiers."""
        x = self.pool(x)
        for block in self.blocks:
            x = block(x)
        return x

    def forward_train(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return what `forward` does, and the logits of the auxiliary classifiers, each (N, classes)."""
        logits = []
        x = self.pool(x)
        for position, block in enumerate(self.blocks):
            x = block(x)
            if str(position) in self.auxiliary:
                logits.append(self.auxiliary[str(position)](x))
        return x, logits


# Table 1 of the paper: width of 1x1, of reduction and 3x3, of reduction and 5x5, of the projection after the pool.
WIDTHS = (
    ((64, (96, 128), (16, 32), 32), (128, (128, 192), (32, 96), 64)),
    (
        (192, (96, 208), (16, 48), 64),
        (160, (112, 224), (24, 64), 64),
        (128, (128, 256), (24, 64), 64),
        (112, (144, 288), (32, 64), 64),
        (256, (160, 320), (32, 128), 128),
    ),
    ((256, (160, 320), (32, 128), 128), (384, (192, 384), (48, 128), 128)),
)
AUXILIARY_AFTER = (0, 3)  # modules of the second stage


class GoogLeNet(ImageClassifier):
    """A stem that brings 224 px to 28, nine inception modules in three stages, the mean of each map, one dense layer.

        model = GoogLeNet()
        logits = model(torch.zeros(1, 3, 224, 224))                          # (1, 1000)
        logits, (first, second) = model.forward_train(torch.zeros(2, 3, 224, 224))

    The `batch_norm` form is torchvision's: batch normalisation in place of biases and response normalisation, and
    3x3 where the paper has 5x5. Without `auxiliary` classifiers it trains on its last logits alone.
    """

    def __init__(
        self,
        *,
        batch_norm: bool = False,
        auxiliary: bool = True,
        dropout: float = 0.4,
        init: Init = "he",
        classes: int = 1000,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        conv: Conv = ConvReLU
        if batch_norm:
            conv = partial(ConvReLU, bias=False, norm=partial(nn.BatchNorm2d, eps=1e-3))
        norm = nn.Identity if batch_norm else cross_map_norm
        self.stem = named(
            conv1=conv(in_channels, 64, 7, stride=2, padding=3),  # (N, C, H, W) -> (N, 64, H/2, W/2)
            pool1=nn.MaxPool2d(3, 2, ceil_mode=True),
            norm1=norm(),
            reduce=conv(64, 64, 1),
            conv2=conv(64, 192, 3, padding=1),
            norm2=norm(),
            pool2=nn.MaxPool2d(3, 2, ceil_mode=True),  # (N, 192, H/4, W/4) -> (N, 192, H/8, W/8)
        )
        last_pool = nn.MaxPool2d(2 if batch_norm else 3, 2, ceil_mode=True)
        pools = (nn.Identity(), nn.MaxPool2d(3, 2, ceil_mode=True), last_pool)
        self.stages = nn.ModuleList()
        channels = 192
        for number, (pool, rows) in enumerate(zip(pools, WIDTHS, strict=True)):
            modules = []
            for row in rows:
                modules.append(Inception(channels, *row, conv=conv, large=3 if batch_norm else 5))
                channels = modules[-1].channels
            places = AUXILIARY_AFTER if auxiliary and number == 1 else ()
            extra = {
                place: AuxiliaryClassifier(modules[place].channels, classes, conv=conv, windows=not batch_norm)
                for place in places
            }
            self.stages.append(InceptionStage(pool, modules, extra))
        self.head = PoolHead(channels, classes, dropout=dropout)
        initialise(self, init, _glorot)

    @property
    def training_only(self) -> tuple[str, ...]:
        """The auxiliary classifiers."""
        return ("stages.1.auxiliary",) if len(self.stages) > 1 else ()

    def forward_train(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the logits and those of the auxiliary classifiers, each (N, classes)."""
        x = self.stem(x)
        auxiliary: list[Tensor] = []
        for stage in self.stages:
            assert isinstance(stage, InceptionStage)
            x, logits = stage.forward_train(x)
            auxiliary += logits
        return self.head(x), auxiliary


def _glorot(model: nn.Module) -> None:
    """The paper does not say; the public replication of it (BVLC, Caffe) draws like Glorot and Bengio."""
    draw(model, nn.init.xavier_uniform_)


@register(
    Facts(
        paper="1409.4842", year=2014, params=6_998_552, macs=1_582_671_872, size=224, smallest=31, strides=(8, 16, 32),
        lr_scale=0.3,
        errors=(
            Published(top5=10.07, protocol="one crop"),
            Published(top5=6.66, protocol="ensemble of seven, test set"),
        ),
        claims=(
            Claim("params", 6_797.7 * 1024, 0.5, "table 1 counts in units of 1,024 and without biases"),
            Claim("macs", 1502e6, 5.4, "the first row of table 1, 34 M, is 118 M for a 7x7 convolution of 3 channels"),
        ),
    )
)  # fmt: skip
def googlenet(**options: Any) -> GoogLeNet:
    """As published: 5x5 branches, biases, response normalisation."""
    return GoogLeNet(**options)


@register(
    Facts(
        paper="1409.4842", year=2014, params=6_624_904, macs=1_498_376_192, size=224, smallest=15, strides=(8, 16, 32),
        errors=(Published(top1=30.22, top5=10.47, protocol="one crop", source="torchvision"),),
    )
)  # fmt: skip
def googlenet_bn(**options: Any) -> GoogLeNet:
    """Torchvision's form: batch normalisation, 3x3 where the paper has 5x5, dropout 0.2."""
    return GoogLeNet(batch_norm=True, **{"dropout": 0.2, **options})
