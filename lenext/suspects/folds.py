"""Folds: which images are answered together by a network that was trained on all others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lenext.data.source import Source
from lenext.errors import UserError


def folds_of(digests: NDArray[np.uint64], labels: NDArray[np.int64], count: int, seed: int) -> NDArray[np.int64]:
    """Return the fold of each image, (N,), from 0 to `count` - 1, by the bytes of the images and the seed alone.

    Images of equal bytes fall into one fold. The different images of a class are dealt out in turn, so that their
    numbers in two folds differ by one at most, and so do those of all classes together. An image that several classes
    share is dealt out with the rarest of them.
    """
    sizes = np.bincount(labels)
    order = np.lexsort((labels, sizes[labels]))  # images of rarer classes first
    distinct, first, places = np.unique(digests[order], return_index=True, return_inverse=True)
    drawn = np.random.default_rng(seed).permutation(len(distinct))
    dealt = np.empty(len(distinct), np.int64)
    dealt[np.lexsort((drawn, labels[order][first]))] = np.arange(len(distinct)) % count
    folds = np.empty(len(digests), np.int64)
    folds[order] = dealt[places]
    return folds


def require_enough(source: Source, digests: NDArray[np.uint64], labels: NDArray[np.int64], count: int) -> None:
    """Raise UserError where a class has fewer different images than there are folds; the message says what to do."""
    pairs = np.unique(np.stack([labels.astype(np.uint64), digests]), axis=1)
    different = np.bincount(pairs[0].astype(np.int64), minlength=len(source.class_names))
    rarest = int(different.argmin())
    if different[rarest] >= count:
        return
    there = int(different[rarest])
    found = f"{there} different image{'' if there == 1 else 's'}" if there else "no image that can be read"
    way_out = f"give --folds {there}, or add images" if there > 1 else "add images, or take the class away"
    raise UserError(
        f"the class {source.class_names[rarest]!r} of {source.location} has {found}, too few for {count} "
        f"folds; {way_out}"
    )
