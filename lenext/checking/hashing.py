"""Perceptual hashes of images and of parts of them, and which of many images have nearly the same.

A hash is that of the library imagehash: the 8x8 lowest frequencies of a small grey picture, one bit each, whether it is
above their median (Zauner 2010, https://www.phash.org/docs/pubs/thesis_zauner.pdf). A cropped copy has another one, so
that each image is also hashed as if it were cropped: of its small picture a window, resampled and transformed, is a
matrix, so that the windows of thousands of images are one matrix product.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 32  # pixels of the small picture, which imagehash takes as it is
LOW = 8  # frequencies each way
DISTANCE = 12  # bits of 64 that hashes may differ in; unrelated images differ in 32, and copies were found to in 10
ROWS, COLUMNS = 64, 4096  # hashes that are held against each other at once, in a core's cache
MOST = 1024  # pairs of so many hashes that are looked at
BATCH = 4096  # images that are hashed at once


@dataclass(frozen=True)
class View:
    """A way to look at an image: a window (top, left, bottom, right) in shares of its sides, turned, mirrored."""

    window: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
    quarters: int = 0  # counter-clockwise turns by 90 degrees
    mirrored: bool = False

    def of(self, greys: NDArray[Any]) -> NDArray[Any]:
        """Return pictures (N, S, S) turned and mirrored, not yet cut."""
        turned = np.rot90(greys, self.quarters, (-2, -1))
        return turned[..., ::-1] if self.mirrored else turned


# As a whole; a twentieth and a tenth less all around; a twentieth less at two edges, and at one; mirrored and turned.
VIEWS = (
    View(),
    View((0.02, 0.02, 0.98, 0.98)),
    View((0.05, 0.05, 0.95, 0.95)),
    *(View((top, left, top + 0.95, left + 0.95)) for top, left in product((0.0, 0.05), repeat=2)),
    View((0.05, 0.0, 1.0, 1.0)),
    View((0.0, 0.05, 1.0, 1.0)),
    View((0.0, 0.0, 0.95, 1.0)),
    View((0.0, 0.0, 1.0, 0.95)),
    View(mirrored=True),
    View(quarters=1),
    View(quarters=2),
)
# Of these views, j is as a whole what i is in the view wherever i is as a whole what j is in it.
MUTUAL = frozenset(i for i, view in enumerate(VIEWS) if view.window == (0.0, 0.0, 1.0, 1.0) and view.quarters != 1)


def perceptual_hash(grey: NDArray[np.uint8]) -> np.uint64:
    """Return the hash of a small grey picture (SIDE, SIDE)."""
    import imagehash

    return _packed(imagehash.phash(Image.fromarray(grey), hash_size=LOW).hash.reshape(1, -1))[0]  # type: ignore[no-any-return]


def resampling(low: NDArray[Any], high: NDArray[Any]) -> NDArray[np.float32]:
    """Return matrices (N, SIDE, SIDE) that bring the part from `low` to `high`, in shares, to SIDE pixels linearly."""
    steps = (np.arange(SIDE) + 0.5) / SIDE
    centres = ((low[:, None] + (high - low)[:, None] * steps) * SIDE - 0.5).clip(0, SIDE - 1)
    first = np.minimum(centres.astype(int), SIDE - 2)
    matrices = np.zeros((len(low), SIDE, SIDE), np.float32)
    row, pixel = np.arange(len(low))[:, None], np.arange(SIDE)
    matrices[row, pixel, first] = 1 - (centres - first)
    matrices[row, pixel, first + 1] += centres - first
    return matrices


def view_hashes(greys: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Return the hashes of small grey pictures (N, SIDE, SIDE) in each of the `VIEWS`, (N, views)."""
    hashes = np.empty((len(greys), len(VIEWS)), np.uint64)
    for start in range(0, len(greys), BATCH):
        some = greys[start : start + BATCH]
        values = some.reshape(len(some), -1).astype(np.float32) @ _frequencies()  # (N, views * LOW^2)
        parts = values.reshape(len(some), len(VIEWS), -1)
        bits = parts > np.median(parts, -1, keepdims=True)
        hashes[start : start + BATCH] = _packed(bits.reshape(-1, LOW * LOW)).reshape(len(some), -1)
    return hashes


@cache
def _frequencies() -> NDArray[np.float32]:
    """Return the matrix (SIDE^2, views * LOW^2) from pictures to the lowest frequencies of all views."""
    from scipy.fft import dct

    waves = dct(np.eye(SIDE), axis=0)[:LOW]
    pixels = np.eye(SIDE * SIDE).reshape(-1, SIDE, SIDE)
    parts = []
    for view in VIEWS:
        top, left, bottom, right = (np.array([edge]) for edge in view.window)
        rows, columns = waves @ resampling(top, bottom)[0], waves @ resampling(left, right)[0]
        parts.append((rows @ view.of(pixels) @ columns.T).reshape(SIDE * SIDE, -1))
    return np.concatenate(parts, 1).astype(np.float32)


def _packed(bits: NDArray[np.bool_]) -> NDArray[np.uint64]:
    return np.packbits(bits, axis=1).view(np.uint64)[:, 0]


def alike(by_view: NDArray[np.uint64], start: int, stop: int) -> NDArray[np.int64]:
    """Return pairs (n, 4) of images whose hashes differ in few bits: i as a whole, j in view k, and how many.

    `by_view` (views, N) are the hashes of `view_hashes`, i is from `start` to before `stop`, j any. Of views that are
    mutual, i is the lower index. Where thousands of images are alike, each is held to the nearest of them alone.
    """
    found = [np.empty((0, 4), np.int64)]
    differing, counts = np.empty(ROWS * COLUMNS, np.uint64), np.empty(ROWS * COLUMNS, np.uint8)
    end = by_view.shape[1]
    for row in range(start, stop, ROWS):
        rows = by_view[0, row : min(row + ROWS, stop), None]
        for view, others in enumerate(by_view):
            for column in range(row if view in MUTUAL else 0, end, COLUMNS):
                columns = others[None, column : column + COLUMNS]
                shape = (len(rows), columns.shape[1])
                size = shape[0] * shape[1]
                np.bitwise_xor(rows, columns, out=differing[:size].reshape(shape))
                _count_bits(differing[:size], counts[:size])
                near = np.flatnonzero(counts[:size] <= DISTANCE)
                if len(near) > MOST:
                    near = near[np.argpartition(counts[near], MOST)[:MOST]]
                if len(near):
                    i, j = near // shape[1] + row, near % shape[1] + column
                    keep = i < j if view in MUTUAL else i != j
                    found.append(np.stack([i[keep], j[keep], np.full(keep.sum(), view), counts[near[keep]]], 1))
    return np.concatenate(found)


def _count_bits(values: NDArray[np.uint64], counts: NDArray[np.uint8]) -> None:
    """Fill `counts` with how many bits of each value are set; `values` is worked in."""
    if hasattr(np, "bitwise_count"):
        np.bitwise_count(values, out=counts)
        return
    values -= (values >> np.uint64(1)) & np.uint64(0x5555555555555555)  # NumPy 1: two, four, eight bits at a time
    values[:] = (values & np.uint64(0x3333333333333333)) + ((values >> np.uint64(2)) & np.uint64(0x3333333333333333))
    values[:] = (values + (values >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    counts[:] = (values * np.uint64(0x0101010101010101)) >> np.uint64(56)
