"""Which images come in an epoch, and in which order: each once, or every class equally often."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Sampling = Literal["shuffled", "balanced"]


def epoch_order(labels: NDArray[np.int64], sampling: Sampling, *, seed: int, epoch: int) -> NDArray[np.int64]:
    """Return the numbers of an epoch's images, as many as there are labels, in an order that (seed, epoch) decide.

    A number is the index of an image, plus the number of labels each further time that the image comes, so that what
    is drawn for it by number differs. Of a `balanced` epoch every class has equally many to within one, not all of a
    large class; a class comes round to its first image again only after its last, and which ones come differs from
    epoch to epoch.
    """
    generator = np.random.default_rng((seed, epoch))
    if sampling == "shuffled":
        return generator.permutation(len(labels))
    present = generator.permutation(np.unique(labels))
    shares = np.full(len(present), len(labels) // len(present))
    shares[: len(labels) % len(present)] += 1
    chosen = []
    for label, share in zip(present.tolist(), shares.tolist(), strict=True):
        own = np.flatnonzero(labels == label)
        rounds = [generator.permutation(own) for _ in range(-(-share // len(own)))]
        again = np.concatenate([turn + time * len(labels) for time, turn in enumerate(rounds)] or [own[:0]])
        chosen.append(again[:share])
    return generator.permutation(np.concatenate(chosen))


def own_part(batch: NDArray[np.int64], rank: int, world: int) -> NDArray[np.int64]:
    """Return the part of a batch that one of `world` processes trains on.

    Each image stays with the one that is as far from the other end, its partner where images are mixed, and is as far
    from the other end of the part.
    """
    half = -(-len(batch) // 2)
    # The middle image, its own partner, goes to the first process, which has a pair besides.
    front = np.sort(np.array_split(np.arange(half)[::-1], world)[rank])
    back = len(batch) - 1 - front[::-1]
    alone = len(front) > 0 and back[0] == front[-1]
    part: NDArray[np.int64] = batch[np.concatenate([front, back[int(alone) :]])]
    return part
