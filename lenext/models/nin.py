"""Network in Network: Lin et al. 2013, https://arxiv.org/abs/1312.4400

nin_cifar at 32 px:     stem identity | stages 96x32x32, 192x16x16, 192x8x8 | head one map a class, its mean
nin_imagenet at 224 px: stem 96x54x54 | stages 256x27x27, 384x13x13, 1024x6x6 | head one map a class, its mean

Each convolution is followed by two of 1x1: a small perceptron that slides over the maps. There is no dense layer. The
widths are those of the authors' public files; the paper's figure gives only the shape.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from lenext.models.base import ImageClassifier
from lenext.models.blocks import ConvReLU, named
from lenext.models.heads import ClassMapHead
from lenext.models.initialisation import Init, gaussian, initialise
from lenext.registry import Facts, Published, register


def _perceptron(conv: ConvReLU, *widths: int) -> nn.Sequential:
    """Return a convolution and one 1x1 convolution for each of `widths`, all with ReLU."""
    layers = {"conv": conv}
    channels = conv.conv.out_channels
    for number, width in enumerate(widths, 1):
        layers[f"mix{number}"] = ConvReLU(channels, width, 1)
        channels = width
    return named(**layers)


class NetworkInNetwork(ImageClassifier):
    """Three perceptron convolutions for 32 px, or four for 224 px, and the mean of one map a class.

        model = NetworkInNetwork(small=True, classes=10)
        logits = model(torch.zeros(1, 3, 32, 32))    # (1, 10)

    Pools round up, so that a map of 27 pixels follows one of 54.
    """

    def __init__(
        self, *, small: bool, dropout: float = 0.5, init: Init = "he", classes: int = 1000, in_channels: int = 3
    ) -> None:
        super().__init__()
        self.stem, self.stages = _cifar(in_channels, dropout) if small else _imagenet(in_channels, dropout)
        self.head = ClassMapHead(192 if small else 1024, classes)
        initialise(self, init, _as_published_small if small else _as_published_large)
        if init != "paper":
            _start_above_zero(self.head)


def _cifar(in_channels: int, dropout: float) -> tuple[nn.Module, nn.ModuleList]:
    first = _perceptron(ConvReLU(in_channels, 192, 5, padding=2), 160, 96)
    second = named(
        pool=nn.MaxPool2d(3, 2, ceil_mode=True),  # (N, 96, H, W) -> (N, 96, H/2, W/2)
        dropout=nn.Dropout(dropout),
        block=_perceptron(ConvReLU(96, 192, 5, padding=2), 192, 192),
    )
    third = named(
        pool=nn.AvgPool2d(3, 2, ceil_mode=True),
        dropout=nn.Dropout(dropout),
        block=_perceptron(ConvReLU(192, 192, 3, padding=1), 192),
    )
    return nn.Identity(), nn.ModuleList([first, second, third])


def _imagenet(in_channels: int, dropout: float) -> tuple[nn.Module, nn.ModuleList]:
    stem = _perceptron(ConvReLU(in_channels, 96, 11, stride=4), 96, 96)  # (N, C, H, W) -> (N, 96, H/4, W/4)
    second = named(
        pool=nn.MaxPool2d(3, 2, ceil_mode=True),
        block=_perceptron(ConvReLU(96, 256, 5, padding=2), 256, 256),
    )
    third = named(
        pool=nn.MaxPool2d(3, 2, ceil_mode=True),
        block=_perceptron(ConvReLU(256, 384, 3, padding=1), 384, 384),
    )
    fourth = named(
        pool=nn.MaxPool2d(3, 2, ceil_mode=True),
        dropout=nn.Dropout(dropout),
        block=_perceptron(ConvReLU(384, 1024, 3, padding=1), 1024),
    )
    return stem, nn.ModuleList([second, third, fourth])


def _start_above_zero(head: ClassMapHead) -> None:
    """Draw the classifier so that every class map is near 1 at first.

    A class whose map is nowhere above 0 gets no gradient through the ReLU that follows; drawn around 0, half of the
    classes start so, and of few classes all soon end so.
    """
    nn.init.normal_(head.classifier.get_parameter("weight"), std=0.01)
    nn.init.ones_(head.classifier.get_parameter("bias"))


_as_published_small = gaussian(0.05)


def _as_published_large(model: nn.Module) -> None:
    """Normal with deviation 0.05; 0.01 in the first and third convolution and the classifier."""
    gaussian(0.05)(model)
    for name, module in model.named_modules():
        if name in ("stem.conv.conv", "stages.1.block.conv.conv", "head.classifier"):
            nn.init.normal_(module.weight, std=0.01)


@register(
    Facts(
        paper="1312.4400", year=2013, params=966_986, macs=222_486_528, size=32, smallest=4, strides=(1, 2, 4),
        classes=10, lr_scale=0.1,
        errors=(
            Published(top1=8.81, protocol="with augmentation", dataset="CIFAR-10"),
            Published(top1=10.41, protocol="without augmentation", dataset="CIFAR-10"),
        ),
    )
)  # fmt: skip
def nin_cifar(**options: Any) -> NetworkInNetwork:
    """The CIFAR-10 network."""
    return NetworkInNetwork(small=True, **options)


@register(
    Facts(
        paper="1312.4400", year=2013, params=7_595_176, macs=1_100_188_800, size=224, smallest=39, strides=(8, 16, 32),
        lr_scale=0.1,
    )
)  # fmt: skip
def nin_imagenet(**options: Any) -> NetworkInNetwork:
    """The ImageNet network."""
    return NetworkInNetwork(small=False, **options)
