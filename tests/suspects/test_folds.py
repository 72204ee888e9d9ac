"""Folds: equal images together, every class spread over all of them, whatever order the images come in."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lenext.data.source import Source
from lenext.errors import UserError
from lenext.suspects.folds import folds_of, require_enough

IMAGES = st.lists(st.tuples(st.integers(0, 2**64 - 1) | st.integers(0, 9), st.integers(0, 3)), min_size=1, max_size=80)


def arrays(images: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([d for d, _ in images], np.uint64), np.array([label for _, label in images], np.int64)


@given(IMAGES, st.integers(2, 7), st.integers(0, 3), st.randoms())
def test_equal_images_stay_together_and_order_does_not_matter(
    images: list[tuple[int, int]], count: int, seed: int, random: object
) -> None:
    digests, labels = arrays(images)
    folds = folds_of(digests, labels, count, seed)
    assert set(folds) <= set(range(count))
    of_digest: dict[int, set[int]] = {}
    for digest, fold in zip(digests.tolist(), folds.tolist(), strict=True):
        of_digest.setdefault(digest, set()).add(fold)
    assert all(len(each) == 1 for each in of_digest.values())
    sizes = np.bincount([each.copy().pop() for each in of_digest.values()], minlength=count)
    assert np.ptp(sizes) <= 1, "different images, dealt out in turn"
    order = np.random.default_rng(seed).permutation(len(digests))
    assert (folds_of(digests[order], labels[order], count, seed) == folds[order]).all()


@given(st.lists(st.integers(0, 4), min_size=1, max_size=100), st.integers(2, 6), st.integers(0, 2**62))
def test_every_class_is_spread_evenly(labels: list[int], count: int, seed: int) -> None:
    digests = np.random.default_rng(7).permutation(len(labels)).astype(np.uint64)
    folds = folds_of(digests, np.array(labels), count, seed)
    for label in set(labels):
        assert np.ptp(np.bincount(folds[np.array(labels) == label], minlength=count)) <= 1


def test_another_seed_deals_otherwise() -> None:
    digests, labels = np.arange(100, dtype=np.uint64), np.arange(100) % 5
    assert (folds_of(digests, labels, 5, 0) != folds_of(digests, labels, 5, 1)).any()


def test_an_image_of_two_classes_is_dealt_out_with_the_rarer() -> None:
    digests = np.array([1, 2, 3, 4, 5, 6, 1, 2], np.uint64)
    labels = np.array([0, 0, 0, 0, 0, 0, 1, 1])  # both images of class 1 are also called class 0
    folds = folds_of(digests, labels, 2, 0)
    assert set(folds[labels == 1]) == {0, 1}


@pytest.mark.parametrize(
    ("labels", "digests", "message"),
    [
        (
            [0, 0, 0, 1, 1],
            [1, 2, 3, 4, 5],
            r"the class 'b' of photos has 2 different images, .*; give --folds 2, or add",
        ),
        (
            [0, 0, 0, 1, 1, 1],
            [1, 2, 3, 4, 4, 4],
            r"'b' of photos has 1 different image, too few .*; add images, or take",
        ),
        ([0, 0, 0], [1, 2, 3], r"'b' of photos has no image that can be read"),
    ],
)
def test_too_few_images_are_refused(labels: list[int], digests: list[int], message: str) -> None:
    source = Source("photos", ("a", "b"), {})
    with pytest.raises(UserError, match=message):
        require_enough(source, np.array(digests, np.uint64), np.array(labels), 3)
    require_enough(source, np.arange(6, dtype=np.uint64), np.arange(6) % 2, 3)
