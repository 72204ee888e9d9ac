"""What was seen of files that have not changed is not looked at again; whatever is wrong with it is no trouble."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pictures import class_folder, png, stripes

from lenext.checking import looks
from lenext.checking.check import check
from lenext.checking.looks import LOOK, VERSION
from lenext.checking.remembering import Memory


@pytest.fixture
def photos(tmp_path: Path, own_cache: Path) -> Path:
    folder = class_folder(tmp_path / "photos", images=8)
    (folder / "lying" / "broken.png").write_text("no image")
    return folder


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that were looked at."""
    seen: list[Path] = []
    real = looks.look_at

    def look_at(item: Any) -> tuple[NDArray[Any], str]:
        seen.append(item)
        return real(item)

    monkeypatch.setattr(looks, "look_at", look_at)
    return seen


def database(cache: Path) -> Path:
    (path,) = (cache / "lenext" / "checks").glob("*.sqlite")
    return path


def test_the_second_check_looks_at_what_is_new_alone(photos: Path, looked: list[Path]) -> None:
    first = check(photos)
    assert len(looked) == 17
    looked.clear()
    second = check(photos)
    assert looked == [photos / "lying" / "broken.png"], "what could not be read is tried again"
    assert second.problems == first.problems
    assert np.array_equal(second.looks, first.looks)

    changed, touched = photos / "upright" / "000.png", photos / "upright" / "001.png"
    changed.write_bytes(png(stripes(99, upright=True)))
    os.utime(touched, ns=(0, 1))
    (photos / "upright" / "new.png").write_bytes(png(stripes(98, upright=True)))
    looked.clear()
    check(photos)
    assert {*looked} == {photos / "lying" / "broken.png", changed, touched, photos / "upright" / "new.png"}


@pytest.mark.parametrize("damage", ["garbage", "entry", "version", "size", "gone"])
def test_what_is_damaged_is_looked_at_again(photos: Path, looked: list[Path], own_cache: Path, damage: str) -> None:
    first = check(photos)
    path = database(own_cache)
    if damage == "garbage":
        path.write_bytes(b"no database" * 1000)
        for beside in path.parent.glob("*-wal"):
            beside.unlink()
    elif damage == "gone":
        path.unlink()
    else:
        with sqlite3.connect(path) as connection:
            if damage == "version":
                connection.execute(f"PRAGMA user_version={VERSION + 1}")
            elif damage == "size":
                connection.execute("UPDATE looks SET value = x'00'")
            else:
                key, value = connection.execute("SELECT key, value FROM looks").fetchone()
                connection.execute("UPDATE looks SET value = ? WHERE key = ?", [value[:-1] + b"\xff", key])
        connection.close()
    looked.clear()
    again = check(photos)
    assert len(looked) == (2 if damage == "entry" else 17)
    assert again.problems == first.problems
    looked.clear()
    check(photos)
    assert len(looked) == 1


def test_without_a_cache_files_are_looked_at(
    photos: Path, looked: list[Path], own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (own_cache / "lenext").write_text("a file where the folder should be")
    assert check(photos).images == 17
    assert check(photos).images == 17
    assert len(looked) == 34


def test_a_full_disk_is_no_trouble(photos: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Memory(photos, VERSION, LOOK.itemsize) as memory:
        key = memory.key(photos / "upright" / "000.png")
        assert key is not None
        assert memory._database is not None
        memory._database.execute("PRAGMA max_page_count=1")
        memory.keep({key: b"\0" * LOOK.itemsize} | {bytes([i]) * 16: b"\0" * LOOK.itemsize for i in range(99)})
        assert memory.recall([key]) == {}
        memory.keep({key: b"\0" * LOOK.itemsize})


def test_what_nobody_asked_for_is_forgotten(photos: Path, own_cache: Path) -> None:
    check(photos)
    path = database(own_cache)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE looks SET seen = 0")
    connection.close()
    other = path.with_name("0" * 32 + ".sqlite")
    other.write_bytes(b"")
    os.utime(other, (0, 0))
    with Memory(photos, VERSION, LOOK.itemsize):
        pass
    assert not other.exists()
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM looks").fetchone() == (0,)
    connection.close()
