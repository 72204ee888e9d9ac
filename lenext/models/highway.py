"""Highway network: Srivastava et al. 2015, https://arxiv.org/abs/1507.06228

highway19 at 32 px: stem 32x32x32 | stages 32x32x32, 80x16x16, 100x8x8 | head mean 100, (N, classes)

Each layer has a gate that says, for every place of every map, how much of what it computed goes on and how much of its
input does: the first networks of dozens of layers that trained from nothing. `highway19` is the authors' file for
CIFAR-10; the widths of the 32-layer net are not published, and those of `highway32` are chosen to meet its 1.25 million
parameters.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lenext.models.base import ImageClassifier
from lenext.models.blocks import ConvReLU, named
from lenext.models.heads import PoolHead
from lenext.models.initialisation import Init, draw, initialise
from lenext.models.scaling import scale_depth, scale_width
from lenext.registry import Claim, Facts, Published, register

CLOSED = -2.0  # the gates' first biases: at first most of the input goes on


class HighwayConv(nn.Module):
    """y = t h + (1 - t) x with h = ReLU of a 3x3 convolution, t = sigmoid of another: (N, C, H, W) -> (N, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.gate = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)"""
        made, share = torch.relu(self.conv(x)), torch.sigmoid(self.gate(x))
        return torch.lerp(x, made, share)


class HighwayNetwork(ImageClassifier):
    """One convolution, then highway layers in three stages, the mean of each map, one dense layer.

        model = HighwayNetwork(plan=((32, 4), (80, 5), (128, 5)), mixed=100, classes=10)
        logits = model(torch.zeros(1, 3, 32, 32))    # (1, 10)

    `plan` holds the maps and the highway layers of each stage; `mixed` are the maps of a last 1x1 convolution, 0 for
    none. Dropout comes before the first convolution of every stage, and before the dense layer.
    """

    def __init__(
        self,
        *,
        plan: tuple[tuple[int, int], ...],
        mixed: int = 0,
        dropout: float = 0.2,
        depth: float = 1.0,
        width: float = 1.0,
        init: Init = "he",
        classes: int = 10,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        channels = scale_width(plan[0][0], width)
        self.stem = named(dropout=nn.Dropout(dropout), conv=ConvReLU(in_channels, channels, 3, padding=1))
        self.stages = nn.ModuleList()
        for number, (maps, layers) in enumerate(plan):
            stage = nn.Sequential()
            if number > 0:
                stage.add_module("pool", nn.MaxPool2d(2))  # halves H and W
                stage.add_module("dropout", nn.Dropout(dropout))
                stage.add_module("widen", ConvReLU(channels, scale_width(maps, width), 3, padding=1))
                channels = scale_width(maps, width)
            for place in range(scale_depth(layers, depth)):
                stage.add_module(f"highway{place + 1}", HighwayConv(channels))
            self.stages.append(stage)
        if mixed:
            self.stages[-1].add_module("mix", ConvReLU(channels, mixed, 1))
            channels = mixed
        self.head = PoolHead(channels, classes, dropout=dropout)
        initialise(self, init, _as_published)
        for module in self.modules():
            if isinstance(module, HighwayConv):
                nn.init.constant_(module.gate.get_parameter("bias"), CLOSED)


def _as_published(model: nn.Module) -> None:
    """The authors' file: Glorot and Bengio's; deviation 0.05 in the first convolution and the dense layer."""
    assert isinstance(model, HighwayNetwork)
    draw(model, nn.init.xavier_uniform_)
    for part in (model.stem, model.head):
        draw(part, lambda weight: nn.init.normal_(weight, std=0.05))


def _facts(params: int, macs: int, top1: float, claim: Claim, source: str = "") -> Facts:
    return Facts(
        paper="1507.06228", year=2015, params=params, macs=macs, size=32, smallest=4, strides=(1, 2, 4), classes=10,
        errors=(Published(top1=top1, protocol="with augmentation", dataset="CIFAR-10", source=source),),
        claims=(claim,),
    )  # fmt: skip


@register(_facts(2_256_838, 330_826_728, 7.54, Claim("params", 2.3e6)))
def highway19(**options: Any) -> HighwayNetwork:
    """Highway B of the paper's table 1: nineteen layers, after the authors' file."""
    return HighwayNetwork(plan=((32, 4), (80, 5), (128, 5)), mixed=100, **options)


@register(
    _facts(
        1_255_270, 314_491_880, 8.80,
        Claim("params", 1.25e6, 0.4, "the widths are not published; ours are chosen to meet it"),
        source="paper, of a net whose widths are not known",
    )
)  # fmt: skip
def highway32(**options: Any) -> HighwayNetwork:
    """Highway C of the paper's table 1: 32 layers, of widths that are ours."""
    return HighwayNetwork(plan=((32, 9), (48, 9), (64, 9)), mixed=100, **options)
