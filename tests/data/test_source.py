"""One function opens every source, and says what to do where there is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pictures import class_folder, png, stripes

from lenext.data.opening import open_source
from lenext.data.source import Source, Split
from lenext.errors import UserError


@pytest.mark.parametrize("name", ["phtoos", "photo"])
def test_a_location_spelt_wrongly_gets_a_suggestion(name: str, tmp_path: Path) -> None:
    class_folder(tmp_path / "photos", images=1)
    with pytest.raises(UserError, match=r"there is no data at .*; did you mean .*photos\?"):
        open_source(tmp_path / name)


@pytest.mark.parametrize("name", ["nothing/like/it", "zzz"])
def test_a_location_like_no_other_gets_the_kinds_of_source(name: str, tmp_path: Path) -> None:
    class_folder(tmp_path / "photos", images=1)
    with pytest.raises(
        UserError, match="give a folder of class folders, a CSV or parquet table, hub:owner/name, shards:"
    ):
        open_source(tmp_path / name)


@pytest.mark.parametrize("name", ["", "a" * 5000, "nul\0byte", "-"])
def test_a_name_that_nothing_can_have_is_not_there(name: str) -> None:
    with pytest.raises(UserError, match="there is no data at"):
        open_source(name)


def test_the_home_folder_may_be_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    class_folder(tmp_path / "photos", images=1)
    assert open_source("~/photos").class_names == ("lying", "upright")


def test_splits_come_in_their_usual_order() -> None:
    split = Split([b""], np.zeros(1, np.int64), ["x"])
    assert list(Source("x", ("a",), {"all": split, "test": split, "val": split, "train": split}).splits) == [
        "train",
        "val",
        "test",
        "all",
    ]


def test_take_keeps_images_labels_and_names_together() -> None:
    items = [png(stripes(i, upright=True)) for i in range(4)]
    part = Split(items, np.array([5, 6, 7, 8]), ["a", "b", "c", "d"]).take(np.array([2, 0, 2]))
    assert part.items == [items[2], items[0], items[2]]
    assert part.labels.tolist() == [7, 5, 7]
    assert part.names == ["c", "a", "c"]
    assert len(part) == 3


def test_a_folder_called_digits_is_not_taken_for_the_built_in_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class_folder(tmp_path / "digits", images=1)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"also a folder here; give \./digits"):
        open_source("digits")
    assert open_source("./digits").class_names == ("lying", "upright")
