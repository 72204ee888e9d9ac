"""AlexNet: Krizhevsky et al. 2012, https://doi.org/10.1145/3065386

alexnet at 224 px:      stem 64x55x55 | stages 192x27x27, 256x13x13 | head pool 256x6x6, 4096, 4096, (N, classes)
alexnet_2012 at 224 px: stem 96x55x55 | stages 256x27x27, 256x13x13 | head pool 256x6x6, 4096, 4096, (N, classes)

`alexnet_2012` is the paper's: two towers, which are the groups of a convolution, that meet in the third convolution
and in the dense layers. `alexnet_96` has its widths in one tower. `alexnet` is the one tower of Krizhevsky 2014
(https://arxiv.org/abs/1404.5997), as torchvision has it.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from lenext.models.base import ImageClassifier
from lenext.models.blocks import ConvReLU, cross_map_norm, named
from lenext.models.heads import DenseHead
from lenext.models.initialisation import Init, gaussian, initialise
from lenext.registry import Claim, Facts, Published, register


def _pooled(size: tuple[int, int]) -> tuple[int, int]:
    """Return the size of the map that the head flattens: 11x11 of stride 4, then three 3x3 pools of stride 2."""

    def side(pixels: int) -> int:
        pixels = (pixels + 4 - 11) // 4 + 1
        for _ in range(3):
            pixels = (pixels - 3) // 2 + 1
        return pixels

    return side(size[0]), side(size[1])


class AlexNet(ImageClassifier):
    """Five convolutions, overlapping 3x3 pools of stride 2, three dense layers.

        model = AlexNet(widths=(96, 256, 384, 384, 256), towers=2)
        logits = model(torch.zeros(1, 3, 224, 224))    # (1, 1000)

    `towers` is how many groups the second, fourth and fifth convolution have. A `modern` net has no local response
    normalisation, and drops what enters the hidden dense layers instead of what leaves them.
    """

    def __init__(
        self,
        *,
        widths: tuple[int, int, int, int, int],
        towers: int = 1,
        modern: bool = False,
        dropout: float = 0.5,
        init: Init = "he",
        size: tuple[int, int] = (224, 224),
        classes: int = 1000,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        norm = nn.Identity if modern else cross_map_norm
        one, two, three, four, five = widths
        self.stem = named(
            conv1=ConvReLU(in_channels, one, 11, stride=4, padding=2),  # (N, C, H, W) -> (N, one, H/4, W/4)
            norm1=norm(),
        )
        second = named(
            pool=nn.MaxPool2d(3, 2),
            conv2=ConvReLU(one, two, 5, padding=2, groups=towers),
            norm2=norm(),
        )
        third = named(
            pool=nn.MaxPool2d(3, 2),
            conv3=ConvReLU(two, three, 3, padding=1),
            conv4=ConvReLU(three, four, 3, padding=1, groups=towers),
            conv5=ConvReLU(four, five, 3, padding=1, groups=towers),
        )
        self.stages = nn.ModuleList([second, third])
        pool = nn.MaxPool2d(3, 2)
        self.head = DenseHead(
            five, _pooled(size), (4096, 4096), nn.Linear(4096, classes),
            pool=nn.Sequential(pool, nn.Dropout(dropout)) if modern else pool,
            activation=nn.ReLU, dropout=(dropout, 0.0 if modern else dropout),
        )  # fmt: skip
        initialise(self, init, _as_published)


def _as_published(model: nn.Module) -> None:
    """Normal with deviation 0.01; biases 1 in convolutions 2, 4 and 5 and the hidden dense layers, else 0."""
    gaussian(0.01)(model)
    for name, module in model.named_modules():
        if name.endswith(("conv2.conv", "conv4.conv", "conv5.conv", "dense.0", "dense.1")):
            nn.init.ones_(module.bias)


@register(
    Facts(
        paper="10.1145/3065386", year=2012, params=60_965_224, macs=724_406_816,
        size=224, smallest=63, strides=(8, 16), size_bound=True, lr_scale=0.3,
        errors=(Published(top1=40.7, top5=18.2, protocol="ten views"),),
        claims=(Claim("params", 60e6, 1.6, "the paper rounds"),),
    )
)  # fmt: skip
def alexnet_2012(**options: Any) -> AlexNet:
    """As published: two towers, local response normalisation."""
    return AlexNet(widths=(96, 256, 384, 384, 256), towers=2, **options)


@register(Facts(paper="10.1145/3065386", year=2012, params=62_378_344, macs=1_135_256_096,
                size=224, smallest=63, strides=(8, 16), size_bound=True, lr_scale=0.3))  # fmt: skip
def alexnet_96(**options: Any) -> AlexNet:
    """The paper's widths in one tower."""
    return AlexNet(widths=(96, 256, 384, 384, 256), **options)


@register(
    Facts(
        paper="1404.5997", year=2014, params=61_100_840, macs=714_188_480,
        size=224, smallest=63, strides=(8, 16), size_bound=True, lr_scale=0.3,
        errors=(Published(top1=43.5, top5=20.9, protocol="one crop", source="torchvision"),),
    )
)  # fmt: skip
def alexnet(**options: Any) -> AlexNet:
    """One tower of 64, 192, 384, 256, 256, as torchvision has it."""
    return AlexNet(widths=(64, 192, 384, 256, 256), modern=True, **options)
