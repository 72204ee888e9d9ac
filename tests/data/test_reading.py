"""Reading many images: what is skipped, what is summed up, and every way of keeping them gives the same pixels."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import joblib
import numpy as np
import psutil
import pytest
from numpy.typing import NDArray
from pictures import class_folder, encoded, odd_folder, png, stripes
from PIL import Image

from lenext.data import chunks
from lenext.data import reading as reading_module
from lenext.data.decode import ImageForm
from lenext.data.holdout import digest
from lenext.data.images import ImagesInMemory, ImagesOnDisk
from lenext.data.opening import open_source
from lenext.data.reading import Reading, read_split
from lenext.data.source import Split
from lenext.errors import LenextError

if TYPE_CHECKING:
    from lenext.data.source import Item

T = TypeVar("T")

FORM = ImageForm(size=(6, 8))
GREY, COLOUR = stripes(1, upright=True, side=8)[..., 0], stripes(2, upright=False, side=8)


def split_of(*items: Item) -> Split:
    return Split(items, np.arange(len(items)), [f"picture {i}" for i in range(len(items))])


def read(*items: Item, form: ImageForm = FORM) -> Reading:
    return read_split(split_of(*items), form, what="")


def pixels_of(reading: Reading) -> NDArray[np.uint8]:
    return reading.images.batch(np.arange(len(reading.images)))


@pytest.fixture
def on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading_module, "MEMORY_SHARE", 0.0)


def test_unreadable_images_are_skipped_in_order_with_the_reason(tmp_path: Path) -> None:
    good, cut = png(COLOUR), encoded(Image.fromarray(stripes(3, upright=True)), "JPEG")[:-200]
    heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"
    reading = read(b"", good, b"words", tmp_path / "gone.png", good, tmp_path, cut, heic)
    names, reasons = zip(*reading.skipped, strict=True)
    assert names == tuple(f"picture {i}" for i in (0, 2, 3, 5, 6, 7))
    assert reasons[:4] == ("empty file", "not an image", "there is no such file", "Is a directory")
    assert "truncated" in reasons[4]
    assert reasons[5] == "a damaged HEIC image"
    assert reading.labels.tolist() == [1, 4]
    assert list(reading.split.names) == ["picture 1", "picture 4"]
    assert reading.digests.tolist() == [digest(good)] * 2
    assert len(reading.images) == len(reading.sums) == len(reading.split) == 2


@pytest.mark.parametrize("chunk", [1, 2, 3, 256])
def test_the_order_stays_over_many_tasks(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "LARGEST_CHUNK", chunk)
    items: list[bytes] = [png(stripes(i, upright=True, side=8)) if i % 3 else b"" for i in range(20)]
    reading = read(*items, form=ImageForm(size=(8, 8)))
    good = [i for i in range(20) if i % 3]
    assert reading.labels.tolist() == good
    np.testing.assert_array_equal(pixels_of(reading), [stripes(i, upright=True, side=8) for i in good])
    assert reading.digests.tolist() == [digest(items[i]) for i in good]
    assert [name for name, _ in reading.skipped] == [f"picture {i}" for i in range(0, 20, 3)]


def test_every_odd_file_but_the_broken_ones_is_read(tmp_path: Path) -> None:
    root, unreadable = odd_folder(tmp_path)
    split = open_source(root).splits["all"]
    reading = read_split(split, FORM, what="")
    assert [name for name, _ in reading.skipped] == unreadable
    assert len(reading.images) == len(split) - len(unreadable)
    assert reading.images.channels == 3
    names = reading.split.names
    assert not {"lying/.hidden.png", ".cache/thumb.png", "notes.txt", "lying/Thumbs.db"} & set(split.names)
    assert {"upright/rotated.jpg", "upright/grüße 测试.png", "upright/[brackets] 'quotes'.png"} <= set(names)


def test_grey_images_stay_grey() -> None:
    reading = read(GREY, png(GREY), encoded(Image.fromarray(GREY), "BMP"))
    assert reading.images.channels == 1
    assert pixels_of(reading).shape == (3, 6, 8, 1)
    assert reading.sums.shape == (3, 1, 2)


@pytest.mark.parametrize("chunk", [1, 2, 256])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_image_in_colour_spreads_the_grey_ones(chunk: int, place: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "LARGEST_CHUNK", chunk)
    items = [GREY, GREY]
    items.insert(place, COLOUR)
    reading = read(*items, form=ImageForm(size=(8, 8)))
    expected = [item if item.ndim == 3 else np.repeat(item[..., None], 3, -1) for item in items]
    assert reading.images.channels == 3
    np.testing.assert_array_equal(pixels_of(reading), expected)
    np.testing.assert_array_equal(reading.sums, sums_of(np.stack(expected)))


@pytest.mark.parametrize("channels", [1, 3])
def test_the_form_decides_the_channels_where_it_names_them(channels: int) -> None:
    reading = read(GREY, COLOUR, form=dataclasses.replace(FORM, channels=channels))
    assert reading.images.channels == channels
    assert pixels_of(reading).shape == (2, 6, 8, channels)


def test_an_unreadable_image_does_not_make_a_set_coloured() -> None:
    assert read(GREY, encoded(Image.fromarray(COLOUR))[:-30], GREY).images.channels == 1


def sums_of(pixels: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return each image's sum and sum of squares by channel, (N, C, 2)."""
    wide = pixels.astype(np.int64)
    return np.stack([wide.sum((1, 2)), (wide**2).sum((1, 2))], -1)


def test_sums_are_exact() -> None:
    """White images of 300 x 300 pixels sum to more than 32 bits hold."""
    items = [np.full((300, 300, 3), 255, np.uint8), np.zeros((300, 300, 3), np.uint8), COLOUR]
    reading = read(*items, form=ImageForm(size=(300, 300)))
    assert reading.sums.dtype == np.int64
    assert reading.sums[0].tolist() == [[90_000 * 255, 90_000 * 255**2]] * 3
    np.testing.assert_array_equal(reading.sums, sums_of(pixels_of(reading)))


@pytest.mark.parametrize("items", [(), (b"",), (b"", b"words")], ids=len)
@pytest.mark.parametrize("channels", [None, 3])
def test_nothing_readable_is_an_empty_reading(items: tuple[bytes, ...], channels: int | None) -> None:
    reading = read(*items, form=dataclasses.replace(FORM, channels=channels))
    assert len(reading.images) == len(reading.split) == len(reading.digests) == 0
    assert reading.sums.shape == (0, channels or 1, 2)
    assert len(reading.skipped) == len(items)


def mixed_folder(root: Path) -> Split:
    """Return a split of files in grey and colour, of several sizes, with one that cannot be read."""
    class_folder(root, images=5)
    for i, side in enumerate((5, 17, 60)):
        Image.fromarray(stripes(i, upright=True, side=side)[..., 0]).save(root / "upright" / f"grey {i}.png")
    Image.fromarray(COLOUR).convert("LA").save(root / "lying" / "grey alpha.png")
    (root / "lying" / "broken.png").write_bytes(b"words")
    return open_source(root).splits["all"]


@pytest.mark.parametrize("channels", [None, 1, 3])
def test_images_on_disk_are_those_in_memory(
    channels: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    split, form = mixed_folder(tmp_path), dataclasses.replace(FORM, channels=channels)
    kept = read_split(split, form, what="")
    monkeypatch.setattr(reading_module, "MEMORY_SHARE", 0.0)
    decoded = read_split(split, form, what="")
    assert isinstance(kept.images, ImagesInMemory)
    assert isinstance(decoded.images, ImagesOnDisk)
    assert kept.images.channels == decoded.images.channels
    assert kept.skipped == decoded.skipped == [("lying/broken.png", "not an image")]
    np.testing.assert_array_equal(kept.digests, decoded.digests)
    np.testing.assert_array_equal(kept.sums, decoded.sums)
    order = np.array([7, 0, 3, 3, 11])
    np.testing.assert_array_equal(kept.images.batch(order), decoded.images.batch(order))
    np.testing.assert_array_equal(pixels_of(kept), pixels_of(decoded))


@pytest.mark.parametrize("memory_share", [0.0, 0.5])
def test_take_keeps_everything_together(memory_share: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading_module, "MEMORY_SHARE", memory_share)
    whole = read_split(mixed_folder(tmp_path), FORM, what="")
    order = np.array([9, 2, 5])
    part = whole.take(order)
    assert type(part.images) is type(whole.images)
    assert part.images.channels == 3  # though the last one alone is grey
    np.testing.assert_array_equal(pixels_of(part), whole.images.batch(order))
    np.testing.assert_array_equal(part.labels, whole.labels[order])
    assert list(part.split.names) == [whole.split.names[i] for i in order]
    np.testing.assert_array_equal(part.digests, whole.digests[order])
    np.testing.assert_array_equal(part.sums, whole.sums[order])
    assert part.skipped == []
    np.testing.assert_array_equal(pixels_of(part.take(np.array([1]))), whole.images.batch(np.array([2])))


def test_processes_give_the_pixels_of_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    split = mixed_folder(tmp_path)
    monkeypatch.setattr(chunks, "LARGEST_CHUNK", 4)
    in_threads = read_split(split, FORM, what="", workers=2)
    monkeypatch.setattr(chunks, "MANY", 1)
    backends = []
    parallel = joblib.Parallel

    def recorded(*arguments: object, **options: object) -> object:
        backends.append(options["backend"])
        return parallel(*arguments, **options)

    monkeypatch.setattr(joblib, "Parallel", recorded)
    in_processes = read_split(split, FORM, what="", workers=2)
    assert backends == ["loky"]
    np.testing.assert_array_equal(pixels_of(in_processes), pixels_of(in_threads))
    np.testing.assert_array_equal(in_processes.digests, in_threads.digests)
    np.testing.assert_array_equal(in_processes.sums, in_threads.sums)
    assert in_processes.skipped == in_threads.skipped


@pytest.mark.usefixtures("on_disk")
def test_a_file_that_goes_away_is_named(tmp_path: Path) -> None:
    split = open_source(class_folder(tmp_path, images=2)).splits["all"]
    reading = read_split(split, FORM, what="")
    (tmp_path / "lying" / "001.png").unlink()
    reading.images.batch(np.array([0, 2, 3]))
    with pytest.raises(LenextError, match=r"lying/001\.png can no longer be read: there is no such file"):
        reading.images.batch(np.array([0, 1]))


@pytest.mark.usefixtures("on_disk")
def test_a_file_that_is_overwritten_is_named(tmp_path: Path) -> None:
    split = open_source(class_folder(tmp_path, images=2)).splits["all"]
    reading = read_split(split, FORM, what="")
    (tmp_path / "upright" / "000.png").write_bytes(b"words")
    with pytest.raises(LenextError, match=r"upright/000\.png can no longer be read: not an image"):
        reading.images.batch(np.array([2]))


@pytest.mark.parametrize(("share", "kept"), [(0.4, False), (0.7, True)])
def test_images_are_kept_while_they_fit(share: float, kept: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two images of 6 x 8 pixels in up to three channels need 288 bytes, and 500 are free."""
    memory = dataclasses.make_dataclass("Memory", ["available"])(500)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    monkeypatch.setattr(reading_module, "MEMORY_SHARE", share)
    assert isinstance(read(COLOUR, COLOUR).images, ImagesInMemory if kept else ImagesOnDisk)


@pytest.mark.parametrize(
    ("files", "left"),
    [
        ({"memory.max": "1000", "memory.current": "900", "memory.stat": "anon 200\ninactive_file 700\n"}, 800),
        ({"memory.max": "max", "memory.current": "900", "memory.stat": "inactive_file 0\n"}, None),
        ({"memory.max": "1000", "memory.current": "1200", "memory.stat": "inactive_file 0\n"}, 0),
        (
            {
                "memory/memory.limit_in_bytes": "500", "memory/memory.usage_in_bytes": "100",
                "memory/memory.stat": "cache 5\ntotal_inactive_file 40\n",
            },
            440,
        ),
        ({}, None),
    ],
)  # fmt: skip
def test_a_container_has_no_more_memory_than_its_limit(files: dict[str, str], left: int | None, tmp_path: Path) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    found = reading_module.free_memory(tmp_path)
    assert found == left if left is not None else found > 2**20


def test_no_more_is_decoded_ahead_than_was_handed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    read_so_far: list[object] = []

    def noted(item: Item, form: ImageForm) -> NDArray[np.uint8]:
        read_so_far.append(item)
        return COLOUR[: form.size[0], : form.size[1]]

    monkeypatch.setattr(chunks, "decode", noted)
    monkeypatch.setattr(chunks, "LARGEST_CHUNK", 1)
    monkeypatch.setattr(chunks, "AHEAD_BYTES", 1)
    coming = chunks.decoded_chunks(split_of(*[COLOUR] * 100), FORM, keep=True, workers=2)
    next(coming)
    time.sleep(0.2)
    assert len(read_so_far) <= 2 * chunks.TASKS
    assert len(list(coming)) == 99


def test_progress_counts_every_image() -> None:
    """Those that cannot be read too, so that the display reaches its end."""
    shown: list[tuple[str, int, list[int]]] = []

    class Recorded:
        def track(self, items: Iterable[T], what: str, total: int, count: Callable[[T], int]) -> Iterator[T]:
            counts: list[int] = []
            shown.append((what, total, counts))
            for item in items:
                counts.append(count(item))
                yield item

        def note(self, text: str) -> None: ...

    items: list[Item] = [GREY, b"", GREY, GREY, b"words", b"", GREY]
    read_split(split_of(*items), FORM, what="reading", progress=Recorded())
    assert shown == [("reading", 7, [1] * 7)]


@pytest.mark.parametrize(
    ("count", "side", "workers", "expected"),
    [(1, 8, 2, 1), (16, 8, 2, 1), (160, 8, 2, 10), (60_000, 28, 2, 256), (60_000, 1000, 2, 5), (9, 10_000, 2, 1)],
)
def test_tasks_keep_all_cores_busy_and_memory_small(count: int, side: int, workers: int, expected: int) -> None:
    assert chunks._chunk_size(count, ImageForm(size=(side, side)), workers) == expected
