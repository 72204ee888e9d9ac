"""ResNet: He et al. 2015, https://arxiv.org/abs/1512.03385

resnet50 at 224 px: stem 64x56x56 | stages 256x56x56, 512x28x28, 1024x14x14, 2048x7x7 | head mean 2048, (N, classes)
resnet18 at 224 px: stem 64x56x56 | stages 64x56x56, 128x28x28, 256x14x14, 512x7x7    | head mean 512, (N, classes)

A block learns what to add to its input, so that a hundred layers train as well as ten. `resnet50` halves the resolution
in the 3x3 convolution, as others' weights do; `resnet50_v1` in the 1x1 before it, as published. `c` and `d` are tweaks
of He et al. 2018 (https://arxiv.org/abs/1812.01187): C has three 3x3 in the stem, D also pools in the shortcut. The
`plain` nets are the same without shortcuts: they show what these are for.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

from torch import Tensor, nn
from torch.nn import functional as F

from lenext.errors import UserError
from lenext.models.base import ImageClassifier
from lenext.models.blocks import ConvNorm, make_stem, named, relu
from lenext.models.heads import PoolHead
from lenext.models.initialisation import Init, initialise
from lenext.models.scaling import scale_depth, scale_width
from lenext.registry import Claim, Facts, Published, register

Shortcut = Literal["A", "B", "C", "D", "none"]


class PaddedIdentity(nn.Module):
    """The parameter-free shortcut: every `stride`-th place, with zero maps: (N, C, H, W) -> (N, C', H/s, W/s).

    The paper does not say where the zero maps go; half of them come first here, as in the public CIFAR weights.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        more = out_channels - in_channels
        self.stride, self.pad = stride, (0, 0, 0, 0, more // 2, more - more // 2)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C', H/s, W/s)"""
        return F.pad(x[:, :, :: self.stride, :: self.stride], self.pad)


def make_shortcut(kind: Shortcut, in_channels: int, out_channels: int, stride: int) -> nn.Module | None:
    """Return what carries the input past a block; None for a plain net.

    A is free of parameters but where a stage narrows, B projects where the shape changes, C everywhere, D like B after
    an average pool.

    Raises:
        UserError: no such kind.
    """
    same = stride == 1 and in_channels == out_channels
    if kind == "none":
        return None
    if kind in ("A", "B", "D") and same:
        return nn.Identity()
    if kind == "A" and in_channels <= out_channels:
        return PaddedIdentity(in_channels, out_channels, stride)
    if kind in ("A", "B", "C"):
        return ConvNorm(in_channels, out_channels, stride=stride, activation=None)
    if kind == "D":
        pool = nn.AvgPool2d(2, stride, ceil_mode=True, count_include_pad=False) if stride > 1 else nn.Identity()
        return named(pool=pool, project=ConvNorm(in_channels, out_channels, activation=None))
    raise UserError(f"shortcut {kind!r} is not known; give A, B, C, D or none")


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut: (N, C, H, W) -> (N, width, H/s, W/s)."""

    expansion = 1

    def __init__(self, in_channels: int, width: int, stride: int, *, shortcut: Shortcut = "B") -> None:
        super().__init__()
        self.conv1 = ConvNorm(in_channels, width, 3, stride=stride)
        self.conv2 = ConvNorm(width, width, 3, activation=None)
        self.shortcut = make_shortcut(shortcut, in_channels, width, stride)
        self.activation = relu()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, width, H/s, W/s)"""
        made: Tensor = self.conv2(self.conv1(x))
        if self.shortcut is not None:
            made = made + self.shortcut(x)
        return self.activation(made)  # type: ignore[no-any-return]


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 and a shortcut: (N, C, H, W) -> (N, 4 width, H/s, W/s).

    The 3x3 has `groups` groups of `base` maps each where `width` is 64, and more in proportion; `stride_in` is the
    convolution that halves the resolution.
    """

    expansion = 4

    def __init__(
        self,
        in_channels: int,
        width: int,
        stride: int,
        *,
        shortcut: Shortcut = "B",
        stride_in: Literal["1x1", "3x3"] = "3x3",
        groups: int = 1,
        base: int = 64,
    ) -> None:
        super().__init__()
        if stride_in not in ("1x1", "3x3"):
            raise UserError(f"stride_in {stride_in!r} is not known; give 1x1 or 3x3")
        for what, count in (("groups", groups), ("base", base)):
            if not isinstance(count, int) or isinstance(count, bool) or count < 1:
                raise UserError(f"{what} {count!r} is not a whole number above zero")
        inner, out_channels = groups * max(1, width * base // 64), self.expansion * width
        first, second = (stride, 1) if stride_in == "1x1" else (1, stride)
        self.conv1 = ConvNorm(in_channels, inner, stride=first)
        self.conv2 = ConvNorm(inner, inner, 3, stride=second, groups=groups)
        self.conv3 = ConvNorm(inner, out_channels, activation=None)
        self.shortcut = make_shortcut(shortcut, in_channels, out_channels, stride)
        self.activation = relu()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, 4 width, H/s, W/s)"""
        made: Tensor = self.conv3(self.conv2(self.conv1(x)))
        if self.shortcut is not None:
            made = made + self.shortcut(x)
        return self.activation(made)  # type: ignore[no-any-return]


Block = Callable[[int, int, int], BasicBlock | Bottleneck]
Plan = tuple[tuple[int, int], ...]  # the width and the blocks of each stage


class ResNet(ImageClassifier):
    """A stem, stages of residual blocks, the mean of each map, one dense layer.

        model = ResNet(block=Bottleneck, plan=((64, 3), (128, 4), (256, 6), (512, 3)))
        logits = model(torch.zeros(1, 3, 224, 224))    # (1, 1000)

    `block` makes a block from the maps that enter it, its width and its stride; the first of every stage but the
    first halves the resolution. `depth` and `width` multiply the plan.
    """

    def __init__(
        self,
        *,
        block: Block,
        plan: Plan,
        stem: str = "7x7",
        depth: float = 1.0,
        width: float = 1.0,
        init: Init = "he",
        classes: int = 1000,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        channels = scale_width(plan[0][0], width)
        self.stem = make_stem(stem, in_channels, channels, ConvNorm)
        self.stages = nn.ModuleList()
        for number, (maps, blocks) in enumerate(plan):
            stage = nn.Sequential()
            for place in range(scale_depth(blocks, depth)):
                stride = 2 if number > 0 and place == 0 else 1
                made = block(channels, scale_width(maps, width), stride)
                stage.append(made)
                channels = made.expansion * scale_width(maps, width)
            self.stages.append(stage)
        self.head = PoolHead(channels, classes)
        initialise(self, init)


WIDTHS = (64, 128, 256, 512)


def make_plan(*blocks: int, widths: tuple[int, ...] = WIDTHS) -> Plan:
    """Return the plan with so many blocks in each stage."""
    return tuple(zip(widths, blocks, strict=True))


def basic(plan: Plan, *, shortcut: Shortcut = "B", **options: Any) -> ResNet:
    """Return a net of basic blocks."""
    return ResNet(block=partial(BasicBlock, shortcut=shortcut), plan=plan, **options)


def bottleneck(
    plan: Plan,
    *,
    shortcut: Shortcut = "B",
    stride_in: Literal["1x1", "3x3"] = "3x3",
    groups: int = 1,
    base: int = 64,
    **options: Any,
) -> ResNet:
    """Return a net of bottleneck blocks; `groups` and `base` are those of `Bottleneck`."""
    block = partial(Bottleneck, shortcut=shortcut, stride_in=stride_in, groups=groups, base=base)
    return ResNet(block=block, plan=plan, **options)


def _facts(params: int, macs: int, *errors: Published, claims: tuple[Claim, ...] = (), **more: Any) -> Facts:
    return Facts(
        **{"paper": "1512.03385", "year": 2015, **more},
        params=params, macs=macs, size=224, smallest=1, strides=(4, 8, 16, 32), errors=errors, claims=claims,
    )  # fmt: skip


def _one_crop(top1: float, top5: float | None = None, source: str = "torchvision") -> Published:
    return Published(top1=top1, top5=top5, protocol="one crop", source=source)


def _ten_crop(top1: float, top5: float | None = None, *, shortcut: str = "") -> Published:
    return Published(top1=top1, top5=top5, protocol="ten views" + (f", shortcut {shortcut}" if shortcut else ""))


AUTHORS = "authors' file, with the stride in the 1x1"
STRIDE = "the paper counts the form with the stride in the 1x1"  # resnet50_v1 and so on
PLANS = {
    18: make_plan(2, 2, 2, 2),
    34: make_plan(3, 4, 6, 3),
    50: make_plan(3, 4, 6, 3),
    101: make_plan(3, 4, 23, 3),
    152: make_plan(3, 8, 36, 3),
}


@register(
    _facts(11_689_512, 1_814_073_344, _one_crop(30.2), _ten_crop(27.88, shortcut="A"), claims=(Claim("macs", 1.8e9),))
)
def resnet18(**options: Any) -> ResNet:
    """Eight basic blocks."""
    return basic(PLANS[18], **options)


@register(
    _facts(
        21_797_672,
        3_663_761_408,
        _one_crop(26.7),
        _ten_crop(24.52, 7.46),
        _ten_crop(25.03, 7.76, shortcut="A"),
        claims=(Claim("macs", 3.6e9, 1.8, "the paper cuts off after the first decimal"),),
    )
)
def resnet34(**options: Any) -> ResNet:
    """Sixteen basic blocks."""
    return basic(PLANS[34], **options)


@register(
    _facts(
        25_557_032,
        4_089_184_256,
        _one_crop(23.9),
        _one_crop(24.7, 7.8, AUTHORS),
        claims=(Claim("macs", 3.8e9, 7.6, STRIDE),),
    )
)
def resnet50(**options: Any) -> ResNet:
    """Sixteen bottlenecks, with the stride in the 3x3."""
    return bottleneck(PLANS[50], **options)


@register(_facts(44_549_160, 7_801_405_440, _one_crop(22.6), claims=(Claim("macs", 7.6e9, 2.7, STRIDE),)))
def resnet101(**options: Any) -> ResNet:
    """33 bottlenecks, with the stride in the 3x3."""
    return bottleneck(PLANS[101], **options)


@register(_facts(60_192_808, 11_513_626_624, _one_crop(21.7), claims=(Claim("macs", 11.3e9, 1.9, STRIDE),)))
def resnet152(**options: Any) -> ResNet:
    """50 bottlenecks, with the stride in the 3x3."""
    return bottleneck(PLANS[152], **options)


@register(
    _facts(
        25_557_032,
        3_857_973_248,
        _ten_crop(22.85, 6.71),
        _one_crop(24.7, 7.8, "authors' file"),
        claims=(Claim("macs", 3.8e9, 1.5, "the paper cuts off after the first decimal"),),
    )
)
def resnet50_v1(**options: Any) -> ResNet:
    """As published, with the stride in the 1x1."""
    return bottleneck(PLANS[50], **{"stride_in": "1x1", **options})


@register(
    _facts(
        44_549_160,
        7_570_194_432,
        _ten_crop(21.75, 6.05),
        _one_crop(23.6, 7.1, "authors' file"),
        claims=(Claim("macs", 7.6e9),),
    )
)
def resnet101_v1(**options: Any) -> ResNet:
    """As published, with the stride in the 1x1."""
    return bottleneck(PLANS[101], **{"stride_in": "1x1", **options})


@register(
    _facts(
        60_192_808,
        11_282_415_616,
        _ten_crop(21.43, 5.71),
        _one_crop(23.0, 6.7, "authors' file"),
        Published(top5=3.57, protocol="ensemble of six, test set"),
        claims=(Claim("macs", 11.3e9),),
    )
)
def resnet152_v1(**options: Any) -> ResNet:
    """As published, with the stride in the 1x1."""
    return bottleneck(PLANS[152], **{"stride_in": "1x1", **options})


@register(_facts(11_515_688, 1_794_805_760, _ten_crop(27.94), claims=(Claim("macs", 1.8e9),)))
def plain18(**options: Any) -> ResNet:
    """`resnet18` without shortcuts."""
    return basic(PLANS[18], **{"shortcut": "none", **options})


@register(_facts(21_623_848, 3_644_493_824, _ten_crop(28.54), claims=(Claim("macs", 3.6e9),)))
def plain34(**options: Any) -> ResNet:
    """`resnet34` without shortcuts."""
    return basic(PLANS[34], **{"shortcut": "none", **options})
