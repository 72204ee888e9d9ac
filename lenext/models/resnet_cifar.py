"""ResNet for CIFAR-10: He et al. 2015, https://arxiv.org/abs/1512.03385, section 4.2

resnet20_cifar at 32 px: stem 16x32x32 | stages 16x32x32, 32x16x16, 64x8x8 | head mean 64, (N, classes)

6n + 2 layers with weights: one 3x3, three stages of n basic blocks, one dense layer. Shortcuts are free of parameters
(option A), so that a residual net has exactly the parameters of the `plain` net of its depth, and the two show what
depth does to each: the deeper plain net trains worse, the deeper residual net better.
"""

from __future__ import annotations

from typing import Any

from lenext.models.cifar import cifar_error, cifar_facts
from lenext.models.resnet import Plan, ResNet, basic, make_plan
from lenext.registry import Claim, register

PAPER: dict[str, Any] = {"paper": "1512.03385", "year": 2015}


def _plan(layers: int) -> Plan:
    """Return the plan of a net of 6n + 2 layers: n blocks in each of three stages."""
    blocks = (layers - 2) // 6
    return make_plan(blocks, blocks, blocks, widths=(16, 32, 64))


def _residual(layers: int, options: dict[str, Any]) -> ResNet:
    return basic(_plan(layers), **{"stem": "3x3", "shortcut": "A", **options})


def _plain(layers: int, options: dict[str, Any]) -> ResNet:
    return basic(_plan(layers), **{"stem": "3x3", "shortcut": "none", **options})


@register(cifar_facts(269_722, 40_551_040, cifar_error(8.75), claims=(Claim("params", 0.27e6),), **PAPER))
def resnet20_cifar(**options: Any) -> ResNet:
    """Three blocks a stage."""
    return _residual(20, options)


@register(cifar_facts(464_154, 68_862_592, cifar_error(7.51), claims=(Claim("params", 0.46e6),), **PAPER))
def resnet32_cifar(**options: Any) -> ResNet:
    """Five blocks a stage."""
    return _residual(32, options)


@register(cifar_facts(658_586, 97_174_144, cifar_error(7.17), claims=(Claim("params", 0.66e6),), **PAPER))
def resnet44_cifar(**options: Any) -> ResNet:
    """Seven blocks a stage."""
    return _residual(44, options)


@register(cifar_facts(853_018, 125_485_696, cifar_error(6.97), claims=(Claim("params", 0.85e6),), **PAPER))
def resnet56_cifar(**options: Any) -> ResNet:
    """Nine blocks a stage."""
    return _residual(56, options)


@register(cifar_facts(1_727_962, 252_887_680, cifar_error(6.43), claims=(Claim("params", 1.7e6),), **PAPER))
def resnet110_cifar(**options: Any) -> ResNet:
    """Eighteen blocks a stage."""
    return _residual(110, options)


@register(cifar_facts(19_421_274, 2_829_238_912, cifar_error(7.93), claims=(Claim("params", 19.4e6),), **PAPER))
def resnet1202_cifar(**options: Any) -> ResNet:
    """Two hundred blocks a stage."""
    return _residual(1202, options)


@register(cifar_facts(269_722, 40_551_040, **PAPER))
def plain20_cifar(**options: Any) -> ResNet:
    """`resnet20_cifar` without shortcuts."""
    return _plain(20, options)


@register(cifar_facts(464_154, 68_862_592, **PAPER))
def plain32_cifar(**options: Any) -> ResNet:
    """`resnet32_cifar` without shortcuts."""
    return _plain(32, options)


@register(cifar_facts(658_586, 97_174_144, **PAPER))
def plain44_cifar(**options: Any) -> ResNet:
    """`resnet44_cifar` without shortcuts."""
    return _plain(44, options)


@register(cifar_facts(853_018, 125_485_696, **PAPER))
def plain56_cifar(**options: Any) -> ResNet:
    """`resnet56_cifar` without shortcuts."""
    return _plain(56, options)
