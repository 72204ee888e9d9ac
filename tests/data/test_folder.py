"""Folders of class folders, as people keep them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pictures import class_folder

from lenext.data.folder import image_files
from lenext.data.opening import open_source
from lenext.data.source import Source
from lenext.errors import UserError


def fill(root: Path, *names: str) -> Path:
    """Put files of these names below `root`; opening a source decodes none of them."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"pixels")
    return root


def contents(source: Source) -> dict[str, list[tuple[str, str]]]:
    """Return the class and the name of each image, by split."""
    return {
        name: [(source.class_names[i], image) for i, image in zip(split.labels, split.names, strict=True)]
        for name, split in source.splits.items()
    }


def test_subfolders_are_the_classes(tmp_path: Path) -> None:
    source = open_source(fill(tmp_path, "cat/b.png", "cat/a.jpg", "ant/c.webp"))
    assert source.class_names == ("ant", "cat")
    assert contents(source) == {"all": [("ant", "ant/c.webp"), ("cat", "cat/a.jpg"), ("cat", "cat/b.png")]}
    assert source.splits["all"].items == [tmp_path / "ant/c.webp", tmp_path / "cat/a.jpg", tmp_path / "cat/b.png"]
    assert source.location == str(tmp_path)


def test_a_location_may_be_text(tmp_path: Path) -> None:
    fill(tmp_path, "a/1.png", "b/1.png")
    assert contents(open_source(str(tmp_path))) == contents(open_source(tmp_path))


@pytest.mark.parametrize(
    ("train", "val", "test"),
    [
        ("train", "val", "test"),
        ("training", "valid", "testing"),
        ("Train", "VALIDATION", "Test"),
        ("train", "dev", "test"),
    ],
)
def test_split_folders_hold_the_classes(train: str, val: str, test: str, tmp_path: Path) -> None:
    fill(tmp_path, f"{test}/a/3.png", f"{train}/a/1.png", f"{train}/b/1.png", f"{val}/b/2.png")
    source = open_source(tmp_path)
    assert source.class_names == ("a", "b")
    assert list(source.splits) == ["train", "val", "test"]
    assert contents(source) == {
        "train": [("a", f"{train}/a/1.png"), ("b", f"{train}/b/1.png")],
        "val": [("b", f"{val}/b/2.png")],
        "test": [("a", f"{test}/a/3.png")],
    }


def test_two_folders_of_one_split_are_joined(tmp_path: Path) -> None:
    source = open_source(fill(tmp_path, "train/a/1.png", "training/b/1.png", "val/a/2.png"))
    assert contents(source)["train"] == [("a", "train/a/1.png"), ("b", "training/b/1.png")]


def test_train_alone_is_a_split(tmp_path: Path) -> None:
    assert list(open_source(fill(tmp_path, "train/a/1.png", "train/b/1.png")).splits) == ["train"]


def test_a_class_named_as_a_split_beside_other_classes_is_a_class(tmp_path: Path) -> None:
    source = open_source(fill(tmp_path, "train/1.png", "bus/1.png"))
    assert contents(source) == {"all": [("bus", "bus/1.png"), ("train", "train/1.png")]}


def test_hidden_files_and_folders_are_never_data(tmp_path: Path) -> None:
    hidden = [".cache/1.png", "a/.2.png", "a/.thumbs/3.png", "__MACOSX/a/4.png", "a/__MACOSX/5.png", "a/._1.png"]
    source = open_source(fill(tmp_path, "a/1.png", "b/1.png", *hidden))
    assert source.class_names == ("a", "b")
    assert contents(source) == {"all": [("a", "a/1.png"), ("b", "b/1.png")]}


def test_hidden_folders_do_not_hide_the_splits(tmp_path: Path) -> None:
    source = open_source(fill(tmp_path, "train/a/1.png", "test/a/2.png", ".git/1.png", "__MACOSX/train/a/1.png"))
    assert list(source.splits) == ["train", "test"]


def test_other_files_are_no_images(tmp_path: Path) -> None:
    others = ["notes.txt", "labels.csv", "a/Thumbs.db", "a/readme.md", "a/jpg", "b/drawing.svg"]
    assert contents(open_source(fill(tmp_path, "a/1.png", "b/1.png", *others)))["all"] == [
        ("a", "a/1.png"),
        ("b", "b/1.png"),
    ]


def test_suffixes_may_be_written_large(tmp_path: Path) -> None:
    source = open_source(fill(tmp_path, "a/1.JPG", "a/2.Png", "b/3.jpeg"))
    assert [name for _, name in contents(source)["all"]] == ["a/1.JPG", "a/2.Png", "b/3.jpeg"]


def test_order_is_plain_sort_order(tmp_path: Path) -> None:
    source = open_source(fill(tmp_path, "9/2.png", "9/10.png", "9/B.png", "9/a.png", "10/1.png"))
    assert source.class_names == ("10", "9")
    assert [name for _, name in contents(source)["all"]] == ["10/1.png", "9/10.png", "9/2.png", "9/B.png", "9/a.png"]


def test_folders_below_a_class_are_in_plain_sort_order_too(tmp_path: Path) -> None:
    names = [f"a/{i}/1.png" for i in range(20)]
    source = open_source(fill(tmp_path, "b/1.png", *names))
    assert [name for _, name in contents(source)["all"]] == [*sorted(names), "b/1.png"]


def test_names_may_hold_anything(tmp_path: Path) -> None:
    names = ["Größe 大/my picture (1).png", "Größe 大/[x] 'y' \"z\", 50%.png", "ärger/ümlaut.png"]
    source = open_source(fill(tmp_path, *names))
    assert source.class_names == ("Größe 大", "ärger")
    assert sorted(name for _, name in contents(source)["all"]) == sorted(names)
    assert all(path.is_file() for path in source.splits["all"].items)  # type: ignore[union-attr]


def test_folders_below_a_class_belong_to_it(tmp_path: Path) -> None:
    source = open_source(fill(tmp_path, "a/x/deep/1.png", "a/z.png", "a/x/2.png", "b/train/3.png"))
    assert contents(source)["all"] == [
        ("a", "a/z.png"),
        ("a", "a/x/2.png"),
        ("a", "a/x/deep/1.png"),
        ("b", "b/train/3.png"),
    ]


def test_links_to_folders_are_followed(tmp_path: Path) -> None:
    elsewhere = fill(tmp_path / "elsewhere", "1.png", "deep/2.png")
    data = fill(tmp_path / "data", "a/1.png")
    (data / "b").symlink_to(elsewhere)
    (data / "a" / "more").symlink_to(elsewhere / "deep")
    names = [name for _, name in contents(open_source(data))["all"]]
    assert names == ["a/1.png", "a/more/2.png", "b/1.png", "b/deep/2.png"]


def test_a_loop_of_links_ends(tmp_path: Path) -> None:
    fill(tmp_path, "a/1.png", "a/deep/2.png", "b/1.png")
    (tmp_path / "a" / "deep" / "up").symlink_to(tmp_path / "a")
    (tmp_path / "a" / "self").symlink_to(tmp_path / "a" / "self")
    names = [name for _, name in contents(open_source(tmp_path))["all"]]
    assert names == ["a/1.png", "a/deep/2.png", "b/1.png"]


def test_a_loop_beside_the_classes_ends(tmp_path: Path) -> None:
    fill(tmp_path, "a/1.png", "b/1.png")
    (tmp_path / "broken").symlink_to(tmp_path / "broken")
    assert open_source(tmp_path).class_names == ("a", "b")


def test_a_class_only_in_val_is_named(tmp_path: Path) -> None:
    fill(tmp_path, "train/a/1.png", "train/b/1.png", "val/a/2.png", "val/zebra/2.png")
    with pytest.raises(UserError, match=r"the class 'zebra' in val but not in train; add it to train, or take it out"):
        open_source(tmp_path)


def test_without_train_the_classes_are_those_of_all_splits(tmp_path: Path) -> None:
    source = open_source(fill(tmp_path, "val/b/1.png", "test/a/2.png"))
    assert source.class_names == ("a", "b")
    assert contents(source) == {"val": [("b", "val/b/1.png")], "test": [("a", "test/a/2.png")]}


@pytest.mark.parametrize("leftover", ["b", "b/.hidden.png", "b/notes.txt"])
def test_a_class_without_images_is_named(leftover: str, tmp_path: Path) -> None:
    fill(tmp_path, "a/1.png")
    if leftover == "b":
        (tmp_path / "b").mkdir()
    else:
        fill(tmp_path, leftover)
    with pytest.raises(UserError, match=r"the class 'b' has no images \(.*b\); add some, or take the folder away"):
        open_source(tmp_path)


def test_loose_images_need_a_class(tmp_path: Path) -> None:
    fill(tmp_path, "1.png", "2.png")
    with pytest.raises(UserError, match="no class folders, only 2 images without a class"):
        open_source(tmp_path)


def test_loose_images_in_a_split_need_a_class(tmp_path: Path) -> None:
    fill(tmp_path, "train/a/1.png", "train/b/1.png", "test/1.png")
    with pytest.raises(UserError, match="test has no class folders, only 1 images without a class"):
        open_source(tmp_path)


def test_an_empty_folder_says_what_belongs_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no class folders, no images; put the images of each class in a folder of"):
        open_source(tmp_path)


def test_image_files_are_those_of_any_folder(tmp_path: Path) -> None:
    root = class_folder(tmp_path, images=2)
    names = [path.relative_to(root).as_posix() for path in image_files(root)]
    assert names == ["lying/000.png", "lying/001.png", "upright/000.png", "upright/001.png"]


def test_folders_beside_splits_are_no_classes(tmp_path: Path) -> None:
    for name in ("train", "val"):
        class_folder(tmp_path / name, images=2)
    (tmp_path / "annotations").mkdir()
    assert set(open_source(tmp_path).splits) == {"train", "val"}


def test_folders_of_runs_are_no_classes(tmp_path: Path) -> None:
    class_folder(tmp_path, images=2)
    for run in ("runs/lenet5-photos", "my run"):
        (tmp_path / run).mkdir(parents=True)
        (tmp_path / run / "run.json").write_text("{}")
    assert open_source(tmp_path).class_names == ("lying", "upright")


def test_a_stray_parquet_file_does_not_hide_the_images(tmp_path: Path) -> None:
    class_folder(tmp_path, images=2)
    (tmp_path / "lying" / "meta.parquet").write_bytes(b"")
    (tmp_path / "meta.parquet").write_bytes(b"")
    assert len(open_source(tmp_path).splits["all"]) == 4


def test_a_link_up_brings_no_images_of_other_classes(tmp_path: Path) -> None:
    class_folder(tmp_path, images=2)
    (tmp_path / "lying" / "up").symlink_to("..")
    assert len(open_source(tmp_path).splits["all"]) == 4


def test_a_folder_that_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class_folder(tmp_path, images=2)
    (tmp_path / "lying" / "closed").mkdir()
    real = os.scandir

    def scandir(path: str) -> object:
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr("os.scandir", scandir)
    with pytest.raises(UserError, match=r"cannot read the folder .*closed: Permission denied"):
        open_source(tmp_path)
