"""Which images are held out: decided by the bytes of each, so that it stays when others are added."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from lenext.data.source import Item

HELD_OUT_SHARE, WATCHED_SHARE = 0.2, 0.1


def digest(item: Item) -> int:
    """Return 64 bits that depend on nothing but the image's bytes."""
    if isinstance(item, Path):
        item = item.read_bytes()
    data = item if isinstance(item, bytes) else item.tobytes()
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big")


def held_out_mask(
    digests: NDArray[np.uint64], labels: NDArray[np.int64], share: float = HELD_OUT_SHARE
) -> NDArray[np.bool_]:
    """Return which images are held out: a fifth of them or another share, by digest.

    Images of equal bytes fall on one side. A class that would have none held out gives its smallest digest, and
    one that would keep none for training keeps its largest; a class with one distinct image keeps it.
    """
    held = {int(d) for d in digests[digests < np.uint64(share * 2**64)]}
    of_class: dict[int, set[int]] = defaultdict(set)
    for value, label in zip(digests.tolist(), labels.tolist(), strict=True):
        of_class[label].add(value)
    # One rule after the other, so that neither the order of the classes nor an image that two of them share can
    # leave a class without an image to train on.
    held |= {min(values) for values in of_class.values() if len(values) > 1 and not values & held}
    held -= {max(values) for values in of_class.values() if values <= held}
    return np.array([value in held for value in digests.tolist()], bool)


def watched_mask(digests: NDArray[np.uint64], labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which training images early stopping goes by: a tenth of them, by another number that the digest gives."""
    return held_out_mask(digests * np.uint64(0x9E3779B97F4A7C15), labels, WATCHED_SHARE)
