"""ConvNeXt: Liu et al. 2022, https://arxiv.org/abs/2201.03545

convnext_tiny at 224 px: stem 96x56x56 | stages 96x56x56, 192x28x28, 384x14x14, 768x7x7 | head mean, norm, (N, classes)

A ResNet brought up to what vision transformers had found: a stem of patches, 7x7 convolutions of each map alone, one
norm and one activation a block, norms over channels, and stages of their own for halving.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lenext.models.base import ImageClassifier
from lenext.models.blocks import StochasticDepth, named
from lenext.models.heads import PoolHead
from lenext.models.initialisation import Init, draw, initialise
from lenext.models.scaling import scale_depth, scale_width
from lenext.registry import Claim, Facts, Published, register

EPS = 1e-6


class ChannelNorm(nn.LayerNorm):
    """Layer normalisation over the channels of each place: (N, C, H, W) -> (N, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)"""
        x = F.layer_norm(x.permute(0, 2, 3, 1), self.normalized_shape, self.weight, self.bias, self.eps)
        return x.permute(0, 3, 1, 2)


class ConvNeXtBlock(nn.Module):
    """Look at each map alone, then mix maps at every place: (N, C, H, W) -> (N, C, H, W).

    The mixing is a dense layer to four times the width, GELU, and one back; `scale` weighs each map of the result.
    """

    def __init__(self, channels: int, layer_scale: float, rate: float) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=EPS)
        self.widen = nn.Linear(channels, 4 * channels)
        self.activation = nn.GELU()
        self.narrow = nn.Linear(4 * channels, channels)
        self.scale = nn.Parameter(torch.full((channels,), layer_scale))
        self.drop = StochasticDepth(rate)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)"""
        made = self.depthwise(x).permute(0, 2, 3, 1)  # (N, C, H, W) -> (N, H, W, C)
        made = self.scale * self.narrow(self.activation(self.widen(self.norm(made))))
        made = self.drop(made.permute(0, 3, 1, 2))  # (N, H, W, C) -> (N, C, H, W)
        return x + made  # type: ignore[no-any-return]


class ConvNeXt(ImageClassifier):
    """A stem of 4x4 patches, four stages of blocks, the mean of each map, a norm, one dense layer.

        model = ConvNeXt(plan=((96, 3), (192, 3), (384, 9), (768, 3)))
        logits = model(torch.zeros(1, 3, 224, 224))    # (1, 1000)

    `plan` holds the maps and the blocks of each stage. `stochastic_depth` is the rate at which the last block is
    dropped; it rises from zero at the first. `layer_scale` is the first weight of every residual.
    """

    def __init__(
        self,
        *,
        plan: tuple[tuple[int, int], ...],
        stochastic_depth: float = 0.0,
        layer_scale: float = 1e-6,
        depth: float = 1.0,
        width: float = 1.0,
        init: Init = "he",
        classes: int = 1000,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        maps = [scale_width(channels, width) for channels, _ in plan]
        counts = [scale_depth(blocks, depth) for _, blocks in plan]
        step = stochastic_depth / max(1, sum(counts) - 1)
        self.stem = named(patches=nn.Conv2d(in_channels, maps[0], 4, 4), norm=ChannelNorm(maps[0], eps=EPS))
        self.stages = nn.ModuleList()
        for number, (channels, count) in enumerate(zip(maps, counts, strict=True)):
            stage = nn.Sequential()
            if number > 0:
                before = maps[number - 1]
                halve = nn.Conv2d(before, channels, 2, 2)
                stage.add_module("downsample", named(norm=ChannelNorm(before, eps=EPS), conv=halve))
            for place in range(count):
                rate = step * (sum(counts[:number]) + place)
                stage.add_module(f"block{place + 1}", ConvNeXtBlock(channels, layer_scale, rate))
            self.stages.append(stage)
        self.head = PoolHead(maps[-1], classes, after=nn.LayerNorm(maps[-1], eps=EPS))
        initialise(self, init, _truncated)


def _truncated(model: nn.Module) -> None:
    """Normal with deviation 0.02, cut off at 2 (in effect nowhere), as the paper's table 5 and its code."""
    draw(model, lambda weight: nn.init.trunc_normal_(weight, std=0.02))


def _facts(params: int, macs: int, error: Published, claims: tuple[float, float]) -> Facts:
    return Facts(
        paper="2201.03545", year=2022, params=params, macs=macs, size=224, smallest=32, strides=(4, 8, 16, 32),
        errors=(error,), claims=(Claim("params", claims[0]), Claim("macs", claims[1])),
    )  # fmt: skip


def _one_crop(top1: float) -> Published:
    return Published(top1=top1, protocol="one crop")


@register(_facts(28_589_128, 4_455_531_264, _one_crop(17.9), (29e6, 4.5e9)))
def convnext_tiny(*, stochastic_depth: float = 0.1, **options: Any) -> ConvNeXt:
    """Stages of 3, 3, 9 and 3 blocks, 96 maps at first."""
    plan = ((96, 3), (192, 3), (384, 9), (768, 3))
    return ConvNeXt(plan=plan, stochastic_depth=stochastic_depth, **options)


@register(_facts(50_223_688, 8_683_712_256, _one_crop(16.9), (50e6, 8.7e9)))
def convnext_small(*, stochastic_depth: float = 0.4, **options: Any) -> ConvNeXt:
    """Stages of 3, 3, 27 and 3 blocks, 96 maps at first."""
    plan = ((96, 3), (192, 3), (384, 27), (768, 3))
    return ConvNeXt(plan=plan, stochastic_depth=stochastic_depth, **options)


@register(_facts(88_591_464, 15_354_729_472, _one_crop(16.2), (89e6, 15.4e9)))
def convnext_base(*, stochastic_depth: float = 0.5, **options: Any) -> ConvNeXt:
    """Stages of 3, 3, 27 and 3 blocks, 128 maps at first."""
    plan = ((128, 3), (256, 3), (512, 27), (1024, 3))
    return ConvNeXt(plan=plan, stochastic_depth=stochastic_depth, **options)


@register(_facts(197_767_336, 34_361_433_600, _one_crop(15.7), (198e6, 34.4e9)))
def convnext_large(*, stochastic_depth: float = 0.5, **options: Any) -> ConvNeXt:
    """Stages of 3, 3, 27 and 3 blocks, 192 maps at first."""
    plan = ((192, 3), (384, 3), (768, 27), (1536, 3))
    return ConvNeXt(plan=plan, stochastic_depth=stochastic_depth, **options)


@register(
    _facts(
        350_196_968,
        60_921_030_656,
        Published(top1=13.0, protocol="one crop, trained on ImageNet-22k first"),
        (350e6, 60.9e9),
    )
)
def convnext_xlarge(*, stochastic_depth: float = 0.2, **options: Any) -> ConvNeXt:
    """Stages of 3, 3, 27 and 3 blocks, 256 maps at first."""
    plan = ((256, 3), (512, 3), (1024, 27), (2048, 3))
    return ConvNeXt(plan=plan, stochastic_depth=stochastic_depth, **options)
