"""Batches: every image once, in an order that can be repeated."""

from __future__ import annotations

import contextlib
import gc
import threading
import weakref
from collections.abc import Generator, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import class_folder

from lenext.data import reading as reading_module
from lenext.data.decode import ImageForm
from lenext.data.images import ImagesOnDisk
from lenext.data.loader import Batch, Loader, one_ahead
from lenext.data.opening import open_source
from lenext.data.preprocessing import Preprocessing
from lenext.data.reading import Reading, read_split
from lenext.data.source import Split
from lenext.data.training_loader import TrainingLoader
from lenext.errors import LenextError

CPU = torch.device("cpu")
PLAIN = Preprocessing(ImageForm(size=(2, 3), channels=1), mean=(0.0,), std=(1 / 255,))  # leaves 0 to 255 as they are


def numbered(count: int) -> Reading:
    """Return images whose every pixel is their number, labelled with ten times that."""
    items = [np.full((2, 3), i, np.uint8) for i in range(count)]
    split = Split(items, np.arange(count) * 10, [str(i) for i in range(count)])
    return read_split(split, PLAIN.form, what="", workers=1)


def loader_of(count: int, batch_size: int) -> Loader:
    return Loader(numbered(count), PLAIN, batch_size=batch_size, device=CPU)


def shuffled_of(count: int, batch_size: int) -> TrainingLoader:
    return TrainingLoader(numbered(count), PLAIN, batch_size=batch_size, device=CPU)


def numbers(batches: list[Batch]) -> list[int]:
    """Return the numbers of the images in these batches, each of which must have its label."""
    found: list[int] = []
    for batch in batches:
        assert batch.images.shape == (len(batch), 1, 2, 3)
        assert batch.images.dtype == torch.float32
        assert batch.labels.dtype == torch.int64
        values = batch.images[:, 0, 0, 0].round().long()
        torch.testing.assert_close(batch.images, values.float()[:, None, None, None].expand(-1, 1, 2, 3))
        torch.testing.assert_close(batch.labels, values * 10)
        found += values.tolist()
    return found


COUNTS = st.integers(1, 60)


@settings(deadline=None)
@given(count=COUNTS, batch_size=st.integers(1, 70), seed=st.integers(0, 2**32), epoch=st.integers(0, 100))
def test_every_image_comes_once_in_an_epoch(count: int, batch_size: int, seed: int, epoch: int) -> None:
    loader = loader_of(count, batch_size)
    shuffled = list(shuffled_of(count, batch_size).shuffled(seed=seed, epoch=epoch))
    assert sorted(numbers(shuffled)) == list(range(count))
    in_order = list(loader.in_order())
    assert numbers(in_order) == list(range(count))
    for batches in (shuffled, in_order):
        sizes = [len(batch) for batch in batches]
        assert len(sizes) == loader.steps <= -(-count // batch_size)
        assert max(sizes) <= batch_size or (batch_size, max(sizes), count % 2) == (2, 3, 1)  # rather than a lone one
        assert max(sizes) - min(sizes) <= 1


def test_no_batch_is_left_with_a_lone_image() -> None:
    """Batch normalisation cannot train on one."""
    assert [len(batch) for batch in loader_of(33, 32).in_order()] == [17, 16]


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    def order(*, seed: int, epoch: int, batch_size: int = 7) -> list[int]:
        return numbers(list(shuffled_of(50, batch_size).shuffled(seed=seed, epoch=epoch)))

    first = order(seed=1, epoch=2)
    np.random.seed(0)
    torch.manual_seed(0)
    assert order(seed=1, epoch=2) == first
    assert order(seed=1, epoch=2, batch_size=16) == first
    others = [order(seed=1, epoch=3), order(seed=2, epoch=2), order(seed=2, epoch=1), list(range(50))]
    assert len({tuple(one) for one in [first, *others]}) == 5


def test_an_epoch_can_be_repeated_with_one_loader() -> None:
    loader = shuffled_of(20, 6)
    first = numbers(list(loader.shuffled(seed=0, epoch=1)))
    next(loader.shuffled(seed=0, epoch=2))  # and left
    assert numbers(list(loader.shuffled(seed=0, epoch=1))) == first


def test_images_are_normalised() -> None:
    preprocessing = Preprocessing(ImageForm(size=(2, 3), channels=1), mean=(0.2,), std=(0.4,))
    batch = next(Loader(numbered(4), preprocessing, batch_size=4, device=CPU).in_order())
    expected = (torch.arange(4) / 255 - 0.2) / 0.4
    torch.testing.assert_close(batch.images, expected[:, None, None, None].expand(4, 1, 2, 3))


@pytest.mark.parametrize("batch_size", [1, 4, 100])
def test_images_on_disk_are_those_in_memory(batch_size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    split = open_source(class_folder(tmp_path, images=5)).splits["all"]
    preprocessing = Preprocessing(ImageForm(size=(9, 7), channels=3), (0.4, 0.5, 0.6), (0.1, 0.2, 0.3))
    kept = read_split(split, preprocessing.form, what="")
    monkeypatch.setattr(reading_module, "MEMORY_SHARE", 0.0)
    decoded = read_split(split, preprocessing.form, what="")
    assert isinstance(decoded.images, ImagesOnDisk)
    for epoch in range(2):
        pairs = zip(
            *(
                TrainingLoader(reading, preprocessing, batch_size=batch_size, device=CPU).shuffled(seed=3, epoch=epoch)
                for reading in (kept, decoded)
            ),
            strict=True,
        )
        for in_memory, on_disk in pairs:
            assert torch.equal(in_memory.images, on_disk.images)
            assert torch.equal(in_memory.labels, on_disk.labels)


def test_leaving_an_epoch_early_leaves_no_thread_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading_module, "MEMORY_SHARE", 0.0)
    split = open_source(class_folder(tmp_path, images=5)).splits["all"]
    reading = read_split(split, ImageForm(size=(4, 4), channels=3), what="")
    preprocessing = Preprocessing(ImageForm(size=(4, 4), channels=3), (0.5,) * 3, (0.5,) * 3)
    batches = Loader(reading, preprocessing, batch_size=2, device=CPU).in_order()
    assert isinstance(batches, Generator)
    before = set(threading.enumerate())
    next(batches)
    assert set(threading.enumerate()) - before  # the one that makes a batch ahead, and those that decode
    batches.close()
    assert not set(threading.enumerate()) - before


def test_an_error_of_what_is_made_ahead_keeps_nothing_alive() -> None:
    """Processes that decode end when nothing needs them; those found by the garbage collector end late, and loudly."""

    class Needed:
        pass

    def items(needed: Needed) -> Iterator[int]:
        yield 1
        raise LenextError(f"{type(needed).__name__} no longer there")

    needed = Needed()
    alive = weakref.ref(needed)
    gc.disable()
    try:
        with contextlib.suppress(LenextError):
            list(one_ahead(items(needed)))
        del needed
        assert alive() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("images", [2, 3, 15, 16])
def test_no_batch_holds_a_lone_image_unless_one_is_asked_for(tmp_path: Path, images: int) -> None:
    split = open_source(class_folder(tmp_path, images=images)).splits["all"]
    reading = read_split(split, ImageForm(size=(4, 4), channels=3), what="").take(np.arange(images))
    preprocessing = Preprocessing(ImageForm(size=(4, 4), channels=3), (0.5,) * 3, (0.5,) * 3)
    for batch_size in (1, 2, 4, 100):
        loader = Loader(reading, preprocessing, batch_size=batch_size, device=CPU)
        sizes = [len(batch) for batch in loader.in_order()]
        assert sum(sizes) == images
        assert len(sizes) == loader.steps
        assert set(sizes) == {1} if batch_size == 1 else min(sizes) >= 2
