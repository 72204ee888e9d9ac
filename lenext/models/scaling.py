"""Making a network deeper, wider and its images larger, all at once.

Tan and Le 2019, https://arxiv.org/abs/1905.11946: a network that may cost 2^phi times as much does best when it grows
in all three by constant factors.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from lenext.errors import UserError
from lenext.registry import lookup

LARGEST_FACTOR = 64.0  # more is a slip of the finger
MOST_BLOCKS = 4096  # of a stage


@dataclass(frozen=True)
class Compound:
    """By how much a network grows: `depth` in blocks, `width` in maps, `resolution` in the side of its images."""

    depth: float
    width: float
    resolution: float

    def size(self, side: int) -> int:
        """Return the side of the images, in pixels, of a network that is made for `side`."""
        return round(side * self.resolution)

    def options(self, name: str) -> dict[str, Any]:
        """Return what makes `lenext.create`, `profile` or `describe` build the model `name` at this scale.

        Raises:
            UserError: no such model.
        """
        facts = lookup(name).facts
        return {"depth": self.depth, "width": self.width, "size": max(self.size(facts.size), facts.smallest)}


def compound(phi: float, alpha: float = 1.2, beta: float = 1.1, gamma: float = 1.15) -> Compound:
    """Return how a network grows to cost about (alpha beta^2 gamma^2)^phi times as much; alpha etc. double it.

        scale = lenext.compound(1)
        model = lenext.create("resnet50", **scale.options("resnet50"))

    Depth grows by alpha^phi, width by beta^phi, the side of the images by gamma^phi; below zero they shrink. Every
    family whose stages repeat one block takes `depth` and `width`; Inception-v4 and Inception-ResNet, whose branches
    have widths of their own, take `depth`.

    Raises:
        UserError: a number that is not finite, a base that is not above zero, or a scale beyond any use.
    """
    for name, value in {"phi": phi, "alpha": alpha, "beta": beta, "gamma": gamma}.items():
        number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < math.inf
        if not number or (name != "phi" and value <= 0):
            raise UserError(f"{name} {value!r} cannot be: give a number{'' if name == 'phi' else ' above 0'}")
    factors = tuple(_power(base, phi) for base in (alpha, beta, gamma))
    if not all(1 / LARGEST_FACTOR <= factor <= LARGEST_FACTOR for factor in factors):
        raise UserError(f"phi {phi} is beyond {LARGEST_FACTOR:g} times as deep, wide or large; give one nearer to 0")
    return Compound(*factors)


def _power(base: float, exponent: float) -> float:
    try:
        return math.pow(base, exponent)
    except OverflowError:
        return math.inf


def scale_depth(blocks: int, depth: float) -> int:
    """Return how many blocks a stage of `blocks` has at `depth`, rounded up.

    Raises:
        UserError: `depth` is not above zero, or beyond any use.
    """
    scaled = math.ceil(_factor("depth", depth) * blocks)
    if scaled > MOST_BLOCKS:
        raise UserError(f"depth {depth:g} makes {scaled:,} blocks of {blocks:,} in a stage, more than {MOST_BLOCKS:,}")
    return scaled


def scale_width(channels: int, width: float, *, divisor: int = 8) -> int:
    """Return how many maps a layer of `channels` has at `width`: a multiple of `divisor`, less by a tenth at most.

    Raises:
        UserError: `width` is not above zero, or beyond any use.
    """
    if _factor("width", width) == 1:
        return channels
    wanted = channels * width
    rounded = max(divisor, int(wanted + divisor / 2) // divisor * divisor)
    return rounded if rounded >= 0.9 * wanted else rounded + divisor


def _factor(name: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= LARGEST_FACTOR:
        raise UserError(f"{name} {value!r} cannot be: give a factor above 0, up to {LARGEST_FACTOR:g}")
    return value
