"""ResNet-C and ResNet-D: He et al. 2018, https://arxiv.org/abs/1812.01187

resnet50d at 224 px: stem 64x56x56 | stages 256x56x56, 512x28x28, 1024x14x14, 2048x7x7 | head mean 2048, (N, classes)

What a bag of tricks changed in ResNet: C has three 3x3 convolutions of 32, 32 and 64 maps where the stem had one 7x7; D
also takes the mean of 2x2 places in the shortcut, where a strided 1x1 sees one place of four. B, the stride in the 3x3,
is `resnet50` itself. The options `stem`, `shortcut` and `stride_in` of every ResNet give each tweak alone.
"""

from __future__ import annotations

from typing import Any

from lenext.models.resnet import PLANS, ResNet, basic, bottleneck
from lenext.registry import Claim, Facts, Published, register


def _facts(params: int, macs: int, *errors: Published, claims: tuple[Claim, ...] = ()) -> Facts:
    return Facts(
        paper="1812.01187", year=2018, params=params, macs=macs, size=224, smallest=1, strides=(4, 8, 16, 32),
        errors=errors, claims=claims,
    )  # fmt: skip


@register(_facts(11_708_744, 2_053_713_920))
def resnet18c(**options: Any) -> ResNet:
    """`resnet18` with three 3x3 convolutions in the stem."""
    return basic(PLANS[18], **{"stem": "deep", **options})


@register(_facts(21_816_904, 3_903_401_984))
def resnet34c(**options: Any) -> ResNet:
    """`resnet34` with three 3x3 convolutions in the stem."""
    return basic(PLANS[34], **{"stem": "deep", **options})


@register(_facts(25_576_264, 4_328_824_832))
def resnet50c(**options: Any) -> ResNet:
    """`resnet50` with three 3x3 convolutions in the stem."""
    return bottleneck(PLANS[50], **{"stem": "deep", **options})


@register(_facts(44_568_392, 8_041_046_016))
def resnet101c(**options: Any) -> ResNet:
    """`resnet101` with three 3x3 convolutions in the stem."""
    return bottleneck(PLANS[101], **{"stem": "deep", **options})


@register(_facts(60_212_040, 11_753_267_200))
def resnet152c(**options: Any) -> ResNet:
    """`resnet152` with three 3x3 convolutions in the stem."""
    return bottleneck(PLANS[152], **{"stem": "deep", **options})


@register(_facts(11_708_744, 2_053_713_920))
def resnet18d(**options: Any) -> ResNet:
    """`resnet18c` with an average pool in the shortcut."""
    return basic(PLANS[18], **{"stem": "deep", "shortcut": "D", **options})


@register(_facts(21_816_904, 3_903_401_984))
def resnet34d(**options: Any) -> ResNet:
    """`resnet34c` with an average pool in the shortcut."""
    return basic(PLANS[34], **{"stem": "deep", "shortcut": "D", **options})


@register(_facts(25_576_264, 4_328_824_832, Published(top1=22.8, protocol="one crop"), claims=(Claim("macs", 4.3e9),)))
def resnet50d(**options: Any) -> ResNet:
    """`resnet50c` with an average pool in the shortcut."""
    return bottleneck(PLANS[50], **{"stem": "deep", "shortcut": "D", **options})


@register(_facts(44_568_392, 8_041_046_016))
def resnet101d(**options: Any) -> ResNet:
    """`resnet101c` with an average pool in the shortcut."""
    return bottleneck(PLANS[101], **{"stem": "deep", "shortcut": "D", **options})


@register(_facts(60_212_040, 11_753_267_200))
def resnet152d(**options: Any) -> ResNet:
    """`resnet152c` with an average pool in the shortcut."""
    return bottleneck(PLANS[152], **{"stem": "deep", "shortcut": "D", **options})
