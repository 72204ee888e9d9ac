from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lenext.evaluation.crosswise import crosswise


@given(
    labels=st.lists(st.integers(0, 6), min_size=10, max_size=60),
    folds=st.integers(2, 5),
    seed=st.integers(0, 100),
)
def test_every_image_is_judged_once_by_what_was_fitted_on_others(labels: list[int], folds: int, seed: int) -> None:
    parts = crosswise(np.array(labels), folds=folds, seed=seed)
    assert len(parts) == folds
    assert sorted(np.concatenate([judged for _, judged in parts])) == list(range(len(labels)))
    for fit, judged in parts:
        assert len(judged)
        assert not set(fit) & set(judged)
        assert len(fit) + len(judged) == len(labels)


def test_each_part_has_its_share_of_every_class() -> None:
    labels = np.repeat([0, 1, 2], [50, 30, 20])
    for _, judged in crosswise(labels):
        assert np.bincount(labels[judged]).tolist() == [10, 6, 4]


@pytest.mark.parametrize("labels", [np.arange(200), np.repeat([0, 1, 2], [40, 2, 1]), np.zeros(30, np.int64)])
def test_rare_classes_are_no_hindrance(labels: np.ndarray) -> None:
    sizes = [len(judged) for _, judged in crosswise(labels)]
    assert sum(sizes) == len(labels)
    assert max(sizes) - min(sizes) <= 1


def test_the_seed_decides() -> None:
    labels = np.arange(100) % 4
    first, again, other = crosswise(labels, seed=1), crosswise(labels, seed=1), crosswise(labels, seed=2)
    assert all((a[1] == b[1]).all() for a, b in zip(first, again, strict=True))
    assert any((a[1] != b[1]).any() for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize(("images", "folds", "parts"), [(9, 5, 0), (10, 5, 5), (1, 2, 0), (0, 5, 0), (4, 2, 2)])
def test_too_few_images_are_not_parted(images: int, folds: int, parts: int) -> None:
    assert len(crosswise(np.zeros(images, np.int64), folds=folds)) == parts
