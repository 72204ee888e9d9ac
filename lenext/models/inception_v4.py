"""Inception-v4: Szegedy et al. 2016, https://arxiv.org/abs/1602.07261

inception_v4 at 299 px: stem 384x35x35 | stages 384x35x35, 1024x17x17, 1536x8x8 | head mean 1536, (N, classes)

Inception v3 made uniform: a stem that branches too, then four, seven and three modules of one kind a stage, and between
them modules that only halve the resolution.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import nn

from lenext.models.base import ImageClassifier
from lenext.models.blocks import Branches, halve, named
from lenext.models.blocks import inception_conv as conv
from lenext.models.heads import PoolHead
from lenext.models.initialisation import Init, initialise
from lenext.models.scaling import scale_depth
from lenext.registry import Facts, Published, register

trim = partial(conv, kernel_size=3, padding=0)  # (N, C, H, W) -> (N, C', H - 2, W - 2)
WIDE, TALL = (1, 7), (7, 1)


def _pooled(channels: int, width: int) -> nn.Sequential:
    return named(pool=nn.AvgPool2d(3, 1, padding=1, count_include_pad=False), project=conv(channels, width))


def _stem(in_channels: int) -> nn.Sequential:
    """Return figure 3: (N, C, 299, 299) -> (N, 384, 35, 35)."""
    return named(
        conv1=halve(in_channels, 32),
        conv2=trim(32, 32),
        conv3=conv(32, 64, 3),
        split1=Branches(pool=nn.MaxPool2d(3, 2), conv=halve(64, 96)),
        split2=Branches(
            three=named(reduce=conv(160, 64), conv=trim(64, 96)),
            seven=named(reduce=conv(160, 64), conv1=conv(64, 64, WIDE), conv2=conv(64, 64, TALL), conv3=trim(64, 96)),
        ),
        split3=Branches(conv=halve(192, 192), pool=nn.MaxPool2d(3, 2)),
    )


def module_a() -> Branches:
    """Return figure 4: (N, 384, H, W) -> (N, 384, H, W)."""
    return Branches(
        one=conv(384, 96),
        three=named(reduce=conv(384, 64), conv=conv(64, 96, 3)),
        deep=named(reduce=conv(384, 64), conv1=conv(64, 96, 3), conv2=conv(96, 96, 3)),
        pool=_pooled(384, 96),
    )


def module_b() -> Branches:
    """Return figure 5: (N, 1024, H, W) -> (N, 1024, H, W)."""
    return Branches(
        one=conv(1024, 384),
        seven=named(reduce=conv(1024, 192), conv1=conv(192, 224, WIDE), conv2=conv(224, 256, TALL)),
        deep=named(
            reduce=conv(1024, 192),
            conv1=conv(192, 192, TALL),
            conv2=conv(192, 224, WIDE),
            conv3=conv(224, 224, TALL),
            conv4=conv(224, 256, WIDE),
        ),
        pool=_pooled(1024, 128),
    )


def module_c() -> Branches:
    """Return figure 6: (N, 1536, H, W) -> (N, 1536, H, W)."""
    return Branches(
        one=conv(1536, 256),
        three=named(reduce=conv(1536, 384), split=_split(384)),
        deep=named(
            reduce=conv(1536, 384), conv1=conv(384, 448, (3, 1)), conv2=conv(448, 512, (1, 3)), split=_split(512)
        ),
        pool=_pooled(1536, 256),
    )


def _split(channels: int) -> Branches:
    return Branches(wide=conv(channels, 256, (1, 3)), tall=conv(channels, 256, (3, 1)))


def reduction_a() -> Branches:
    """Return figure 7: (N, 384, H, W) -> (N, 1024, (H - 1) / 2, (W - 1) / 2)."""
    return Branches(
        three=halve(384, 384),
        deep=named(reduce=conv(384, 192), conv1=conv(192, 224, 3), conv2=halve(224, 256)),
        pool=nn.MaxPool2d(3, 2),
    )


def reduction_b() -> Branches:
    """Return figure 8: (N, 1024, H, W) -> (N, 1536, (H - 1) / 2, (W - 1) / 2)."""
    return Branches(
        three=named(reduce=conv(1024, 192), conv=halve(192, 192)),
        seven=named(
            reduce=conv(1024, 256), conv1=conv(256, 256, WIDE), conv2=conv(256, 320, TALL), conv3=halve(320, 320)
        ),
        pool=nn.MaxPool2d(3, 2),
    )


class InceptionV4(ImageClassifier):
    """A branching stem, three stages of one kind of module each, the mean of each map, dropout, one dense layer.

        model = InceptionV4()
        logits = model(torch.zeros(1, 3, 299, 299))    # (1, 1000)

    `depth` multiplies the modules of each stage.
    """

    def __init__(
        self,
        *,
        dropout: float = 0.2,
        depth: float = 1.0,
        init: Init = "he",
        classes: int = 1000,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        self.stem = _stem(in_channels)
        self.stages = nn.ModuleList(
            [
                nn.Sequential(*(module_a() for _ in range(scale_depth(4, depth)))),
                nn.Sequential(reduction_a(), *(module_b() for _ in range(scale_depth(7, depth)))),
                nn.Sequential(reduction_b(), *(module_c() for _ in range(scale_depth(3, depth)))),
            ]
        )
        self.head = PoolHead(1536, classes, dropout=dropout)
        initialise(self, init)


@register(
    Facts(
        paper="1602.07261", year=2016, params=42_679_816, macs=12_253_974_624, size=299, smallest=75,
        strides=(8, 16, 32),
        errors=(Published(top1=20.0, top5=5.0, protocol="one crop, without the blacklisted images"),),
    )
)  # fmt: skip
def inception_v4(**options: Any) -> InceptionV4:
    """The network of the paper's figure 9."""
    return InceptionV4(**options)
