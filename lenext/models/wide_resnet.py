"""Wide ResNet: Zagoruyko and Komodakis 2016, https://arxiv.org/abs/1605.07146

wide_resnet50_2 at 224 px: stem 64x56x56 | stages 256x56x56, 512x28x28, 1024x14x14, 2048x7x7 | head mean 2048
wrn28_10_cifar at 32 px:   stem 16x32x32 | stages 160x32x32, 320x16x16, 640x8x8              | head mean 640

Wider blocks in place of more of them: sixteen layers do what a thousand thin ones do, in an eighth of the time. The
CIFAR nets are pre-activation ResNets of basic blocks, which may drop out between their two convolutions; 50-2 and 101-2
are ResNets whose bottlenecks are twice as wide inside.
"""

from __future__ import annotations

from typing import Any

from lenext.models.cifar import cifar_error, cifar_facts
from lenext.models.preresnet import PreResNet, pre_basic
from lenext.models.resnet import PLANS, ResNet, bottleneck, make_plan
from lenext.registry import Claim, Facts, Published, register


def _facts(params: int, macs: int, *errors: Published, claims: tuple[Claim, ...] = ()) -> Facts:
    return Facts(
        paper="1605.07146", year=2016, params=params, macs=macs, size=224, smallest=1, strides=(4, 8, 16, 32),
        errors=errors, claims=claims,
    )  # fmt: skip


def _cifar(layers: int, factor: int, options: dict[str, Any]) -> PreResNet:
    """Return a net of 6n + 4 layers whose blocks are `factor` times as wide as those of a CIFAR ResNet."""
    blocks = (layers - 4) // 6
    widths = (16 * factor, 32 * factor, 64 * factor)
    return pre_basic(make_plan(blocks, blocks, blocks, widths=widths), **{"stem": "3x3", **options})


@register(
    _facts(
        68_883_240, 11_398_021_120, Published(top1=21.9, top5=6.03, protocol="one crop"),
        claims=(Claim("params", 68.9e6),),
    )
)  # fmt: skip
def wide_resnet50_2(**options: Any) -> ResNet:
    """`resnet50` with twice as many maps in the 3x3 convolutions."""
    return bottleneck(PLANS[50], base=128, **options)


@register(
    _facts(126_886_696, 22_753_050_624, Published(top1=21.16, top5=5.72, protocol="one crop", source="torchvision"))
)
def wide_resnet101_2(**options: Any) -> ResNet:
    """`resnet101` with twice as many maps in the 3x3 convolutions."""
    return bottleneck(PLANS[101], base=128, **options)


@register(
    cifar_facts(
        8_949_210, 1_298_582_016, cifar_error(4.53), claims=(Claim("params", 8.9e6),), paper="1605.07146", year=2016
    )
)
def wrn40_4_cifar(**options: Any) -> PreResNet:
    """WRN-40-4: 40 layers, 4 times as wide."""
    return _cifar(40, 4, options)


@register(
    cifar_facts(
        10_961_370, 1_548_145_664, cifar_error(4.27), claims=(Claim("params", 11.0e6),), paper="1605.07146", year=2016
    )
)
def wrn16_8_cifar(**options: Any) -> PreResNet:
    """WRN-16-8: 16 layers, 8 times as wide."""
    return _cifar(16, 8, options)


@register(
    cifar_facts(
        36_479_194, 5_243_328_768, cifar_error(4.0), claims=(Claim("params", 36.5e6),), paper="1605.07146", year=2016
    )
)
def wrn28_10_cifar(**options: Any) -> PreResNet:
    """WRN-28-10: 28 layers, 10 times as wide."""
    return _cifar(28, 10, options)
