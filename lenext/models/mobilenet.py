"""MobileNet: Howard et al. 2017, https://arxiv.org/abs/1704.04861, and Sandler et al. 2018, https://arxiv.org/abs/1801.04381

mobilenet_v1 at 224 px: stem 32x112x112 | stages 64x112x112, 128x56x56, 256x28x28, 512x14x14, 1024x7x7 | head mean 1024
mobilenet_v2 at 224 px: stem 32x112x112 | stages 16x112x112, 24x56x56, 32x28x28, 96x14x14, 320x7x7   | head mean 1280

Convolutions taken apart: one that looks around in each map alone, and a 1x1 that mixes maps, for a ninth of the work.
The second version carries its residuals between narrow ends. `width` multiplies the maps of every layer. Activations
are ReLU cut off at 6: the second paper says so, and the authors' code of both.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import nn

from lenext.models.base import ImageClassifier
from lenext.models.blocks import ConvNorm, InvertedResidual, named
from lenext.models.heads import PoolHead
from lenext.models.initialisation import Init, draw, initialise
from lenext.models.scaling import scale_depth, scale_width
from lenext.registry import Claim, Facts, Published, register

conv = partial(ConvNorm, activation=partial(nn.ReLU6, inplace=True))


def separable(in_channels: int, out_channels: int, stride: int) -> nn.Sequential:
    """Return a 3x3 convolution of each map alone and a 1x1 that mixes them: (N, C, H, W) -> (N, C', H/s, W/s)."""
    return named(
        depthwise=conv(in_channels, in_channels, 3, stride=stride, groups=in_channels),
        mix=conv(in_channels, out_channels),
    )


class MobileNetV1(ImageClassifier):
    """One convolution, thirteen separable ones in five stages, the mean of each map, one dense layer.

        model = MobileNetV1()
        logits = model(torch.zeros(1, 3, 224, 224))    # (1, 1000)

    The first layer of a stage halves the resolution and widens; `depth` multiplies how many there are.
    """

    plan = ((64, 1), (128, 2), (256, 2), (512, 6), (1024, 2))  # the maps and the layers of each stage

    def __init__(
        self,
        *,
        dropout: float = 0.001,
        depth: float = 1.0,
        width: float = 1.0,
        init: Init = "he",
        classes: int = 1000,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        channels = scale_width(32, width)
        self.stem = conv(in_channels, channels, 3, stride=2)
        self.stages = nn.ModuleList()
        for number, (maps, layers) in enumerate(self.plan):
            stage = nn.Sequential()
            for place in range(scale_depth(layers, depth)):
                stride = 2 if number > 0 and place == 0 else 1
                stage.append(separable(channels, scale_width(maps, width), stride))
                channels = scale_width(maps, width)
            self.stages.append(stage)
        self.head = PoolHead(channels, classes, dropout=dropout)
        initialise(self, init, _truncated)


class MobileNetV2(ImageClassifier):
    """One convolution, seventeen inverted residuals in five stages, a 1x1, the mean of each map, one dense layer.

        model = MobileNetV2()
        logits = model(torch.zeros(1, 3, 224, 224))    # (1, 1000)

    The last 1x1 does not get narrower than 1,280 maps.
    """

    # Of each stage, its rows in table 2 of the paper: expansion, maps, blocks.
    plan = (((1, 16, 1),), ((6, 24, 2),), ((6, 32, 3),), ((6, 64, 4), (6, 96, 3)), ((6, 160, 3), (6, 320, 1)))

    def __init__(
        self,
        *,
        dropout: float = 0.2,
        depth: float = 1.0,
        width: float = 1.0,
        init: Init = "he",
        classes: int = 1000,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        channels = scale_width(32, width)
        self.stem = conv(in_channels, channels, 3, stride=2)
        self.stages = nn.ModuleList()
        for number, rows in enumerate(self.plan):
            stage = nn.Sequential()
            for expansion, maps, blocks in rows:
                for _ in range(scale_depth(blocks, depth)):
                    stride = 2 if number > 0 and len(stage) == 0 else 1
                    out_channels, expanded = scale_width(maps, width), expansion * channels
                    stage.append(
                        InvertedResidual(channels, out_channels, 3, stride=stride, expanded=expanded, conv=conv)
                    )
                    channels = out_channels
            self.stages.append(stage)
        last = scale_width(1280, max(1.0, width))
        self.head = PoolHead(last, classes, dropout=dropout, before=conv(channels, last))
        initialise(self, init, _truncated)


def _truncated(model: nn.Module) -> None:
    """The papers do not say; the authors' code draws normal with deviation 0.09, cut off at two deviations."""
    draw(model, lambda weight: nn.init.trunc_normal_(weight, std=0.09, a=-0.18, b=0.18))


def _facts(params: int, macs: int, error: float, claims: tuple[Claim, ...], **more: Any) -> Facts:
    return Facts(
        **{"paper": "1704.04861", "year": 2017, **more},
        params=params, macs=macs, size=224, smallest=1, strides=(2, 4, 8, 16, 32),
        errors=(Published(top1=error, protocol="one crop"),), claims=claims,
    )  # fmt: skip


@register(_facts(4_231_976, 568_740_352, 29.4, (Claim("params", 4.2e6), Claim("macs", 569e6))))
def mobilenet_v1(*, width: float = 1.0, **options: Any) -> MobileNetV1:
    """Version 1 at full width."""
    return MobileNetV1(width=width, **options)


@register(_facts(2_585_560, 325_400_448, 31.6, (Claim("params", 2.6e6), Claim("macs", 325e6))))
def mobilenet_v1_075(*, width: float = 1.0, **options: Any) -> MobileNetV1:
    """Version 1 at three quarters of its width."""
    return MobileNetV1(width=0.75 * width, **options)


@register(_facts(1_331_592, 149_497_088, 36.3, (Claim("params", 1.3e6), Claim("macs", 149e6))))
def mobilenet_v1_050(*, width: float = 1.0, **options: Any) -> MobileNetV1:
    """Version 1 at half of its width."""
    return MobileNetV1(width=0.5 * width, **options)


@register(_facts(470_072, 41_030_272, 49.4, (Claim("params", 0.5e6), Claim("macs", 41e6))))
def mobilenet_v1_025(*, width: float = 1.0, **options: Any) -> MobileNetV1:
    """Version 1 at a quarter of its width."""
    return MobileNetV1(width=0.25 * width, **options)


@register(
    _facts(
        3_504_872,
        300_774_272,
        28.0,
        (Claim("params", 3.4e6, 3.1, "not explained: without norms it is 3.47 M"), Claim("macs", 300e6)),
        paper="1801.04381",
        year=2018,
    )
)
def mobilenet_v2(**options: Any) -> MobileNetV2:
    """Version 2 at full width."""
    return MobileNetV2(**options)
