"""What the networks for CIFAR-10 have in common: images of 32 px, ten classes, three stages, one protocol."""

from __future__ import annotations

from typing import Any

from lenext.registry import Claim, Facts, Published


def cifar_facts(params: int, macs: int, *errors: Published, claims: tuple[Claim, ...] = (), **more: Any) -> Facts:
    """Return facts of a network for CIFAR-10's images whose three stages halve 32 px twice."""
    return Facts(
        **{"smallest": 1, **more},
        params=params, macs=macs, size=32, strides=(1, 2, 4), classes=10, errors=errors, claims=claims,
    )  # fmt: skip


def cifar_error(top1: float) -> Published:
    """Return an error on CIFAR-10's test split, of images padded by 4, cropped and mirrored in training."""
    return Published(top1=top1, protocol="with augmentation", dataset="CIFAR-10")
