"""Pre-activation ResNet: He et al. 2016, https://arxiv.org/abs/1603.05027

preresnet50 at 224 px:      stem 64x56x56 | stages 256x56x56, 512x28x28, 1024x14x14, 2048x7x7 | head norm, mean 2048
preresnet164_cifar at 32 px: stem 16x32x32 | stages 64x32x32, 128x16x16, 256x8x8              | head norm, mean 256

Norm and ReLU come before each convolution instead of after it, so that from the first block to the last nothing but
additions lies on the shortcut, and a thousand layers train. `preresnet50` has its stride in the 3x3, as others' weights
do, the CIFAR nets in the first 1x1, as the authors' code.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

from torch import Tensor, nn

from lenext.errors import UserError
from lenext.models.base import ImageClassifier
from lenext.models.blocks import PreConv, make_stem, named, plain_conv, relu
from lenext.models.cifar import cifar_error, cifar_facts
from lenext.models.heads import PoolHead
from lenext.models.initialisation import Init, initialise
from lenext.models.resnet import PLANS, PaddedIdentity, Plan, make_plan
from lenext.models.scaling import scale_depth, scale_width
from lenext.registry import Claim, Facts, Published, register


class PreBlock(nn.Module):
    """A residual block whose convolutions follow norm and ReLU: (N, C, H, W) -> (N, C_out, H/s, W/s).

    `first` and `then` are its convolutions. Where the shape changes, shortcut B projects what norm and ReLU made of
    the input, and shortcut A carries the input itself on, with zero maps; elsewhere the input goes on as it is.
    """

    def __init__(self, first: nn.Conv2d, then: list[PreConv], stride: int, shortcut: Literal["A", "B"]) -> None:
        super().__init__()
        if shortcut not in ("A", "B"):
            raise UserError(f"shortcut {shortcut!r} is not known here; give A or B")
        in_channels, out_channels = first.in_channels, then[-1].conv.out_channels
        self.norm = nn.BatchNorm2d(in_channels)
        self.activation = relu()
        self.branch = named(conv1=first, **{f"conv{number}": conv for number, conv in enumerate(then, 2)})
        changes = stride != 1 or in_channels != out_channels
        self.projects = changes and (shortcut == "B" or in_channels > out_channels)
        if self.projects:
            self.shortcut: nn.Module = plain_conv(in_channels, out_channels, stride=stride)
        elif changes:
            self.shortcut = PaddedIdentity(in_channels, out_channels, stride)
        else:
            self.shortcut = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C_out, H/s, W/s)"""
        activated = self.activation(self.norm(x))
        past = self.shortcut(activated if self.projects else x)
        return self.branch(activated) + past  # type: ignore[no-any-return]


Block = Callable[[int, int, int], PreBlock]  # from the maps that enter, the maps that leave and the stride


START = {"7x7": 64, "3x3": 16}  # the maps of each stem


class PreResNet(ImageClassifier):
    """A stem that only convolves, stages of pre-activation blocks, norm, ReLU, the mean of each map, one dense layer.

        model = PreResNet(block=basic_block, plan=((64, 2), (128, 2), (256, 2), (512, 2)))
        logits = model(torch.zeros(1, 3, 224, 224))    # (1, 1000)

    `plan` holds the maps that leave the blocks of each stage, and how many blocks. The stem has 64 maps, and 16 where
    it is a `3x3` for images of 32 px.
    """

    def __init__(
        self,
        *,
        block: Block,
        plan: Plan,
        stem: Literal["7x7", "3x3"] = "7x7",
        depth: float = 1.0,
        width: float = 1.0,
        init: Init = "he",
        classes: int = 1000,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        if stem not in START:
            raise UserError(f"stem {stem!r} is not known here; give {' or '.join(START)}")
        channels = scale_width(START[stem], width)
        self.stem = make_stem(stem, in_channels, channels, plain_conv)
        self.stages = nn.ModuleList()
        for number, (maps, blocks) in enumerate(plan):
            stage = nn.Sequential()
            for place in range(scale_depth(blocks, depth)):
                stride = 2 if number > 0 and place == 0 else 1
                stage.append(block(channels, scale_width(maps, width), stride))
                channels = scale_width(maps, width)
            self.stages.append(stage)
        before = named(norm=nn.BatchNorm2d(channels), activation=relu())
        self.head = PoolHead(channels, classes, before=before)
        initialise(self, init)


def basic_block(
    in_channels: int, out_channels: int, stride: int, *, shortcut: Literal["A", "B"] = "B", dropout: float = 0.0
) -> PreBlock:
    """Return a block of two 3x3 convolutions, with dropout between them as in Wide ResNet."""
    first = plain_conv(in_channels, out_channels, 3, stride=stride)
    second = PreConv(plain_conv(out_channels, out_channels, 3), dropout=dropout)
    return PreBlock(first, [second], stride, shortcut)


def bottleneck_block(
    in_channels: int,
    out_channels: int,
    stride: int,
    *,
    shortcut: Literal["A", "B"] = "B",
    stride_in: Literal["1x1", "3x3"] = "3x3",
) -> PreBlock:
    """Return a block of 1x1, 3x3 and 1x1, a quarter as wide inside; `stride_in` halves the resolution."""
    if stride_in not in ("1x1", "3x3"):
        raise UserError(f"stride_in {stride_in!r} is not known; give 1x1 or 3x3")
    inner = max(1, out_channels // 4)
    at_first, at_second = (stride, 1) if stride_in == "1x1" else (1, stride)
    first = plain_conv(in_channels, inner, stride=at_first)
    second = PreConv(plain_conv(inner, inner, 3, stride=at_second))
    return PreBlock(first, [second, PreConv(plain_conv(inner, out_channels))], stride, shortcut)


def pre_basic(plan: Plan, *, shortcut: Literal["A", "B"] = "B", dropout: float = 0.0, **options: Any) -> PreResNet:
    """Return a net of basic blocks."""
    return PreResNet(block=partial(basic_block, shortcut=shortcut, dropout=dropout), plan=plan, **options)


def pre_bottleneck(
    plan: Plan, *, shortcut: Literal["A", "B"] = "B", stride_in: Literal["1x1", "3x3"] = "3x3", **options: Any
) -> PreResNet:
    """Return a net of bottleneck blocks four times as wide as `plan` says."""
    wide = tuple((4 * maps, blocks) for maps, blocks in plan)
    return PreResNet(block=partial(bottleneck_block, shortcut=shortcut, stride_in=stride_in), plan=wide, **options)


def _cifar(layers: int, options: dict[str, Any]) -> PreResNet:
    """Return a net of 9n + 2 layers: n bottlenecks in each of three stages."""
    blocks = (layers - 2) // 9
    plan = make_plan(blocks, blocks, blocks, widths=(16, 32, 64))
    return pre_bottleneck(plan, **{"stem": "3x3", "stride_in": "1x1", **options})


def _facts(params: int, macs: int, *errors: Published, claims: tuple[Claim, ...] = ()) -> Facts:
    return Facts(
        paper="1603.05027", year=2016, params=params, macs=macs, size=224, smallest=1, strides=(4, 8, 16, 32),
        errors=errors, claims=claims,
    )  # fmt: skip


@register(_facts(11_687_720, 1_814_073_344))
def preresnet18(**options: Any) -> PreResNet:
    """Eight basic blocks."""
    return pre_basic(PLANS[18], **options)


@register(_facts(21_795_880, 3_663_761_408))
def preresnet34(**options: Any) -> PreResNet:
    """Sixteen basic blocks."""
    return pre_basic(PLANS[34], **options)


@register(_facts(25_549_352, 4_089_184_256))
def preresnet50(**options: Any) -> PreResNet:
    """Sixteen bottlenecks."""
    return pre_bottleneck(PLANS[50], **options)


@register(_facts(44_541_480, 7_801_405_440))
def preresnet101(**options: Any) -> PreResNet:
    """33 bottlenecks."""
    return pre_bottleneck(PLANS[101], **options)


@register(_facts(60_185_128, 11_513_626_624, Published(top1=21.1, top5=5.5, protocol="one crop of 320")))
def preresnet152(**options: Any) -> PreResNet:
    """50 bottlenecks."""
    return pre_bottleneck(PLANS[152], **options)


@register(_facts(64_666_152, 15_007_481_856, Published(top1=20.7, top5=5.3, protocol="one crop of 320")))
def preresnet200(**options: Any) -> PreResNet:
    """66 bottlenecks."""
    return pre_bottleneck(make_plan(3, 24, 36, 3), **options)


def _cifar_facts(params: int, macs: int, error: float, *claim: Any) -> Facts:
    claims = (Claim("params", *claim),)
    return cifar_facts(params, macs, cifar_error(error), claims=claims, paper="1603.05027", year=2016)


@register(_cifar_facts(1_730_522, 253_149_824, 6.37, 1.7e6))
def preresnet110_cifar(**options: Any) -> PreResNet:
    """54 basic blocks."""
    plan = make_plan(18, 18, 18, widths=(16, 32, 64))
    return pre_basic(plan, **{"stem": "3x3", **options})


@register(_cifar_facts(1_703_258, 244_500_992, 5.46, 1.7e6))
def preresnet164_cifar(**options: Any) -> PreResNet:
    """54 bottlenecks."""
    return _cifar(164, options)


@register(
    _cifar_facts(
        10_327_706, 1_487_849_984, 4.92, 10.2e6, 1.3, "the paper's figure is that without projections, 10.29 M"
    )
)
def preresnet1001_cifar(**options: Any) -> PreResNet:
    """333 bottlenecks."""
    return _cifar(1001, options)
