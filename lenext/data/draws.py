"""Random numbers that belong to an image: drawn for a whole batch at once, from the seed, the epoch and its index."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

GOLDEN = np.uint64(0x9E3779B97F4A7C15)


class Purpose(IntEnum):
    """What numbers are drawn for; those of one purpose say nothing of another's."""

    WINDOW = 1
    MIRROR = 2
    COLOUR = 3
    POLICY = 4
    ERASING = 5
    MIXING = 6
    NOISE = 7


def uniforms(seed: int, epoch: int, indices: NDArray[np.int64], purpose: Purpose, count: int) -> NDArray[np.float64]:
    """Return `count` numbers in [0, 1) for each image: (N,) -> (N, count).

    They depend on nothing but the arguments, so that neither the batch an image comes in nor who draws changes them.
    The generator is SplitMix64 (Steele, Lea and Flood 2014, https://doi.org/10.1145/2660193.2660195), whose finaliser
    hashes seed, epoch, purpose, index and column in turn.
    """
    state = np.zeros((1, 1), dtype=np.uint64)
    for part in (seed % 2**64, epoch, int(purpose)):
        state = _mixed(np.add(state, np.uint64(part), dtype=np.uint64))
    rows = _mixed(np.add(state, indices.astype(np.uint64)[:, None], dtype=np.uint64))  # (N, 1)
    columns = _mixed(np.add(rows, np.arange(1, count + 1, dtype=np.uint64), dtype=np.uint64))
    return (columns >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _mixed(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    x = x + GOLDEN
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
