"""EfficientNet: Tan and Le 2019, https://arxiv.org/abs/1905.11946

efficientnet_b0 at 224 px: stem 32x112x112 | stages 16x112x112, 24x56x56, 40x28x28, 112x14x14, 320x7x7
                           | head 1280 maps, their mean, (N, classes)

A small network that a search found, and a rule to enlarge it: deeper, wider and larger images all at once. B1 to B7 are
built from the published table of factors; `lenext.compound` is the rule itself, for any family.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

from torch import Tensor, nn

from lenext.models.base import ImageClassifier
from lenext.models.blocks import ConvNorm, InvertedResidual
from lenext.models.heads import PoolHead
from lenext.models.initialisation import Init, draw, initialise
from lenext.models.scaling import scale_depth, scale_width
from lenext.registry import Claim, Facts, Published, register

swish = partial(nn.SiLU, inplace=True)


class Row(NamedTuple):
    """A row of the paper's table 1: so many blocks of one kernel, expansion and width."""

    kernel: int
    expansion: int
    maps: int
    blocks: int


# The rows of each stage, where a stage is one resolution; its first block halves it, but for the first stage.
PLAN = (
    (Row(3, 1, 16, 1),),
    (Row(3, 6, 24, 2),),
    (Row(5, 6, 40, 2),),
    (Row(3, 6, 80, 3), Row(5, 6, 112, 3)),
    (Row(5, 6, 192, 4), Row(3, 6, 320, 1)),
)


class EfficientNet(ImageClassifier):
    """One convolution, inverted residuals with squeeze and excitation, a 1x1, the mean of each map, one dense layer.

        model = EfficientNet()    # B0
        logits = model(torch.zeros(1, 3, 224, 224))    # (1, 1000)

    `stochastic_depth` is the rate at which the last block would be dropped; it rises from zero at the first.
    `norm_eps` is what keeps the norms from dividing by nothing: the paper's code has 1e-3, the public weights for
    PyTorch 1e-5 up to B4.
    """

    def __init__(
        self,
        *,
        dropout: float = 0.2,
        stochastic_depth: float = 0.2,
        norm_eps: float = 1e-5,
        depth: float = 1.0,
        width: float = 1.0,
        init: Init = "he",
        classes: int = 1000,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        if norm_eps <= 0:
            raise ValueError(f"norm_eps {norm_eps} cannot be: give a number above 0")
        conv = partial(ConvNorm, norm=partial(nn.BatchNorm2d, eps=norm_eps), activation=swish)
        channels = scale_width(32, width)
        self.stem = conv(in_channels, channels, 3, stride=2)
        self.stages = nn.ModuleList()
        total = sum(scale_depth(row.blocks, depth) for rows in PLAN for row in rows)
        built = 0
        for number, rows in enumerate(PLAN):
            stage = nn.Sequential()
            for row in rows:
                maps = scale_width(row.maps, width)
                for _ in range(scale_depth(row.blocks, depth)):
                    stride = 2 if number > 0 and len(stage) == 0 else 1
                    rate = stochastic_depth * built / total
                    stage.append(_block(row, channels, maps, stride, conv, rate))
                    channels, built = maps, built + 1
            self.stages.append(stage)
        last = scale_width(1280, width)
        self.head = PoolHead(last, classes, dropout=dropout, before=conv(channels, last))
        initialise(self, init, _by_fan_out)


def _block(row: Row, channels: int, maps: int, stride: int, conv: partial[ConvNorm], rate: float) -> InvertedResidual:
    return InvertedResidual(
        channels, maps, row.kernel, stride=stride, expanded=row.expansion * channels, conv=conv,
        squeezed=max(1, channels // 4), squeeze_activation=swish, drop=rate,
    )  # fmt: skip


def _by_fan_out(model: nn.Module) -> None:
    """The authors' code: normal with variance 2 / fan-out; uniform up to 1 / sqrt(classes) in the dense layer."""

    def draw_(weight: Tensor) -> object:
        if weight.ndim == 2:
            bound = len(weight) ** -0.5
            return nn.init.uniform_(weight, -bound, bound)
        return nn.init.kaiming_normal_(weight, mode="fan_out")

    draw(model, draw_)


def _facts(params: int, macs: int, size: int, error: float, claims: tuple[float, float], *gap: Any) -> Facts:
    return Facts(
        paper="1905.11946", year=2019, params=params, macs=macs, size=size, smallest=1, strides=(2, 4, 8, 16, 32),
        errors=(Published(top1=error, protocol="one crop"),),
        claims=(Claim("params", claims[0]), Claim("macs", claims[1], *gap)),
    )  # fmt: skip


COUNTED = "not explained: torchvision's count is what is here"


@register(_facts(5_288_548, 385_814_752, 224, 23.7, (5.3e6, 0.39e9)))
def efficientnet_b0(**options: Any) -> EfficientNet:
    """The network that the search found."""
    return EfficientNet(**options)


@register(_facts(7_794_184, 686_802_832, 240, 21.2, (7.8e6, 0.7e9)))
def efficientnet_b1(*, depth: float = 1.0, width: float = 1.0, **options: Any) -> EfficientNet:
    """1.1 times as deep and 1 times as wide as B0."""
    return EfficientNet(depth=1.1 * depth, width=width, **{"dropout": 0.2, **options})


@register(
    _facts(
        9_109_994,
        1_087_529_456,
        288,
        20.2,
        (9.2e6, 1e9),
        8.8,
        "the public weights take 288 px; at the paper's 260 it is 0.994 G",
    )
)
def efficientnet_b2(*, depth: float = 1.0, width: float = 1.0, **options: Any) -> EfficientNet:
    """1.2 times as deep and 1.1 times as wide as B0."""
    return EfficientNet(depth=1.2 * depth, width=1.1 * width, **{"dropout": 0.3, **options})


@register(_facts(12_233_232, 1_827_141_392, 300, 18.9, (12e6, 1.8e9)))
def efficientnet_b3(*, depth: float = 1.0, width: float = 1.0, **options: Any) -> EfficientNet:
    """1.4 times as deep and 1.2 times as wide as B0."""
    return EfficientNet(depth=1.4 * depth, width=1.2 * width, **{"dropout": 0.3, **options})


@register(_facts(19_341_616, 4_393_771_024, 380, 17.4, (19e6, 4.2e9), 4.6, COUNTED))
def efficientnet_b4(*, depth: float = 1.0, width: float = 1.0, **options: Any) -> EfficientNet:
    """1.8 times as deep and 1.4 times as wide as B0."""
    return EfficientNet(depth=1.8 * depth, width=1.4 * width, **{"dropout": 0.4, **options})


@register(_facts(30_389_784, 10_266_384_752, 456, 16.7, (30e6, 9.9e9), 3.7, COUNTED))
def efficientnet_b5(*, depth: float = 1.0, width: float = 1.0, **options: Any) -> EfficientNet:
    """2.2 times as deep and 1.6 times as wide as B0."""
    return EfficientNet(depth=2.2 * depth, width=1.6 * width, **{"dropout": 0.4, "norm_eps": 1e-3, **options})


@register(_facts(43_040_704, 19_067_593_536, 528, 16.0, (43e6, 19e9)))
def efficientnet_b6(*, depth: float = 1.0, width: float = 1.0, **options: Any) -> EfficientNet:
    """2.6 times as deep and 1.8 times as wide as B0."""
    return EfficientNet(depth=2.6 * depth, width=1.8 * width, **{"dropout": 0.5, "norm_eps": 1e-3, **options})


@register(_facts(66_347_960, 37_745_884_192, 600, 15.6, (66e6, 37e9), 2.0, COUNTED))
def efficientnet_b7(*, depth: float = 1.0, width: float = 1.0, **options: Any) -> EfficientNet:
    """3.1 times as deep and 2 times as wide as B0."""
    return EfficientNet(depth=3.1 * depth, width=2.0 * width, **{"dropout": 0.5, "norm_eps": 1e-3, **options})
