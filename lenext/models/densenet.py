"""DenseNet: Huang et al. 2016, https://arxiv.org/abs/1608.06993

densenet121 at 224 px:      stem 64x56x56 | stages 256x56x56, 512x28x28, 1024x14x14, 1024x7x7 | head norm, mean 1024
densenet40_12_cifar at 32 px: stem 16x32x32 | stages 160x32x32, 304x16x16, 448x8x8            | head norm, mean 448

Every layer of a stage sees the maps of all layers before it, and adds a few of its own: few weights, since nothing is
computed twice. Written down plainly, each layer keeps a copy of all maps before it; `memory_efficient` training makes
these again where the gradient needs them (Pleiss et al. 2017, https://arxiv.org/abs/1707.06990).
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from lenext.models.base import ImageClassifier
from lenext.models.blocks import ConvNorm, PreConv, make_stem, named, plain_conv, relu
from lenext.models.cifar import cifar_error, cifar_facts
from lenext.models.heads import PoolHead
from lenext.models.initialisation import Init, initialise
from lenext.models.scaling import scale_depth, scale_width
from lenext.registry import Claim, Facts, Published, register

BOTTLENECK = 4  # a bottleneck makes so many times the maps that its layer adds


class DenseLayer(nn.Module):
    """Norm, ReLU and convolution, once or twice, of all maps so far: their list -> (N, growth, H, W).

    With a bottleneck, a 1x1 convolution makes 4 x growth maps of them before the 3x3 sees them.
    """

    def __init__(self, channels: int, growth: int, *, bottleneck: bool, dropout: float, memory_efficient: bool) -> None:
        super().__init__()
        inner = BOTTLENECK * growth if bottleneck else channels
        self.reduce = PreConv(plain_conv(channels, inner)) if bottleneck else None
        self.dropout1 = nn.Dropout(dropout) if dropout and bottleneck else nn.Identity()
        self.conv = PreConv(plain_conv(inner, growth, 3))
        self.dropout2 = nn.Dropout(dropout) if dropout else nn.Identity()
        self.memory_efficient = memory_efficient

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Return the new maps, (N, growth, H, W), of the maps so far, each (N, C_i, H, W)."""
        twice = self.memory_efficient and self.training and torch.is_grad_enabled()
        if twice and not torch.compiler.is_compiling():  # a compiler decides by itself what to compute again
            made: Tensor = checkpoint(self._compute, *maps, use_reentrant=False, context_fn=self._contexts)
            return made
        return self._compute(*maps)

    def _compute(self, *maps: Tensor) -> Tensor:
        x = torch.cat(maps, 1)
        if self.reduce is not None:
            x = self.dropout1(self.reduce(x))
        return self.dropout2(self.conv(x))  # type: ignore[no-any-return]

    def _contexts(self) -> tuple[AbstractContextManager[Any], AbstractContextManager[Any]]:
        return nullcontext(), _Uncounted(self)


class _Uncounted:
    """While this is entered, the norms of a layer count into copies: what is computed again was counted before."""

    def __init__(self, layer: nn.Module) -> None:
        self.places = [(part, name) for part in layer.modules() for name, _ in part.named_buffers(recurse=False)]
        self.own: list[Tensor] = []

    def __enter__(self) -> None:
        self.own = [getattr(part, name) for part, name in self.places]
        for (part, name), buffer in zip(self.places, self.own, strict=True):
            setattr(part, name, buffer.clone())

    def __exit__(self, *_: object) -> None:
        for (part, name), buffer in zip(self.places, self.own, strict=True):
            setattr(part, name, buffer)


class DenseStage(nn.Module):
    """A transition where one comes first, then dense layers: (N, C, H, W) -> (N, C' + layers x growth, H', W')."""

    def __init__(self, transition: nn.Module, layers: list[DenseLayer]) -> None:
        super().__init__()
        self.transition = transition
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C' + layers x growth, H', W')"""
        maps = [self.transition(x)]
        for layer in self.layers:
            maps.append(layer(maps))
        return torch.cat(maps, 1)


@dataclass(frozen=True)
class Plan:
    """How many `layers` each stage has, the maps that each adds, and those of the stem.

    `compression` is the share of the maps that a transition passes on; DenseNet-B has bottlenecks, -C compresses.
    """

    layers: tuple[int, ...]
    growth: int
    start: int
    bottleneck: bool = True
    compression: float = 0.5
    stem: str = "7x7"


class DenseNet(ImageClassifier):
    """A stem, stages of dense layers with transitions between them, norm, ReLU, the mean of each map, a dense layer.

        model = DenseNet(plan=Plan(layers=(6, 12, 24, 16), growth=32, start=64))
        logits = model(torch.zeros(1, 3, 224, 224))    # (1, 1000)

    `memory_efficient` training has the same gradients and running statistics in less memory and more time; the mode
    must not change between a forward and its backward. `depth`
    multiplies the layers, `width` the growth and the maps of the stem. `dropout` follows every convolution but the
    first; the paper's is 0.2 where it trained without augmentation.
    """

    def __init__(
        self,
        *,
        plan: Plan,
        dropout: float = 0.0,
        memory_efficient: bool = False,
        depth: float = 1.0,
        width: float = 1.0,
        init: Init = "he",
        classes: int = 1000,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        growth, channels = scale_width(plan.growth, width, divisor=4), scale_width(plan.start, width)
        make = plain_conv if plan.stem == "3x3" else ConvNorm
        self.stem = make_stem(plan.stem, in_channels, channels, make)
        self.stages = nn.ModuleList()
        for number, count in enumerate(plan.layers):
            transition: nn.Module = nn.Identity()
            if number > 0:
                kept = int(channels * plan.compression)
                transition = named(
                    conv=PreConv(plain_conv(channels, kept)), dropout=nn.Dropout(dropout), pool=nn.AvgPool2d(2)
                )
                channels = kept
            layers = []
            for _ in range(scale_depth(count, depth)):
                layers.append(
                    DenseLayer(
                        channels, growth, bottleneck=plan.bottleneck, dropout=dropout,
                        memory_efficient=memory_efficient,
                    )
                )  # fmt: skip
                channels += growth
            self.stages.append(DenseStage(transition, layers))
        before = named(norm=nn.BatchNorm2d(channels), activation=relu())
        self.head = PoolHead(channels, classes, before=before)
        initialise(self, init)


def _facts(params: int, macs: int, *errors: Published) -> Facts:
    return Facts(
        paper="1608.06993", year=2016, params=params, macs=macs, size=224, smallest=29, strides=(4, 8, 16, 32),
        errors=errors,
    )  # fmt: skip


def _one_crop(top1: float, top5: float | None = None, source: str = "") -> Published:
    return Published(top1=top1, top5=top5, protocol="one crop", source=source)


@register(_facts(7_978_856, 2_834_161_664, _one_crop(25.02, 7.71)))
def densenet121(**options: Any) -> DenseNet:
    """Stages of 6, 12, 24 and 16 layers that add 32 maps each."""
    return DenseNet(plan=Plan((6, 12, 24, 16), growth=32, start=64), **options)


@register(_facts(28_681_000, 7_727_907_072, _one_crop(22.2, None, "authors' file")))
def densenet161(**options: Any) -> DenseNet:
    """Stages of 6, 12, 36 and 24 layers that add 48 maps each."""
    return DenseNet(plan=Plan((6, 12, 36, 24), growth=48, start=96), **options)


@register(_facts(14_149_480, 3_359_843_328, _one_crop(23.80, 6.85)))
def densenet169(**options: Any) -> DenseNet:
    """Stages of 6, 12, 32 and 32 layers that add 32 maps each."""
    return DenseNet(plan=Plan((6, 12, 32, 32), growth=32, start=64), **options)


@register(_facts(20_013_928, 4_291_365_888, _one_crop(22.58, 6.34)))
def densenet201(**options: Any) -> DenseNet:
    """Stages of 6, 12, 48 and 32 layers that add 32 maps each."""
    return DenseNet(plan=Plan((6, 12, 48, 32), growth=32, start=64), **options)


@register(_facts(33_337_704, 5_751_653_376, _one_crop(22.15, 6.12)))
def densenet264(**options: Any) -> DenseNet:
    """Stages of 6, 12, 64 and 48 layers that add 32 maps each."""
    return DenseNet(plan=Plan((6, 12, 64, 48), growth=32, start=64), **options)


def _cifar_facts(params: int, macs: int, error: float, claim: float) -> Facts:
    claims = (Claim("params", claim),)
    more = {"paper": "1608.06993", "year": 2016, "smallest": 4}
    return cifar_facts(params, macs, cifar_error(error), claims=claims, **more)


@register(_cifar_facts(1_019_722, 264_812_928, 5.24, 1.0e6))
def densenet40_12_cifar(**options: Any) -> DenseNet:
    """40 layers that add 12 maps each, without bottlenecks or compression."""
    plan = Plan((12, 12, 12), growth=12, start=16, bottleneck=False, compression=1.0, stem="3x3")
    return DenseNet(plan=plan, **options)


@register(_cifar_facts(6_979_642, 1_769_516_448, 4.10, 7.0e6))
def densenet100_12_cifar(**options: Any) -> DenseNet:
    """100 layers that add 12 maps each, without bottlenecks or compression."""
    plan = Plan((32, 32, 32), growth=12, start=16, bottleneck=False, compression=1.0, stem="3x3")
    return DenseNet(plan=plan, **options)


@register(_cifar_facts(769_162, 287_929_692, 4.51, 0.8e6))
def densenet_bc100_12_cifar(**options: Any) -> DenseNet:
    """100 layers that add 12 maps each, with bottlenecks and compression."""
    return DenseNet(plan=Plan((16, 16, 16), growth=12, start=24, stem="3x3"), **options)
