"""Lists of images to leave out: what is written is read, edited or not, and what is listed is never looked at."""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pictures import class_folder, png, stripes
from pyarrow import parquet as pq

import lenext
from lenext.data.exclusions import Exclusion, read_exclusions, without, write_exclusions
from lenext.data.opening import open_source
from lenext.data.source import Source, Split
from lenext.errors import UserError

SAMPLE = Path(__file__).parents[1] / "golden" / "exclusions-format-1.csv"


class Notes:
    """Keeps what is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def track(self, items: object, *_: object) -> object:
        return items

    def note(self, text: str) -> None:
        self.told.append(text)


def names(source: Source) -> dict[str, list[str]]:
    return {name: list(split.names) for name, split in source.splits.items()}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two images of each class in train, one in val."""
    class_folder(tmp_path / "photos" / "train", images=2)
    class_folder(tmp_path / "photos" / "val", images=1)
    return tmp_path / "photos"


def listed(folder: Path, *lines: str) -> Path:
    path = folder / "list.txt"
    path.write_text("\n".join(lines))
    return path


def test_what_was_written_is_read(tmp_path: Path) -> None:
    odd = ["a, b.png", 'c "d".png', "e\nf.png", "g\r.png", "# h.png", " i .png", "grüße 测试.png", os.fsdecode(b"\xe9")]
    write_exclusions(tmp_path / "list.csv", [Exclusion(name, "blank", "one, colour") for name in odd], data="a,\n b")
    assert read_exclusions(tmp_path / "list.csv") == (*odd[:-1], "\\udce9")
    assert (tmp_path / "list.csv").read_text(encoding="utf-8-sig").splitlines()[0].startswith('"# format 1 by lenext ')
    assert [path.name for path in tmp_path.iterdir()] == ["list.csv"]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)))
def test_any_name_comes_back(tmp_path_factory: pytest.TempPathFactory, found: list[str]) -> None:
    path = tmp_path_factory.mktemp("lists") / "list.csv"
    write_exclusions(path, [Exclusion(name, "k", "") for name in found], data="photos")
    assert read_exclusions(path) == tuple(found)


def test_a_list_of_format_1_stays_readable() -> None:
    assert read_exclusions(SAMPLE) == ("train/ants/a, b.jpg", "val/bees/größe.jpg", 'train/bees/"c"\nd.jpg')


def test_a_list_that_a_spreadsheet_saved_is_read(tmp_path: Path) -> None:
    write_exclusions(tmp_path / "list.csv", [Exclusion("a, b/1.jpg", "blank", "x")], data="photos")
    text = (tmp_path / "list.csv").read_text(encoding="utf-8-sig")
    stamp, header, row = text.splitlines()
    kept = tmp_path / "kept.csv"
    for edited in (
        f"{stamp},,\r\n{header}\r\n{row}\r\n,,\r\n",
        f"{stamp};;\r\n{header.replace(',', ';')}\r\na, b/1.jpg;blank;x\r\n",
        f'"{stamp}"\n"path"\t"kind"\n"a, b/1.jpg"\t"blank"\n',
        'path,kind\n"a, b/1.jpg",mine\n',
        'path\n"a, b/1.jpg"\n',
        "a, b/1.jpg\r\n\r\n",
    ):
        kept.write_bytes(edited.encode())
        assert read_exclusions(kept) == ("a, b/1.jpg",), edited


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty; a list of images has one name a line, or a column 'path'"),
        (b"PK\x03\x04\xff", "is no list of images: not UTF-8"),
        (
            b"# format 2 by lenext 9.0: images\npath\n",
            "has format 2, written by lenext 9.0; this is lenext .*: use the",
        ),
        (b"# format 1 by lenext 0.1.0: images\nname,kind\n", "is damaged: its second line does not name the columns"),
        (b"path,kind\n,blank\n", r"has a line without a path \(blank\); complete it"),
        (b'path\n"' + 140_000 * b"a" + b'"\n', "is damaged: field larger than field limit"),
    ],
)
def test_what_is_no_list_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        read_exclusions(path)
    assert "\n" not in str(caught.value)


def test_no_list_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"there is no list .*gone.csv; `lenext check DATA --write-exclusions"):
        read_exclusions(tmp_path / "gone.csv")
    with pytest.raises(UserError, match=r"cannot read the list .*: Is a directory"):
        read_exclusions(tmp_path)


def test_nothing_is_written_over(tmp_path: Path) -> None:
    path = listed(tmp_path, "mine")
    with pytest.raises(UserError, match="is there already; give another name"):
        write_exclusions(path, [], data="photos")
    assert path.read_text() == "mine"


def test_a_list_of_nothing_leaves_all(photos: Path, tmp_path: Path) -> None:
    write_exclusions(tmp_path / "list.csv", [], data="photos")
    assert names(open_source(photos, exclude=tmp_path / "list.csv")) == names(open_source(photos))


def test_listed_images_are_left_out_and_others_stay(photos: Path, tmp_path: Path) -> None:
    notes = Notes()
    path = listed(tmp_path, "train/lying/000.png", "val/upright/000.png", "train/gone.png")
    source = open_source(photos, exclude=path, progress=notes)  # type: ignore[arg-type]
    whole = open_source(photos)
    assert names(source) == {
        "train": ["train/lying/001.png", "train/upright/000.png", "train/upright/001.png"],
        "val": ["val/lying/000.png"],
    }
    assert source.class_names == whole.class_names
    assert source.splits["train"].labels.tolist() == [0, 1, 1]
    assert source.splits["train"].items == [photos / name for name in source.splits["train"].names]
    assert notes.told == [
        f"left out: 2 images that {path} lists",
        f"note: 1 of the 3 names in {path} are no images of {photos}, such as 'train/gone.png'",
    ]


def test_a_list_of_other_images_is_refused(photos: Path, tmp_path: Path) -> None:
    path = listed(tmp_path, "photos/train/lying/000.png")
    with pytest.raises(
        UserError, match=r"none of the 1 names in .*, such as .*are called as 'train/lying/000\.png' is"
    ):
        open_source(photos, exclude=path)


def test_no_class_and_no_split_is_emptied(photos: Path, tmp_path: Path) -> None:
    path = listed(tmp_path, "train/lying/000.png", "train/lying/001.png")
    with pytest.raises(
        UserError, match=r"leaves no image of the class 'lying' to train on in .*; take lines out of it"
    ):
        open_source(photos, exclude=path)
    path = listed(tmp_path, "val/lying/000.png", "val/upright/000.png")
    with pytest.raises(UserError, match=r"leaves no image in val of .*; take lines out of it"):
        open_source(photos, exclude=path)


def test_names_that_are_not_utf_8_are_found(tmp_path: Path) -> None:
    odd = os.fsdecode(b"caf\xe9.png")
    source = Source("here", ("a",), {"all": Split([b"", b""], np.zeros(2, np.int64), [odd, "other.png"])})
    write_exclusions(tmp_path / "list.csv", [Exclusion(odd, "blank", "")], data="here")
    left = without(source, read_exclusions(tmp_path / "list.csv"), where="list.csv")
    assert names(left) == {"all": ["other.png"]}
    assert names(without(source, [odd], where="list.csv")) == {"all": ["other.png"]}


def as_table(folder: Path) -> tuple[str, list[str]]:
    class_folder(folder, images=2)
    files = ["lying/000.png", "lying/001.png", "upright/000.png", "upright/001.png"]
    (folder / "table.csv").write_text("path,label\n" + "".join(f"{file},{file[0]}\n" for file in files))
    return str(folder / "table.csv"), files


def as_parquet(folder: Path) -> tuple[str, list[str]]:
    images = [{"bytes": png(stripes(i, upright=bool(i % 2))), "path": None} for i in range(4)]
    pq.write_table(pa.table({"image": images, "label": [0, 1, 0, 1]}), folder / "train.parquet")
    return str(folder), [f"train[{i}]" for i in range(4)]


def as_shards(folder: Path) -> tuple[str, list[str]]:
    for shard in range(2):
        with tarfile.open(folder / f"train-{shard}.tar", "w") as tar:
            for i in range(2):
                for ending, data in (("png", png(stripes(i, upright=bool(shard)))), ("cls", str(i).encode())):
                    (folder / "file").write_bytes(data)
                    tar.add(folder / "file", f"{i}.{ending}")
    return f"shards:{folder}/train-{{0,1}}.tar", [f"{folder}/train-{s}.tar/{i}.png" for s in (0, 1) for i in (0, 1)]


def as_digits(_: Path) -> tuple[str, list[str]]:
    return "digits", [f"digits[{i}]" for i in range(1797)]


@pytest.mark.parametrize("made", [as_table, as_parquet, as_shards, as_digits])
def test_every_source_can_leave_images_out(made: Callable[[Path], tuple[str, list[str]]], tmp_path: Path) -> None:
    location, called = made(tmp_path)
    source = open_source(location, exclude=listed(tmp_path, called[1]))
    (split,) = source.splits.values()
    (whole,) = open_source(location).splits.values()
    kept = [0, *range(2, len(called))]
    assert list(split.names) == [called[i] for i in kept]
    assert split.labels.tolist() == whole.labels[kept].tolist()
    assert all(
        np.array_equal(np.asarray(a), np.asarray(whole.items[i])) for a, i in zip(split.items, kept, strict=True)
    )


def test_shards_are_known_from_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    location, called = as_shards(tmp_path)
    monkeypatch.chdir(tmp_path)
    (here,) = open_source("shards:train-{0,1}.tar", exclude=listed(tmp_path, called[0])).splits.values()
    assert list(here.names) == ["train-0.tar/1.png", "train-1.tar/0.png", "train-1.tar/1.png"]
    (there,) = open_source(location, exclude=listed(tmp_path, "train-1.tar/1.png")).splits.values()
    assert list(there.names) == called[:3]


def test_a_run_keeps_its_list_and_goes_on_with_it_alone(photos: Path, tmp_path: Path) -> None:
    (photos / "train" / "lying" / "broken.png").write_text("no image")
    path = listed(tmp_path, "train/lying/broken.png", "train/upright/000.png")
    result = lenext.train(photos, "mlp", epochs=1, threads=1, exclude=path, out=tmp_path / "run")
    assert (result.train_images, result.skipped) == (3, 0)
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["settings"]["exclude"] == str(path)
    assert f"--exclude {path}" in record["command"]
    assert "train/upright/000.png" not in (tmp_path / "run" / "images.csv").read_text()

    record["state"] = "interrupted"
    (tmp_path / "run" / "run.json").write_text(json.dumps(record))
    path.write_text("train/lying/broken.png\n")
    with pytest.raises(UserError, match=r"images to train on was 3 .* is 4 now.*upright/000\.png.*bring back what was"):
        lenext.resume(tmp_path / "run")


def test_the_commands_leave_images_out(command: Callable[..., object], digits_run: Path, tmp_path: Path) -> None:
    whole = lenext.evaluate(digits_run, "digits", split="all")
    path = listed(tmp_path, *(f"digits[{i}]" for i in range(0, 1797, 2)))
    done = command("evaluate", digits_run, "digits", "--split", "all", "--exclude", path, "--json")
    assert done.json["images"] == whole.images // 2  # type: ignore[attr-defined]
    assert f"left out: 899 images that {path} lists" in done.err  # type: ignore[attr-defined]
    gone = command("train", "digits", "--model", "mlp", "--exclude", tmp_path / "gone.csv", "--out", tmp_path / "run")
    assert gone.code == 2  # type: ignore[attr-defined]
    assert "there is no list" in gone.err  # type: ignore[attr-defined]
    assert not (tmp_path / "run").exists()
