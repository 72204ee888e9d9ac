"""Copies are found, whatever was done to them; different images are not, however alike their composition is."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from troubles import compressed, photo, smaller

from lenext.checking import hashing
from lenext.checking.hashing import MUTUAL, SIDE, VIEWS, _count_bits, alike, perceptual_hash, view_hashes
from lenext.checking.similar import TooAlikeError, near_copies
from lenext.checking.threads import hurried
from lenext.data.opening import open_source

COUNT = 40


def grey(image: Image.Image) -> NDArray[np.uint8]:
    return np.asarray(image.convert("L").resize((SIDE, SIDE), Image.Resampling.LANCZOS))


@cache
def photos() -> list[Image.Image]:
    return [photo(2000 + i) for i in range(COUNT)]


def cut(left: float, top: float, right: float, bottom: float) -> Callable[[Image.Image], Image.Image]:
    def cropped(image: Image.Image) -> Image.Image:
        width, height = image.size
        return image.crop(
            (round(left * width), round(top * height), round((1 - right) * width), round((1 - bottom) * height))
        )

    return cropped


WAYS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "nothing": lambda image: image,
    "smaller": smaller,
    "compressed": lambda image: Image.open(io.BytesIO(compressed(image))),
    "cropped around": cut(0.025, 0.025, 0.025, 0.025),
    "cropped at each edge": cut(0.05, 0.05, 0.05, 0.05),
    "cropped left": cut(0.05, 0, 0, 0),
    "cropped above": cut(0, 0.05, 0, 0),
    "cropped in a corner": cut(0, 0, 0.05, 0.05),
    "all of it": lambda image: Image.open(io.BytesIO(compressed(smaller(cut(0.05, 0.02, 0, 0.03)(image))))),
    "lighter": lambda image: image.point([min(255, v + 20) for v in range(256)] * 3),
    "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "turned": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    "turned the other way": lambda image: image.transpose(Image.Transpose.ROTATE_270),
    "upside down": lambda image: image.transpose(Image.Transpose.ROTATE_180),
}
SAID = {
    "mirrored": "mirrored", "turned": "turned by 90 degrees", "turned the other way": "turned by 90 degrees",
    "upside down": "turned by 180 degrees",
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_copies_are_found_and_no_others(way: str) -> None:
    pairs = near_copies(np.stack([grey(image) for image in [*photos(), *map(WAYS[way], photos())]]))
    assert {tuple(sorted((pair.a, pair.b))) for pair in pairs} == {(i, i + COUNT) for i in range(COUNT)}
    assert {pair.how for pair in pairs} == {SAID.get(way, "")}
    assert all(0.945 <= pair.likeness <= 1.001 for pair in pairs)


@given(st.tuples(*[st.floats(0, 0.05)] * 4), st.integers(0, COUNT - 1))
def test_any_crop_of_a_twentieth_is_found(edges: tuple[float, float, float, float], index: int) -> None:
    image = photos()[index]
    pairs = near_copies(np.stack([grey(image), grey(cut(*edges)(image)), grey(photos()[index - 1])]))
    assert [(min(pair.a, pair.b), max(pair.a, pair.b)) for pair in pairs] == [(0, 1)]


def test_any_number_of_threads_finds_the_same() -> None:
    greys = np.stack([grey(image) for image in [*photos(), *map(WAYS["all of it"], photos())]])
    assert near_copies(greys, workers=1) == near_copies(greys, workers=3)


def test_what_waits_is_dropped_where_work_is_broken_off() -> None:
    go, done = threading.Event(), []
    pool = ThreadPoolExecutor(1)
    under_way = pool.submit(go.wait)
    waiting = [pool.submit(done.append, i) for i in range(10)]
    with pytest.raises(KeyboardInterrupt), hurried(pool):
        raise KeyboardInterrupt
    go.set()
    assert under_way.result()
    assert all(each.cancelled() for each in waiting)
    assert done == []


def test_few_images_are_no_trouble() -> None:
    assert near_copies(np.zeros((0, SIDE, SIDE), np.uint8)) == []
    assert near_copies(np.zeros((1, SIDE, SIDE), np.uint8)) == []
    assert near_copies(np.full((3, SIDE, SIDE), 7, np.uint8)) == [], "there is nothing to compare"


def test_digits_are_too_alike() -> None:
    items = open_source("digits").splits["all"].items[:500]
    with pytest.raises(TooAlikeError):
        near_copies(np.stack([grey(Image.fromarray(np.asarray(item))) for item in items]))


def test_the_hash_of_the_whole_is_the_librarys() -> None:
    greys = np.stack([grey(image) for image in photos()])
    ours = view_hashes(greys)[:, 0]
    theirs = np.array([perceptual_hash(each) for each in greys])
    assert np.bitwise_count(ours ^ theirs).max() <= 2, "rounding may bring a frequency over the median"
    assert (ours == theirs).mean() > 0.9


def test_a_view_is_hashed_as_what_it_shows() -> None:
    greys = np.stack([grey(image) for image in photos()])
    for number, view in enumerate(VIEWS):
        if view.window == (0.0, 0.0, 1.0, 1.0):
            shown = np.ascontiguousarray(view.of(greys))
            assert np.bitwise_count(view_hashes(greys)[:, number] ^ view_hashes(shown)[:, 0]).max() <= 2


def test_pairs_are_those_of_a_comparison_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "COLUMNS", 7)  # several blocks, the last not full
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 2**63, (50, len(VIEWS)), dtype=np.uint64)
    for i in range(0, 40, 2):
        flipped = np.bitwise_or.reduce(np.uint64(1) << rng.permutation(64)[: i // 2].astype(np.uint64), initial=0)
        hashes[i + 1, i % len(VIEWS)] = hashes[i, 0] ^ flipped
    found = {tuple(row) for start in (0, 25) for row in alike(hashes.T.copy(), start, start + 25)[:, :3].tolist()}
    expected = {
        (i, j, k)
        for i in range(50)
        for j in range(50)
        for k in range(len(VIEWS))
        if i != j and (i < j or k not in MUTUAL) and int(hashes[i, 0] ^ hashes[j, k]).bit_count() <= hashing.DISTANCE
    }
    assert found == expected
    assert len(found) > 5


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1))
def test_bits_are_counted_without_numpys_own(values: list[int]) -> None:
    counts = np.zeros(len(values), np.uint8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hashing, "np", _Without(np, "bitwise_count"))
        _count_bits(np.array(values, np.uint64), counts)
    assert counts.tolist() == [value.bit_count() for value in values]


class _Without:
    """A module without one of its names."""

    def __init__(self, module: object, name: str) -> None:
        self._module, self._name = module, name

    def __getattr__(self, name: str) -> object:
        if name == self._name:
            raise AttributeError(name)
        return getattr(self._module, name)
