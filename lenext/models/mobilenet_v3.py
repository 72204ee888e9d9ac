"""MobileNetV3: Howard et al. 2019, https://arxiv.org/abs/1905.02244

mobilenet_v3_large at 224 px: stem 16x112x112 | stages 16x112x112, 24x56x56, 40x28x28, 112x14x14, 160x7x7
                              | head 960 maps, their mean, 1280, (N, classes)
mobilenet_v3_small at 224 px: stem 16x112x112 | stages 16x56x56, 24x28x28, 48x14x14, 96x7x7
                              | head 576 maps, their mean, 1024, (N, classes)

Inverted residuals whose kernels, widths and places of squeeze and excitation a search found, with a swish made of
straight pieces, and a last stage that mixes after the mean instead of before it.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

from torch import nn

from lenext.models.base import ImageClassifier
from lenext.models.blocks import ConvNorm, InvertedResidual, named, relu
from lenext.models.heads import PoolHead
from lenext.models.initialisation import Init, draw, initialise
from lenext.models.scaling import scale_depth, scale_width
from lenext.registry import Claim, Facts, Published, register

hardswish = partial(nn.Hardswish, inplace=True)


class Row(NamedTuple):
    """A row of the paper's tables 1 and 2: a block, and whether a squeeze is in it and hard swish or ReLU its end."""

    kernel: int
    expanded: int
    maps: int
    squeeze: bool
    swish: bool


class Plan(NamedTuple):
    """The rows of each stage, whether the first stage halves the resolution, and the width of the last layer."""

    stages: tuple[tuple[Row, ...], ...]
    first_halves: bool
    hidden: int


LARGE = Plan(
    (
        (Row(3, 16, 16, False, False),),
        (Row(3, 64, 24, False, False), Row(3, 72, 24, False, False)),
        (Row(5, 72, 40, True, False), Row(5, 120, 40, True, False), Row(5, 120, 40, True, False)),
        (
            Row(3, 240, 80, False, True), Row(3, 200, 80, False, True), Row(3, 184, 80, False, True),
            Row(3, 184, 80, False, True), Row(3, 480, 112, True, True), Row(3, 672, 112, True, True),
        ),
        (Row(5, 672, 160, True, True), Row(5, 960, 160, True, True), Row(5, 960, 160, True, True)),
    ),
    first_halves=False,
    hidden=1280,
)  # fmt: skip
SMALL = Plan(
    (
        (Row(3, 16, 16, True, False),),
        (Row(3, 72, 24, False, False), Row(3, 88, 24, False, False)),
        (
            Row(5, 96, 40, True, True), Row(5, 240, 40, True, True), Row(5, 240, 40, True, True),
            Row(5, 120, 48, True, True), Row(5, 144, 48, True, True),
        ),
        (Row(5, 288, 96, True, True), Row(5, 576, 96, True, True), Row(5, 576, 96, True, True)),
    ),
    first_halves=True,
    hidden=1024,
)  # fmt: skip


class MobileNetV3(ImageClassifier):
    """One convolution, inverted residuals in stages, a 1x1, the mean of each map, two dense layers.

        model = MobileNetV3(plan=LARGE)
        logits = model(torch.zeros(1, 3, 224, 224))    # (1, 1000)

    `depth` repeats the last row of each stage; `norm_eps` is what keeps the norms from dividing by nothing.
    """

    def __init__(
        self,
        *,
        plan: Plan,
        dropout: float = 0.2,
        norm_eps: float = 1e-3,
        depth: float = 1.0,
        width: float = 1.0,
        init: Init = "he",
        classes: int = 1000,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        if norm_eps <= 0:
            raise ValueError(f"norm_eps {norm_eps} cannot be: give a number above 0")
        conv = partial(ConvNorm, norm=partial(nn.BatchNorm2d, eps=norm_eps))
        channels = scale_width(16, width)
        self.stem = conv(in_channels, channels, 3, stride=2, activation=hardswish)
        self.stages = nn.ModuleList()
        for number, rows in enumerate(plan.stages):
            stage = nn.Sequential()
            wanted = scale_depth(len(rows), depth)
            for place, row in enumerate((*rows, *(rows[-1:] * wanted))[:wanted]):
                stride = 2 if place == 0 and (number > 0 or plan.first_halves) else 1
                stage.append(_block(row, channels, stride, width, conv))
                channels = scale_width(row.maps, width)
            self.stages.append(stage)
        last, hidden = 6 * channels, scale_width(plan.hidden, max(1.0, width))
        self.head = PoolHead(
            hidden, classes, dropout=dropout,
            before=conv(channels, last, activation=hardswish),
            after=named(dense=nn.Linear(last, hidden), activation=hardswish()),
        )  # fmt: skip
        initialise(self, init, _normal)


def _block(row: Row, channels: int, stride: int, width: float, conv: partial[ConvNorm]) -> InvertedResidual:
    expanded = scale_width(row.expanded, width)
    return InvertedResidual(
        channels, scale_width(row.maps, width), row.kernel,
        stride=stride, expanded=expanded,
        conv=partial(conv, activation=hardswish if row.swish else relu),
        squeezed=scale_width(expanded, 0.25) if row.squeeze else 0,
        gate=partial(nn.Hardsigmoid, inplace=True),
    )  # fmt: skip


def _normal(model: nn.Module) -> None:
    """The paper does not say; public code draws like He et al. by fan-out, and normal with deviation 0.01."""
    draw(model, lambda weight: nn.init.kaiming_normal_(weight, mode="fan_out"))
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.01)


def _facts(params: int, macs: int, error: float, claims: tuple[Claim, ...], strides: tuple[int, ...]) -> Facts:
    return Facts(
        paper="1905.02244", year=2019, params=params, macs=macs, size=224, smallest=1, strides=strides,
        errors=(Published(top1=error, protocol="one crop"),), claims=claims,
    )  # fmt: skip


@register(
    _facts(
        5_483_032,
        216_589_760,
        24.8,
        (
            Claim("params", 5.4e6, 1.5, "the paper cuts off after the first decimal"),
            Claim("macs", 219e6, -1.1, "not explained: the rows of table 1 give what is here"),
        ),
        (2, 4, 8, 16, 32),
    )
)
def mobilenet_v3_large(**options: Any) -> MobileNetV3:
    """Fifteen blocks."""
    return MobileNetV3(plan=LARGE, **options)


@register(_facts(2_542_856, 56_510_400, 32.6, (Claim("params", 2.5e6), Claim("macs", 56e6)), (4, 8, 16, 32)))
def mobilenet_v3_small(**options: Any) -> MobileNetV3:
    """Eleven blocks."""
    return MobileNetV3(plan=SMALL, **options)
