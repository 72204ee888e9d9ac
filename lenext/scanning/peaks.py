"""Peaks: where a class is the strongest answer of all around, over positions and scales."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter

APART = 0.65  # of a window: within it, the stronger of two answers stands


@dataclass(frozen=True)
class ClassMap:
    """What the cells of one scale say of a class, each an array (h, w).

    `probability` is that of the class, `lead` how far its logit lies above that of any other (below zero, how far
    behind), `strength` the largest lead of any class but the background's. Cell (i, j) is centred on `first` + (i, j)
    * `step`, in pixels of the image, and answers for the window of `window` pixels around that; each pair is vertical,
    horizontal.
    """

    scale: float
    probability: NDArray[np.float32]
    lead: NDArray[np.float32]
    strength: NDArray[np.float32]
    first: tuple[float, float]
    step: tuple[float, float]
    window: tuple[float, float]


@dataclass(frozen=True)
class Peak:
    """One place where the class was found: centre `x`, `y` and `box` (left, top, right, bottom), in pixels."""

    x: float
    y: float
    probability: float
    scale: float
    box: tuple[float, float, float, float]

    def within(self, height: int, width: int) -> Peak:
        """Return the peak with its box cut at the edges of the image, beyond which the last windows may reach."""
        left, top, right, bottom = self.box
        return replace(self, box=(max(0.0, left), max(0.0, top), min(float(width), right), min(float(height), bottom)))

    def fields(self) -> dict[str, Any]:
        """Return the peak in the command's JSON."""
        return {
            "x": round(self.x, 2),
            "y": round(self.y, 2),
            "probability": round(self.probability, 6),
            "scale": self.scale,
            "box": [round(side, 2) for side in self.box],
        }


def find_peaks(maps: Sequence[ClassMap], threshold: float) -> list[Peak]:
    """Return the places where the class is at `threshold` or above and nothing around is stronger, best first.

    A classifier has to answer at every place, also between two things, where it may be sure of a third. So all classes
    compete for the places, by how far each leads: where another is stronger within 0.65 of a window, at any scale,
    there is no peak. A class called background only says that there is nothing, and does not compete.
    """
    found = [_candidates(each, number) for number, each in enumerate(maps)]
    columns = np.concatenate(found, 1) if found else np.empty((5, 0))
    number, strength, rows, places, is_class = columns
    probability = np.array(
        [maps[int(n)].probability[int(i), int(j)] for n, i, j in zip(number, rows, places, strict=True)]
    )
    wanted = (is_class > 0) & (probability >= threshold)
    if not wanted.any():
        return []
    strong = strength >= strength[wanted].min()
    kept = _stand(maps, columns[:, strong])
    peaks = [
        _peak(maps[int(number[k])], int(rows[k]), int(places[k]))
        for k in np.flatnonzero(strong)[kept]
        if wanted[k]
    ]  # fmt: skip
    return sorted(peaks, key=lambda peak: -peak.probability)


def _candidates(one: ClassMap, number: int) -> NDArray[np.float64]:
    """Return the local maxima of the strength: map, strength, row, column, whether it is the class's, each (n,)."""
    reach = [max(1, int(APART / 2 * window / step)) for window, step in zip(one.window, one.step, strict=True)]
    around = maximum_filter(one.strength, size=tuple(2 * side + 1 for side in reach), mode="nearest")
    rows, places = np.nonzero(one.strength == around)
    strength = one.strength[rows, places]
    is_class = one.lead[rows, places] >= strength
    return np.stack([np.full(len(rows), number), strength, rows, places, is_class]).astype(np.float64)


def _stand(maps: Sequence[ClassMap], columns: NDArray[np.float64]) -> list[int]:
    """Return the numbers of the candidates near which no stronger one stands, strongest first."""
    number, strength, rows, places, _ = columns
    which = number.astype(int)
    first, step, window = (
        np.array([getattr(each, name) for each in maps])[which] for name in ("first", "step", "window")
    )
    centres = first + np.stack([rows, places], 1) * step  # (n, 2)
    left = np.ones(len(which), bool)
    kept = []
    for k in np.argsort(-strength, kind="stable"):
        if left[k]:
            kept.append(int(k))
            near = np.abs(centres - centres[k]) < APART * (window + window[k]) / 2
            left &= ~near.all(1)
    return kept


def _peak(one: ClassMap, row: int, place: int) -> Peak:
    """Return the peak at a cell, its centre between the cells where a parabola through their leads has its top."""
    down = _top(one.lead[row - 1 : row + 2, place]) if 0 < row < one.lead.shape[0] - 1 else 0.0
    right = _top(one.lead[row, place - 1 : place + 2]) if 0 < place < one.lead.shape[1] - 1 else 0.0
    y = one.first[0] + (row + down) * one.step[0]
    x = one.first[1] + (place + right) * one.step[1]
    high, wide = one.window[0] / 2, one.window[1] / 2
    return Peak(x, y, float(one.probability[row, place]), one.scale, (x - wide, y - high, x + wide, y + high))


def _top(values: NDArray[np.float32]) -> float:
    before, here, after = map(float, values)
    bend = before - 2 * here + after
    return float(np.clip((before - after) / (2 * bend), -0.5, 0.5)) if bend < 0 else 0.0
