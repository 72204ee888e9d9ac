"""ZFNet: Zeiler and Fergus 2013, https://arxiv.org/abs/1311.2901

zfnet at 224 px: stem 96x55x55 | stages 256x26x26, 256x13x13 | head pool 256x6x6, 4096, 4096, (N, classes)

The first layer of AlexNet made finer, 7x7 of stride 2, after looking at what its 11x11 of stride 4 had missed; the
Clarifai entry that won in 2013 is built of such networks.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from lenext.models.base import ImageClassifier
from lenext.models.blocks import ConvReLU, cross_map_norm, named
from lenext.models.heads import DenseHead
from lenext.models.initialisation import Init, gaussian, initialise
from lenext.registry import Facts, Published, register


def _pooled(size: tuple[int, int]) -> tuple[int, int]:
    """Return the size of the map that the head flattens."""

    def side(pixels: int) -> int:
        pixels = (pixels + 2 - 7) // 2 + 1  # conv1
        pixels = (pixels + 2 - 3) // 2 + 1  # pool
        pixels = (pixels - 5) // 2 + 1  # conv2
        pixels = (pixels + 2 - 3) // 2 + 1  # pool
        return (pixels - 3) // 2 + 1  # the head's pool

    return side(size[0]), side(size[1])


class ZFNet(ImageClassifier):
    """The network of the paper's figure 3.

        model = ZFNet()
        logits = model(torch.zeros(1, 3, 224, 224))    # (1, 1000)

    The first two pools are padded by one, which gives the figure's maps of 55 and 13 pixels.
    """

    def __init__(
        self,
        *,
        dropout: float = 0.5,
        init: Init = "he",
        size: tuple[int, int] = (224, 224),
        classes: int = 1000,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        self.stem = named(
            conv1=ConvReLU(in_channels, 96, 7, stride=2, padding=1),  # (N, C, H, W) -> (N, 96, H/2, W/2)
            pool=nn.MaxPool2d(3, 2, padding=1),  # (N, 96, H/2, W/2) -> (N, 96, H/4, W/4)
            norm1=cross_map_norm(),
        )
        second = named(conv2=ConvReLU(96, 256, 5, stride=2))
        third = named(
            pool=nn.MaxPool2d(3, 2, padding=1),
            norm2=cross_map_norm(),
            conv3=ConvReLU(256, 384, 3, padding=1),
            conv4=ConvReLU(384, 384, 3, padding=1),
            conv5=ConvReLU(384, 256, 3, padding=1),
        )
        self.stages = nn.ModuleList([second, third])
        self.head = DenseHead(
            256, _pooled(size), (4096, 4096), nn.Linear(4096, classes),
            pool=nn.MaxPool2d(3, 2), activation=nn.ReLU, dropout=(dropout, dropout),
        )  # fmt: skip
        initialise(self, init, gaussian(0.01))


@register(
    Facts(
        paper="1311.2901", year=2013, params=62_357_608, macs=1_168_032_896, size=224, smallest=53, strides=(8, 16),
        size_bound=True, lr_scale=0.3,
        errors=(Published(top1=38.4, top5=16.5, protocol="ten views"),),
    )
)  # fmt: skip
def zfnet(**options: Any) -> ZFNet:
    """The network of figure 3."""
    return ZFNet(**options)
