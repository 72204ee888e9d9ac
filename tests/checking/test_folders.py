"""What is listed of a folder is what training would open; what it would not is told."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pictures import png, stripes

from lenext.checking.folders import list_folder
from lenext.checking.listing import Listing
from lenext.data.folder import open_folder
from lenext.errors import UserError

PICTURE = png(stripes(0, upright=True))


def fill(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(PICTURE)
    return root


def told(listing: Listing) -> set[tuple[str, str]]:
    return {(each.kind, each.path) for each in listing.problems}


@given(
    st.dictionaries(
        st.tuples(st.sampled_from(["train", "val", "test", ""]), st.sampled_from("ab"), st.sampled_from("xyz")),
        st.none(),
    )
)
def test_where_a_folder_can_be_opened_the_same_is_listed(
    tmp_path_factory: pytest.TempPathFactory, files: dict[tuple[str, str, str], None]
) -> None:
    root = fill(tmp_path_factory.mktemp("data"), *("/".join(filter(None, file)) + ".png" for file in files))
    listing = list_folder(root).source
    try:
        source = open_folder(root)
    except UserError:
        return
    assert listing.class_names == source.class_names
    assert {name: (list(split.names), split.labels.tolist()) for name, split in listing.splits.items()} == {
        name: (list(split.names), split.labels.tolist()) for name, split in source.splits.items()
    }


def test_loose_images_are_listed_without_a_class(tmp_path: Path) -> None:
    listing = list_folder(fill(tmp_path, "1.png", "a/2.png", "b/3.png"))
    split = listing.source.splits["all"]
    assert list(zip(split.names, split.labels.tolist(), strict=True)) == [("1.png", -1), ("a/2.png", 0), ("b/3.png", 1)]
    assert told(listing) == {("loose-image", "1.png")}


def test_a_folder_of_loose_images_has_no_classes(tmp_path: Path) -> None:
    listing = list_folder(fill(tmp_path, "1.png", "2.png"))
    assert told(listing) == {("loose-image", "1.png"), ("loose-image", "2.png"), ("no-classes", ".")}
    assert listing.source.class_names == ()


def test_links_are_followed_once_and_not_up(tmp_path: Path) -> None:
    fill(tmp_path, "photos/a/1.png", "photos/b/1.png", "elsewhere/2.png")
    (tmp_path / "photos/a/more").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "photos/a/again").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "photos/b/up").symlink_to(tmp_path / "photos")
    listing = list_folder(tmp_path / "photos")
    assert list(listing.source.splits["all"].names) == ["a/1.png", "a/again/2.png", "b/1.png"]
    assert listing.problems == []


def test_folders_that_cannot_be_read_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, "a/1.png", "b/1.png", "b/closed/2.png")
    real = os.scandir

    def scandir(path: Any) -> Any:  # as for anybody but root
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    (found,) = list_folder(tmp_path).problems
    assert (found.kind, found.path) == ("unreadable-folder", "b/closed")
    assert found.detail == "cannot be read: Permission denied"


def test_numbered_files_in_plain_order_are_told_where_it_differs(tmp_path: Path) -> None:
    fill(tmp_path, *(f"a/frame {i}.png" for i in range(1, 12)), *(f"b/{i:02}.png" for i in range(1, 12)))
    fill(tmp_path, "c/0013035.png", "c/1030023514_aad5c.png", "c/10308379_1b6c7.png", "c/9_x.png")
    (found,) = list_folder(tmp_path).problems
    assert (found.kind, found.path) == ("order", "a")
    assert found.detail == "plain order puts 'frame 11.png' before 'frame 2.png'"


def test_runs_are_no_classes(tmp_path: Path) -> None:
    fill(tmp_path, "a/1.png", "b/1.png", "runs/first/1.png")
    (tmp_path / "runs/first/run.json").write_text("{}")
    assert list_folder(tmp_path).source.class_names == ("a", "b")


def test_many_hidden_files_are_told_together(tmp_path: Path) -> None:
    fill(tmp_path, "a/1.png", "b/1.png", *(f"a/._{i:02}.png" for i in range(30)))
    found = [each for each in list_folder(tmp_path).problems if each.kind == "hidden"]
    assert len(found) == 21
    assert found[-1].detail == "10 more hidden files"
