"""Where the labels of a chart stand: beside their dots, over nothing else, the same in every run.

Lengths are in points, from the lower left corner of a panel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
CLASH = 1e6  # the cost of a label over a dot or another label
SHAKES = 200  # how often labels are shaken, in the hope that they settle better


def place_labels(room: Floats, dots: Floats, radii: Floats, sizes: Floats) -> tuple[Floats, int]:
    """Return the lower left corner of each label, and how many clashes with dots and labels remain.

    `room` is the width and height of the panel; `dots` (labels, 2) and `radii` are discs that labels had better not
    cover, `sizes` (labels, 2) their widths and heights. Labels move to cheaper places until none gains by it; then a
    few neighbours are shaken, again and again, and what settles better stays.
    """
    places = _Places.around(room, dots, radii, sizes)
    labels, generator = np.arange(len(dots)), np.random.default_rng(0)
    chosen, cost = places.cost.argmin(1), places.cost.copy()
    for label in range(len(dots)):
        cost += places.beside(label, chosen[label])
    places.settle(chosen, cost)
    for _ in range(SHAKES):
        paid = np.maximum(cost[labels, chosen], 1e-3)
        middle = dots[generator.choice(labels, p=paid / paid.sum())]
        other, other_cost = chosen.copy(), cost.copy()
        for label in np.argsort(np.linalg.norm(dots - middle, axis=1), kind="stable")[:4]:
            places.move(other, other_cost, int(label), int(generator.integers(places.cost.shape[1])))
        places.settle(other, other_cost)
        if other_cost[labels, other].sum() < cost[labels, chosen].sum() - 1e-6:
            chosen, cost = other, other_cost
    return places.boxes[labels, chosen, :2], int(cost[labels, chosen].sum() // CLASH)


def leads(dots: Floats, radii: Floats, corners: Floats, sizes: Floats) -> list[Floats | None]:
    """Return, from each dot, the way to its label that a line shall show; None where none is needed."""
    found: list[Floats | None] = []
    for dot, radius, corner, size in zip(dots, radii, corners, sizes, strict=True):
        reaches = np.linalg.norm(np.clip(dots, corner, corner + size) - dots, axis=1)
        tip = np.clip(dot, corner, corner + size) - dot
        reach = float(np.linalg.norm(tip))
        # A label that touches the disc of its dot, and is nearer to that dot than to any other, needs no line.
        shown = reach > 8 and (reach > radius + 5 or (reaches < reach + 8).sum() > 1)
        found.append(tip if shown else None)
    return found


@dataclass(frozen=True)
class _Places:
    """Where each label could stand: around its dot, near and far, and what that costs it."""

    dots: Floats  # (labels, 1, 2)
    boxes: Floats  # (labels, places, 4): left, bottom, right, top
    tips: Floats  # (labels, places, 2): where a line from the dot meets the box
    spans: Floats  # (labels, 4): what a label and its line can touch at all
    cost: Floats  # (labels, places): without regard to the other labels

    @classmethod
    def around(cls, room: Floats, dots: Floats, radii: Floats, sizes: Floats) -> _Places:
        """Return the places inside a panel of size `room`."""
        reaches = np.concatenate([[0, 1, 4, 10], 18 * 1.35 ** np.arange(8)])
        gaps = np.maximum(4, np.where(reaches > 0, radii[:, None] + reaches, 0))
        angles = np.arange(24) * np.pi / 12
        ways = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        half, dot = sizes[:, None] / 2, dots[:, None]
        middle = (gaps[:, :, None, None] * ways).reshape(len(dots), -1, 2) + dot
        middle += half * np.tile(np.clip(1.4 * ways, -1, 1), (len(reaches), 1))
        inside = np.clip(middle, half + 2, np.maximum(room - half - 2, half + 2))
        boxes = np.concatenate([inside - half, inside + half], axis=2)
        tips = np.clip(dot, boxes[..., :2], boxes[..., 2:])
        cost = _own_cost(dots, radii, boxes, tips)
        cost += 0.3 * np.linalg.norm(inside - middle, axis=2) - 0.4 * np.tile(ways[:, 0], len(reaches))
        kept = np.argsort(cost, axis=1, kind="stable")[:, :140]
        boxes, tips = (np.take_along_axis(of, kept[:, :, None], axis=1) for of in (boxes, tips))
        low, high = np.minimum(dots, boxes[..., :2].min(1)), np.maximum(dots, boxes[..., 2:].max(1))
        return cls(dot, boxes, tips, np.concatenate([low, high], axis=1), np.take_along_axis(cost, kept, axis=1))

    def settle(self, chosen: Any, cost: Floats) -> None:
        """Move labels, the one that gains most first, until none gains."""
        labels = np.arange(len(chosen))
        while (gain := cost[labels, chosen] - cost.min(1)).max() > 1e-6:
            label = int(gain.argmax())
            self.move(chosen, cost, label, int(cost[label].argmin()))

    def move(self, chosen: Any, cost: Floats, label: int, place: int) -> None:
        """Move one label, which changes what the places of the others cost."""
        cost += self.beside(label, place) - self.beside(label, chosen[label])
        chosen[label] = place

    def beside(self, label: int, place: int) -> Floats:
        """Return what each place of the other labels costs more, once `label` has taken `place`."""
        dot, box, tip = self.dots[label, 0], self.boxes[label, place], self.tips[label, place]
        span = np.concatenate([np.minimum(dot, box[:2]), np.maximum(dot, box[2:])])
        near = _apart(span, self.spans) < 0
        near[label] = False
        dots, boxes, tips = self.dots[near], self.boxes[near], self.tips[near]
        struck = _strikes(dot, tip, boxes) | _strikes(dots, tips, box)
        cost = np.zeros(self.cost.shape)
        cost[near] = CLASH * (_apart(box, boxes) < 0) + 100 * struck + 60 * _cross(dot, tip, dots, tips)
        return cost


def _own_cost(dots: Floats, radii: Floats, boxes: Floats, tips: Floats) -> Floats:
    """Return what each place costs a label: for covered dots and discs, and for a long line, or one past others."""
    reach = np.linalg.norm(tips - dots[:, None], axis=2)
    lines = dots[:, None, None] + (tips - dots[:, None])[:, :, None] * np.linspace(0, 1, 9)[:, None]
    low, size = boxes[..., None, :2], (boxes[..., 2:] - boxes[..., :2])[..., None, :]
    spots = low + size * np.array([(x, y) for x in np.linspace(0, 1, 7) for y in (0, 0.5, 1)])
    cost: Floats = 0.2 * reach + 0.004 * reach**2
    for label, (dot, radius) in enumerate(zip(dots, radii, strict=True)):
        near = np.linalg.norm(np.clip(dot, boxes[..., :2], boxes[..., 2:]) - dot, axis=2)
        past = np.linalg.norm(lines - dot, axis=3)
        other = 60 * (past.min(2) < 3) + 15 * (past < radius).mean(2) + 4 * (near < reach + 1)
        other[label] = 0
        cost += other + CLASH * (near < 3.5) + 60 * (np.linalg.norm(spots - dot, axis=3) < radius).mean(2)
    return cost


def _apart(box: Floats, boxes: Floats) -> Floats:
    """Return how far boxes are from another, across or upwards; below zero where they overlap."""
    apart: Floats = np.maximum(*np.moveaxis(np.maximum(box[:2] - boxes[..., 2:], boxes[..., :2] - box[2:]), -1, 0))
    return apart


def _strikes(start: Floats, end: Floats, boxes: Floats) -> Any:
    """Return whether the line from `start` enters a box, but for the last bit before its own label."""
    way = np.where(np.abs(end - start) < 1e-6, 1e-6, end - start)
    one, two = (boxes[..., :2] - start) / way, (boxes[..., 2:] - start) / way
    enters = np.maximum(*np.moveaxis(np.minimum(one, two), -1, 0))
    leaves = np.minimum(*np.moveaxis(np.maximum(one, two), -1, 0))
    return (enters < leaves) & (enters < 0.95) & (leaves > 0)


def _cross(start: Floats, end: Floats, other_start: Floats, other_end: Floats) -> Any:
    """Return whether two lines cross."""

    def side(a: Floats, b: Floats, c: Floats) -> Any:
        return (b[..., 0] - a[..., 0]) * (c[..., 1] - a[..., 1]) > (b[..., 1] - a[..., 1]) * (c[..., 0] - a[..., 0])

    apart = side(start, other_start, other_end) != side(end, other_start, other_end)
    return apart & (side(start, end, other_start) != side(start, end, other_end))
