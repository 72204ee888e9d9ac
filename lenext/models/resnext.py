"""ResNeXt: Xie et al. 2016, https://arxiv.org/abs/1611.05431

resnext50_32x4d at 224 px: stem 64x56x56 | stages 256x56x56, 512x28x28, 1024x14x14, 2048x7x7 | head mean 2048

A bottleneck of many narrow paths whose results are added: more of them gain more than deeper or wider blocks of the
same cost. The paths are one bottleneck whose 3x3 convolution is grouped (figure 3c of the paper).
"""

from __future__ import annotations

from typing import Any

from lenext.models.cifar import cifar_error, cifar_facts
from lenext.models.resnet import PLANS, ResNet, bottleneck, make_plan
from lenext.registry import Claim, Facts, Published, register


def _facts(params: int, macs: int, *errors: Published, claims: tuple[Claim, ...] = ()) -> Facts:
    return Facts(
        paper="1611.05431", year=2016, params=params, macs=macs, size=224, smallest=1, strides=(4, 8, 16, 32),
        errors=errors, claims=claims,
    )  # fmt: skip


def _one_crop(top1: float, top5: float | None = None, source: str = "") -> Published:
    return Published(top1=top1, top5=top5, protocol="one crop", source=source)


@register(_facts(25_028_904, 4_230_479_872, _one_crop(22.2), claims=(Claim("params", 25e6), Claim("macs", 4.2e9))))
def resnext50_32x4d(**options: Any) -> ResNet:
    """`resnet50` with 32 groups of 4 maps in the first stage's 3x3 convolutions."""
    return bottleneck(PLANS[50], groups=32, base=4, **options)


@register(_facts(88_791_336, 16_414_015_488, _one_crop(20.69, 5.47, "torchvision")))
def resnext101_32x8d(**options: Any) -> ResNet:
    """`resnet101` with 32 groups of 8 maps in the first stage's 3x3 convolutions."""
    return bottleneck(PLANS[101], groups=32, base=8, **options)


@register(_facts(83_455_272, 15_460_270_080, _one_crop(20.4, 5.3), claims=(Claim("macs", 15.6e9),)))
def resnext101_64x4d(**options: Any) -> ResNet:
    """`resnet101` with 64 groups of 4 maps in the first stage's 3x3 convolutions."""
    return bottleneck(PLANS[101], groups=64, base=4, **options)


@register(
    cifar_facts(
        34_426_698, 5_387_266_048, cifar_error(3.65), claims=(Claim("params", 34.4e6),), paper="1611.05431", year=2016
    )
)
def resnext29_8x64d_cifar(**options: Any) -> ResNet:
    """29 layers for CIFAR-10: three stages of three blocks, with 8 groups of 64 maps in the first."""
    return bottleneck(make_plan(3, 3, 3, widths=(64, 128, 256)), groups=8, base=64, **{"stem": "3x3", **options})
