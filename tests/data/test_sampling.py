"""Which images an epoch shows: each once, or every class equally often."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import chisquare

from lenext.data.sampling import Sampling, epoch_order

LABELS = st.lists(st.integers(0, 5), min_size=1, max_size=60).map(lambda labels: np.array(labels, np.int64))
SEEDS, EPOCHS = st.integers(0, 2**63 - 1), st.integers(0, 1000)
RARE = np.repeat([0, 7, 9], [900, 90, 10])  # of three classes


@given(labels=LABELS, seed=SEEDS, epoch=EPOCHS)
def test_a_shuffled_epoch_has_every_image_once(labels: NDArray[np.int64], seed: int, epoch: int) -> None:
    assert sorted(epoch_order(labels, "shuffled", seed=seed, epoch=epoch)) == list(range(len(labels)))


@given(labels=LABELS, seed=SEEDS, epoch=EPOCHS)
def test_a_balanced_epoch_has_every_class_equally_often(labels: NDArray[np.int64], seed: int, epoch: int) -> None:
    order = epoch_order(labels, "balanced", seed=seed, epoch=epoch)
    assert len(order) == len(labels)
    assert len(set(order.tolist())) == len(order)  # what is drawn by number differs each time
    order = order % len(labels)
    shown = {label: int((labels[order] == label).sum()) for label in np.unique(labels).tolist()}
    assert max(shown.values()) - min(shown.values()) <= 1
    for label in shown:
        times = np.bincount(order, minlength=len(labels))[labels == label]
        assert times.max() - times.min() <= 1  # round by round


@pytest.mark.parametrize("sampling", ["shuffled", "balanced"])
def test_seed_and_epoch_decide_the_order(sampling: Sampling) -> None:
    def order(seed: int, epoch: int) -> list[int]:
        return epoch_order(RARE, sampling, seed=seed, epoch=epoch).tolist()

    first = order(1, 2)
    np.random.seed(0)
    assert order(1, 2) == first
    assert len({tuple(one) for one in (first, order(1, 3), order(2, 2), order(2, 1))}) == 4


def test_in_time_a_balanced_order_shows_all_of_a_large_class() -> None:
    seen: set[int] = set()
    for epoch in range(30):
        order = epoch_order(RARE, "balanced", seed=0, epoch=epoch)
        shown = set((order % len(RARE)).tolist())
        seen |= shown
        assert 300 < len(shown) < 500  # 333 or 334 of the large class, all of the others
    assert seen == set(range(1000))


@pytest.mark.parametrize("sampling", ["shuffled", "balanced"])
def test_classes_come_anywhere_in_an_epoch(sampling: Sampling) -> None:
    """The first image is of a class as often as the class is shown."""
    labels = np.repeat([0, 1], [30, 10])
    first = [labels[epoch_order(labels, sampling, seed=5, epoch=epoch)[0] % 40] for epoch in range(2000)]
    share = 0.75 if sampling == "shuffled" else 0.5
    assert chisquare(np.bincount(first), [2000 * share, 2000 * (1 - share)]).pvalue > 0.001
    for epoch in range(50):
        half = labels[epoch_order(labels, sampling, seed=5, epoch=epoch)[:20] % 40]
        assert 2 <= half.sum() <= 18
