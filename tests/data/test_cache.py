"""The cache on disk: what is decoded once is found again, whole or not at all, and shared by two runs."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import filelock
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pictures import class_folder, encoded, png, stripes
from PIL import Image

from lenext.data import cache as cache_module
from lenext.data import caching, chunks
from lenext.data import reading as reading_module
from lenext.data.cache import INDEX, PIXELS, TABLES, Cache, cache_folder
from lenext.data.decode import ImageForm
from lenext.data.images import CachedImages
from lenext.data.opening import open_source
from lenext.data.reading import Reading, read_split
from lenext.data.source import Split
from lenext.errors import LenextError
from lenext.progress import SILENT, Silent

if TYPE_CHECKING:
    from lenext.data.source import Item

FORM, WHOLE = ImageForm(size=(10, 8)), ImageForm(size=(10, 8), fit="whole")
COLOUR = [png(stripes(i, upright=bool(i % 2), side=20 + i)) for i in range(6)]
GREY = [png(stripes(i, upright=bool(i % 2), side=20 + i)[..., 0]) for i in range(6)]
LONG = encoded(Image.fromarray(stripes(1, upright=True, side=30)).resize((70, 20)), "JPEG")


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test's own."""
    monkeypatch.setenv("LENEXT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def read(items: list[Item], form: ImageForm = FORM, loading: Any = "cache", progress: Silent = SILENT) -> Reading:
    split = Split(items, np.arange(len(items)), [f"picture {i}" for i in range(len(items))])
    return read_split(split, form, what="", loading=loading, workers=1, progress=progress)


def pixels_of(reading: Reading) -> list[NDArray[np.uint8]]:
    assert isinstance(reading.images, CachedImages)
    return [reading.images.image(i).copy() for i in range(len(reading.images))]


def assert_like_memory(found: Reading, items: list[Item], form: ImageForm = FORM) -> None:
    """Hold a reading against that of the same images in memory."""
    expected = read(items, form, "memory")
    for name in ("digests", "sums", "areas", "labels", "skipped"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    assert list(found.split.names) == list(expected.split.names)
    assert found.images.channels == expected.images.channels
    assert len(found.images) == len(expected.images)
    indices = np.arange(len(expected.images))
    np.testing.assert_array_equal(found.images.sides(indices), expected.images.sides(indices))  # type: ignore[attr-defined]
    for i, pixels in enumerate(pixels_of(found)):
        np.testing.assert_array_equal(pixels, expected.images.image(i))  # type: ignore[attr-defined]


def only_folder(place: Path) -> Path:
    [folder] = [path for path in place.iterdir() if path.is_dir()]
    return folder


def forbid_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    def decode(*_: object) -> None:
        raise AssertionError("decoded again")

    monkeypatch.setattr(chunks, "decode", decode)
    monkeypatch.setattr(caching, "decode", decode)


PICTURES = st.lists(st.sampled_from([*COLOUR[:2], *GREY[:2], LONG, b"words"]), max_size=9)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(items=PICTURES, form=st.sampled_from([FORM, WHOLE]), channels=st.sampled_from([None, 1, 3]))
def test_the_cache_holds_what_memory_holds(items: list[Item], form: ImageForm, channels: int | None) -> None:
    form = ImageForm(size=form.size, fit=form.fit, channels=channels)
    assert_like_memory(read(items, form), items, form)
    assert_like_memory(read(items, form), items, form)


@pytest.mark.parametrize("form", [FORM, WHOLE], ids=["cut", "whole"])
def test_grey_images_get_channels_when_one_in_colour_comes(
    form: ImageForm, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "LARGEST_CHUNK", 2)
    items: list[Item] = [b"", *GREY, b"words", COLOUR[1], GREY[0]]
    found = read(items, form)
    assert found.images.channels == 3
    assert_like_memory(found, items, form)
    assert sorted(path.name for path in only_folder(place).iterdir()) == [INDEX, PIXELS, TABLES]


def test_images_are_taken_in_any_order() -> None:
    found = read([b"", *COLOUR])
    order = np.array([4, 0, 0, 5, 2])
    part = found.take(order)
    for pixels, i in zip(pixels_of(part), order, strict=True):
        np.testing.assert_array_equal(pixels, found.images.image(int(i)))  # type: ignore[attr-defined]
    np.testing.assert_array_equal(part.images.batch(np.array([3, 1])), found.images.batch(np.array([5, 0])))


def test_a_second_run_decodes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    items: list[Item] = [*COLOUR, b"words", Path("/nowhere/gone.png")]
    first = read(items)
    forbid_decoding(monkeypatch)
    second = read(items)
    assert second.skipped == first.skipped == [
        ("picture 6", "not an image"), ("picture 7", "there is no such file"),
    ]  # fmt: skip
    for ours, theirs in zip(pixels_of(first), pixels_of(second), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_what_changes_while_it_is_read_is_not_kept(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture, before, after = tmp_path / "picture.png", COLOUR[0], COLOUR[1]
    assert isinstance(before, bytes)
    assert isinstance(after, bytes)
    picture.write_bytes(before)
    opened = caching.file_content

    def changing(item: Item) -> object:
        found = opened(item)
        picture.write_bytes(after)
        return found

    monkeypatch.setattr(caching, "file_content", changing)
    with pytest.raises(LenextError, match="picture 0 changed while it was read; start again"):
        read([picture])
    assert not [path for path in place.iterdir() if path.is_dir()]


def test_images_that_are_cached_are_taken_from_there_though_there_is_no_room(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading_module, "MEMORY_SHARE", 0.0)
    monkeypatch.setattr(reading_module, "DISK_SHARE", 0.0)
    assert read(COLOUR, loading="auto").images.way == "workers"
    assert not place.exists()
    read(COLOUR)
    assert read(COLOUR, loading="auto").images.way == "cache"
    assert read(COLOUR[:3], loading="auto").images.way == "workers"


def test_what_killed_runs_have_left_of_other_images_goes(place: Path) -> None:
    place.mkdir(parents=True)
    dead, alive = "0" * 32, "a" * 32
    for name in (dead, alive, "ssh"):
        (place / f".{name}").mkdir()
        (place / f".{name}" / PIXELS).write_bytes(b"half")
    with filelock.FileLock(f"{place / alive}.lock"):
        read(COLOUR)
    assert sorted(path.name for path in place.glob(".*")) == [f".{alive}", ".ssh"]


def test_other_images_orders_and_forms_are_other_caches(place: Path) -> None:
    made = [
        (COLOUR, FORM), (COLOUR[::-1], FORM), (COLOUR[:5], FORM), (COLOUR, WHOLE), (GREY, FORM),
        (COLOUR, ImageForm(size=(8, 10))), (COLOUR, ImageForm(size=(10, 8), channels=3)),
        (COLOUR, ImageForm(size=(10, 8), interpolation="bicubic")), (COLOUR, ImageForm(size=(10, 8), fit="pad")),
        (COLOUR, ImageForm(size=(10, 8), crop_ratio=0.5)),
    ]  # fmt: skip
    for items, form in made:
        assert_like_memory(read(list(items), form), list(items), form)
    assert len([path for path in place.iterdir() if path.is_dir()]) == len(made)


def test_names_and_labels_are_no_part_of_it(tmp_path: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same images elsewhere are found again."""
    first = open_source(class_folder(tmp_path / "here", images=2)).splits["all"]
    second = open_source(class_folder(tmp_path / "there", images=2, classes=("down", "up"))).splits["all"]
    read_split(first, FORM, what="", loading="cache", workers=1)
    forbid_decoding(monkeypatch)
    read_split(second, FORM, what="", loading="cache", workers=1)
    assert only_folder(place)


@pytest.mark.parametrize("items", [[], [b"words", b""]], ids=["nothing", "nothing readable"])
def test_a_cache_without_images(items: list[Item], monkeypatch: pytest.MonkeyPatch) -> None:
    assert_like_memory(read(items), items)
    forbid_decoding(monkeypatch)
    found = read(items)
    assert (len(found.images), len(found.skipped)) == (0, len(items))


# Damage


def flip(path: Path, *bytes_at: int) -> None:
    data = bytearray(path.read_bytes())
    for at in bytes_at:
        data[at] ^= 0xFF
    path.write_bytes(data)


def test_damaged_pixels_are_repaired(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    items: list[Item] = [b"", *COLOUR]
    read(items)
    path = only_folder(place) / PIXELS
    whole = path.read_bytes()
    flip(path, 5, 2 * 240 + 239, len(whole) - 1)  # an image has 240 bytes
    found = read(items)
    taken = found.take(np.array([5, 4, 2]))
    expected = read(items, loading="memory").images
    assert isinstance(taken.images, CachedImages)
    for place_in_part, i in enumerate((5, 4, 2)):
        np.testing.assert_array_equal(taken.images.image(place_in_part), expected.image(i))  # type: ignore[attr-defined]
    assert_like_memory(found, items)
    found.images.buffers[0].flush()  # type: ignore[attr-defined]
    assert path.read_bytes() == whole
    forbid_decoding(monkeypatch)
    pixels_of(read(items))


def test_sound_pixels_are_not_decoded_again(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read(list(COLOUR))
    flip(only_folder(place) / PIXELS, 0)
    found = read(list(COLOUR))
    forbid_decoding(monkeypatch)
    found.images.batch(np.arange(1, 6))
    with pytest.raises(AssertionError, match="decoded again"):
        found.images.batch(np.arange(6))


@pytest.mark.parametrize(
    ("after", "reason"),
    [(None, "there is no such file"), (COLOUR[1], "it has changed since; start again")],
    ids=["gone", "changed"],
)
def test_damage_that_cannot_be_repaired_is_told(after: bytes | None, reason: str, tmp_path: Path, place: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(COLOUR[0])
    read([COLOUR[2], path])
    flip(only_folder(place) / PIXELS, 300)
    found = read([COLOUR[2], path])
    if after is None:
        path.unlink()
    else:
        path.write_bytes(after)
    with pytest.raises(LenextError) as caught:
        found.images.batch(np.array([0, 1]))
    assert str(caught.value) == f"picture 1 can no longer be read: {reason}"


def garble(path: Path) -> None:
    path.write_bytes(np.random.default_rng(1).bytes(path.stat().st_size))


def edit_index(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        value = json.loads((folder / INDEX).read_text())
        change(value)
        (folder / INDEX).write_text(json.dumps(value))

    return edit


DAMAGE: dict[str, Callable[[Path], object]] = {
    "pixels truncated": lambda folder: (folder / PIXELS).write_bytes((folder / PIXELS).read_bytes()[:-1]),
    "pixels longer": lambda folder: (folder / PIXELS).write_bytes((folder / PIXELS).read_bytes() + b"1"),
    "pixels gone": lambda folder: (folder / PIXELS).unlink(),
    "index gone": lambda folder: (folder / INDEX).unlink(),
    "index empty": lambda folder: (folder / INDEX).write_bytes(b""),
    "index garbled": lambda folder: garble(folder / INDEX),
    "index a list": lambda folder: (folder / INDEX).write_text("[1]"),
    "index deep": lambda folder: (folder / INDEX).write_text("[" * 10**5),
    "index of another format": edit_index(lambda value: value.update(format=99)),
    "index of another layout": edit_index(lambda value: value.update(layout=0)),
    "index without reasons": edit_index(lambda value: value.pop("reasons")),
    "index of fewer images": edit_index(lambda value: value["reasons"].pop()),
    "index of one less readable": edit_index(lambda value: value["reasons"].__setitem__(0, "no")),
    "index of no list": edit_index(lambda value: value.update(reasons=7)),
    "index of other tables": edit_index(lambda value: value.update(tables="00")),
    "tables gone": lambda folder: (folder / TABLES).unlink(),
    "tables empty": lambda folder: (folder / TABLES).write_bytes(b""),
    "tables garbled": lambda folder: garble(folder / TABLES),
    "tables flipped": lambda folder: flip(folder / TABLES, 700),
    "tables a folder": lambda folder: ((folder / TABLES).unlink(), (folder / TABLES).mkdir()),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_not_whole_is_made_again(damage: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    items: list[Item] = [*COLOUR, b"words"]
    read(items)
    DAMAGE[damage](only_folder(place))
    assert_like_memory(read(items), items)
    forbid_decoding(monkeypatch)
    pixels_of(read(items))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from([INDEX, TABLES]), at=st.floats(0, 0.999), keep=st.floats(0, 1), cut=st.booleans())
def test_no_damage_of_the_tables_comes_through(place: Path, name: str, at: float, keep: float, cut: bool) -> None:
    items: list[Item] = [*COLOUR[:2], b"words"]
    read(items)
    path = only_folder(place) / name
    data = path.read_bytes()
    if cut:
        path.write_bytes(data[: int(keep * len(data))])
    else:
        flip(path, int(at * len(data)))
    found = read(items)
    assert [name for name, _ in found.skipped] == ["picture 2"]
    for pixels, expected in zip(pixels_of(found), read(items, loading="memory").images.pixels, strict=True):  # type: ignore[attr-defined]
        np.testing.assert_array_equal(pixels, expected)


def test_what_a_killed_run_left_is_made_again_and_cleared_away(place: Path) -> None:
    """One was killed while it wrote, another before it had written anything but pixels."""
    read(list(COLOUR))
    folder = only_folder(place)
    (folder / INDEX).unlink()
    (folder / TABLES).unlink()
    beside = folder.with_name(f".{folder.name}")
    (beside / "deep").mkdir(parents=True)
    (beside / PIXELS).write_bytes(b"half")
    assert_like_memory(read(list(COLOUR)), list(COLOUR))
    assert only_folder(place) == folder


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device")])
def test_writing_that_is_broken_off_leaves_nothing(
    error: BaseException, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def savez(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(cache_module.np, "savez", savez)
    with pytest.raises((KeyboardInterrupt, LenextError)) as caught:
        read(list(COLOUR))
    if isinstance(error, OSError):
        assert str(caught.value) == (
            f"cannot write to the cache {place}: No space left on device; set LENEXT_CACHE to a folder that has room "
            "and can be written to, or give --loading workers"
        )
    assert not [path for path in place.iterdir() if path.is_dir()]
    monkeypatch.undo()
    monkeypatch.setenv("LENEXT_CACHE", str(place))
    assert_like_memory(read(list(COLOUR)), list(COLOUR))


@pytest.mark.parametrize("below", [False, True])
def test_a_cache_that_cannot_be_written_to_is_told(
    below: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("LENEXT_CACHE", str(tmp_path / "file" / "below" if below else tmp_path / "file"))
    with pytest.raises(LenextError) as caught:
        read(list(COLOUR))
    assert str(caught.value).startswith(f"cannot write to the cache {cache_folder()}: ")
    assert str(caught.value).endswith("or give --loading workers")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("given_", "base", "folder"),
    [("a/b", "c", "a/b"), (None, "c", "c/lenext/images"), (None, None, "~/.cache/lenext/images")],
)
def test_where_the_cache_lies(
    given_: str | None, base: str | None, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("LENEXT_CACHE", given_), ("XDG_CACHE_HOME", base)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    assert cache_folder() == Path(folder).expanduser()


# Two runs


class Notes(Silent):
    """Keeps the notes."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.coming = threading.Event()

    def note(self, text: str) -> None:
        self.told.append(text)
        self.coming.set()


def test_the_second_run_waits_for_the_first_and_decodes_nothing(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read(list(COLOUR))
    notes, found = Notes(), list[Reading]()
    forbid_decoding(monkeypatch)
    second = threading.Thread(target=lambda: found.append(read(list(COLOUR), progress=notes)))
    with Cache(only_folder(place).name, SILENT).locked():
        second.start()
        assert notes.coming.wait(20)
        assert not found
    second.join(20)
    assert notes.told == ["another run is decoding the same images: waiting for it"]
    assert len(pixels_of(found[0])) == 6


def test_two_processes_at_once_make_one_sound_cache(tmp_path: Path, place: Path) -> None:
    folder, log = class_folder(tmp_path / "images", images=150), tmp_path / "log"
    script = f"""
import sys, time
from lenext.data import chunks
from lenext.data.opening import open_source
from lenext.data.reading import read_split
from lenext.data.decode import ImageForm
whole = chunks.decode
def decode(*arguments):
    with open({str(log)!r}, "a") as file:
        file.write("decoded\\n")
    return whole(*arguments)
chunks.decode = decode
split = open_source({str(folder)!r}).splits["all"]
print("ready", flush=True)
sys.stdin.readline()
reading = read_split(split, ImageForm(size=(10, 8)), what="", loading="cache", workers=1)
print(sum(int(reading.images.image(i).sum()) for i in range(300)))
"""
    runs = [
        subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for run in runs:
        assert run.stdout is not None
        assert run.stdout.readline() == "ready\n"
    for run in runs:
        assert run.stdin is not None
        run.stdin.write("\n")
        run.stdin.flush()
    sums = [run.communicate(timeout=60)[0] for run in runs]
    split = open_source(folder).splits["all"]
    expected = read_split(split, FORM, what="", loading="memory", workers=1)
    assert sums == [f"{expected.sums[..., 0].sum()}\n"] * 2
    assert log.read_text().count("decoded") == 300
    found = read_split(split, FORM, what="", loading="cache", workers=1)
    np.testing.assert_array_equal(found.images.batch(np.arange(300)), expected.images.batch(np.arange(300)))
    assert only_folder(place)
