"""The held-out share: decided by each image's bytes, whatever else is in the set."""

from __future__ import annotations

from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lenext.data.holdout import HELD_OUT_SHARE, digest, held_out_mask

LARGEST = 2**64 - 1
THRESHOLD = round(HELD_OUT_SHARE * 2**64)
LOW, HIGH = st.integers(0, THRESHOLD - 10_000), st.integers(THRESHOLD + 10_000, LARGEST)

# Distinct images by digest, each with the class that it is of; one in two below the threshold.
IMAGES = st.dictionaries(LOW | HIGH, st.integers(0, 3), max_size=40)


def held(images: dict[int, int]) -> dict[int, bool]:
    """Return for each image whether it is held out."""
    mask = held_out_mask(np.array(list(images), np.uint64), np.array(list(images.values()), np.int64))
    return dict(zip(images, mask.tolist(), strict=True))


def digests_of(images: dict[int, int], label: int) -> list[int]:
    return [value for value, other in images.items() if other == label]


def random_digests(count: int, seed: int) -> NDArray[np.uint64]:
    return np.random.default_rng(seed).integers(0, LARGEST, count, np.uint64)


@settings(deadline=None, max_examples=200)
@given(images=IMAGES, added=IMAGES)
def test_adding_images_moves_none_unless_their_class_was_forced(images: dict[int, int], added: dict[int, int]) -> None:
    """A class is forced where the share alone leaves it without images on one of the sides."""
    before, after = held(images), held({**added, **images})
    for value, label in images.items():
        sides = {other < THRESHOLD for other in digests_of(images, label)}
        if sides == {True, False}:
            assert before[value] is after[value] is (value < THRESHOLD)


@settings(deadline=None, max_examples=200)
@given(images=IMAGES)
def test_a_forced_class_moves_one_image_and_no_other(images: dict[int, int]) -> None:
    sides = held(images)
    for label in set(images.values()):
        values = digests_of(images, label)
        moved = [value for value in values if sides[value] is not (value < THRESHOLD)]
        if len({value < THRESHOLD for value in values}) == 2:
            assert moved == []
        elif values[0] < THRESHOLD:  # all would be held out
            assert moved == [max(values)]
        else:  # none would be
            assert moved == ([min(values)] if len(values) > 1 else [])


@settings(deadline=None, max_examples=200)
@given(images=IMAGES)
def test_a_class_of_two_or_more_is_on_both_sides_and_a_lone_image_is_kept(images: dict[int, int]) -> None:
    sides = held(images)
    for label in set(images.values()):
        values = digests_of(images, label)
        assert {sides[value] for value in values} == ({True, False} if len(values) > 1 else {False})


# Rows as they come: any image as often as you like, and under any label, since labels have errors.
ROWS = st.lists(st.tuples(st.sampled_from([1, 2, 3, THRESHOLD // 2, LARGEST // 2, LARGEST]), st.integers(0, 3)))


@settings(deadline=None, max_examples=300)
@given(rows=ROWS, order=st.randoms(use_true_random=False))
def test_equal_bytes_stay_together_and_no_class_is_left_without_training(
    rows: list[tuple[int, int]], order: Random
) -> None:
    digests, labels = np.array([d for d, _ in rows], np.uint64), np.array([label for _, label in rows], np.int64)
    mask = held_out_mask(digests, labels)
    for value in np.unique(digests):
        assert len(set(mask[digests == value].tolist())) == 1
    for label in np.unique(labels):
        assert not mask[labels == label].all()
    places = list(range(len(rows)))
    order.shuffle(places)  # the order of the files decides nothing
    np.testing.assert_array_equal(held_out_mask(digests[places], labels[places]), mask[places])


def test_an_image_under_two_labels_leaves_both_classes_one_to_train_on() -> None:
    """The image that class 0 keeps is the only one that class 1 would have held out."""
    digests = np.array([1, 2, 2, LARGEST], np.uint64)
    assert held_out_mask(digests, np.array([0, 0, 1, 1])).tolist() == [True, False, False, False]


def test_a_fifth_is_held_out() -> None:
    rng = np.random.default_rng(0)
    digests = np.array([digest(rng.integers(0, 256, (8, 8, 3), np.uint8)) for _ in range(5000)], np.uint64)
    assert len(set(digests.tolist())) == 5000
    assert held_out_mask(digests, rng.integers(0, 10, 5000)).mean() == pytest.approx(0.2, abs=0.02)


def test_no_images_give_no_mask() -> None:
    mask = held_out_mask(np.array([], np.uint64), np.array([], np.int64))
    assert mask.shape == (0,)
    assert mask.dtype == bool


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("digest")


@settings(deadline=None)
@given(data=st.binary(min_size=1))
def test_a_digest_depends_on_the_bytes_alone(data: bytes, folder: Path) -> None:
    for name in ("a.png", "b.txt"):
        (folder / name).write_bytes(data)
    pixels = np.frombuffer(data, np.uint8)
    strided = np.repeat(pixels, 2)[::2]
    assert {digest(item) for item in (folder / "a.png", folder / "b.txt", pixels, strided)} == {digest(data)}


def test_digests_differ_where_bytes_do() -> None:
    items: list[bytes | NDArray[np.uint8]] = [
        b"",
        b"a",
        b"b",
        b"aa",
        np.zeros((2, 2), np.uint8),
        np.zeros((3, 2), np.uint8),
    ]
    assert len({digest(item) for item in items}) == len(items)


def test_a_digest_is_the_same_in_every_version() -> None:
    """Another value would hold out other images, and the figures of old runs could not be compared any more."""
    assert digest(b"lenext") == 0x3CF7313BEDE13C7E
