"""A check finds what was planted, nothing else, and changes nothing; every source can be checked."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pictures import class_folder, png, stripes
from PIL import Image
from pyarrow import parquet as pq
from troubles import Planted, photo, troubled_folder

import lenext
from lenext.checking.advice import advice
from lenext.checking.check import Check, check
from lenext.checking.kinds import KINDS, Problem
from lenext.data.decode import HEIC_HINT
from lenext.data.exclusions import write_exclusions
from lenext.data.opening import open_source
from lenext.errors import UserError

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture(scope="module")
def troubled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Planted]:
    folder = tmp_path_factory.mktemp("data") / "photos"
    return folder, troubled_folder(folder)


@pytest.fixture
def found(troubled: tuple[Path, Planted]) -> Check:
    return check(troubled[0])


def told(found: Check) -> Planted:
    return {(each.kind, each.path) for each in found.problems}


def listing(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Return size, time of change and content of every file."""
    return {
        str(path): (path.lstat().st_size, path.lstat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in sorted(folder.rglob("*"))
    }


def test_every_planted_trouble_is_found_and_nothing_else(troubled: tuple[Path, Planted]) -> None:
    folder, planted = troubled
    before = listing(folder)
    found = check(folder)
    assert told(found) == planted
    assert len(found.problems) == len(planted), "none is told twice"
    assert listing(folder) == before
    assert {kind for kind, _ in planted} >= {*KINDS} - {"heic", "unreadable-folder", "no-classes", "too-alike"}


def test_a_clean_folder_has_nothing(troubled: tuple[Path, Planted], tmp_path: Path) -> None:
    for i in range(24):
        path = tmp_path / ("val" if i < 6 else "train") / "ab"[i % 2] / f"{i:02}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        photo(500 + i).save(path)
    found = check(tmp_path)
    assert found.problems == []
    assert advice(found) == []
    assert (found.images, found.readable, found.refusal) == (24, 24, None)


def test_the_json_has_what_was_agreed(found: Check) -> None:
    said = found.to_json()
    names = {each["path"] for each in said["problems"] if each["kind"] in ("hidden", "loose-image", "unnamed-image")}
    assert said["images"] == sum(split["images"] for split in said["splits"].values()) > 100
    assert said["images"] - said["readable"] == 7
    assert "train/1/.hidden.jpg" in names
    assert said["classes"] == len(said["class_names"]) == 7
    assert all({"kind", "path", "detail", "severity"} <= set(each) for each in said["problems"])
    assert said["splits"]["train"]["images_of_class"][said["class_names"].index("few")] == 2
    assert sum(said["kinds"].values()) == len(said["problems"])
    assert said["formats"]["WEBP"] == 1
    assert said["formats"]["AVIF"] == 1
    assert "has no images" in said["refusal"]
    of_pair = next(each for each in said["problems"] if each["path"] == "train/1/copy of val.jpg")
    assert of_pair["other"] == "val/1/000.jpg"


def test_what_is_excluded(found: Check) -> None:
    listed = {each.path: each.kind for each in found.exclusions()}
    assert listed == {
        "train/1/empty.jpg": "empty",
        "train/1/cut off.jpg": "truncated",
        "train/1/cut off.png": "truncated",
        "train/broken/1.png": "truncated",
        "train/1/text.jpg": "not-an-image",
        "train/1/damaged.png": "unreadable",
        "train/1/gone.jpg": "missing",
        "train/10/white.png": "blank",
        "train/10/night.jpg": "blank",
        "train/1/copy of val.jpg": "duplicate-across-splits",
        "train/10/copy of 2.jpg": "duplicate-across-classes",
        "train/2/001.jpg": "duplicate-across-classes",
        "train/2/copy.jpg": "duplicate",
        "train/1/smaller val.jpg": "near-duplicate-across-splits",
        "train/2/compressed val.jpg": "near-duplicate-across-splits",
        "train/10/cropped val.jpg": "near-duplicate-across-splits",
        "train/10/004.jpg": "near-duplicate-across-classes",
        "train/1/cropped 10.jpg": "near-duplicate-across-classes",
    }


def test_advice_begins_with_what_stops_training(found: Check) -> None:
    texts = [each.text for each in advice(found)]
    assert texts[0].startswith("Training would not begin: the class 'nothing' has no images")
    assert any("Leave out 18 images" in text and "4 of them are copies across splits" in text for text in texts)


def test_what_is_left_out_trains_and_is_clean(tmp_path: Path) -> None:
    folder = class_folder(tmp_path / "photos")
    (folder / "lying" / "empty.png").write_bytes(b"")
    (folder / "lying" / "again.png").write_bytes((folder / "lying" / "000.png").read_bytes())
    (folder / "upright" / "white.png").write_bytes(png(stripes(0, upright=True) * 0 + 255))
    write_exclusions(tmp_path / "list.csv", check(folder).exclusions(), data=str(folder))
    names = open_source(folder, exclude=tmp_path / "list.csv").splits["all"].names
    assert sorted(names) == [f"{label}/{i:03}.png" for label in ("lying", "upright") for i in range(12)]
    result = lenext.train(folder, "mlp", epochs=1, threads=1, exclude=tmp_path / "list.csv", out=tmp_path / "run")
    assert result.train_images + result.images == 24
    assert result.skipped == 0


def test_copies_of_one_file_keep_the_test_image(tmp_path: Path) -> None:
    for split, label, name in (
        ("train", "a", "1"), ("train", "a", "2"), ("val", "a", "3"), ("test", "a", "4"), ("test", "b", "5"),
    ):  # fmt: skip
        path = tmp_path / split / label / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        photo(9 if label == "a" else 8).save(path)
    found = {(each.kind, each.path, each.other) for each in check(tmp_path).problems if "duplicate" in each.kind}
    assert found == {
        ("duplicate-across-splits", f"{name}.png", "test/a/4.png") for name in ("train/a/1", "train/a/2", "val/a/3")
    }


def test_near_copies_of_exact_copies_are_told_across_splits(tmp_path: Path) -> None:
    image = photo(11)
    for path in ("train/a/1.png", "val/a/1.png"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        image.save(tmp_path / path)
    image.save(tmp_path / "train/a/2.jpg", quality=60)
    kinds = {(each.kind, each.path, each.other) for each in check(tmp_path).problems if "duplicate" in each.kind}
    assert ("near-duplicate-across-splits", "train/a/2.jpg", "val/a/1.png") in kinds
    assert ("duplicate-across-splits", "train/a/1.png", "val/a/1.png") in kinds


def test_tiny_images_are_compared_by_their_bytes_alone() -> None:
    found = check("digits")
    assert (found.problems, found.images, found.formats) == ([], 1797, {"pixels": 1797})


def test_images_that_differ_too_little_are_told_as_such(tmp_path: Path) -> None:
    digits = open_source("digits").splits["all"].take(np.arange(300))
    images = [png(np.asarray(Image.fromarray(np.asarray(item)).resize((28, 28)))) for item in digits.items]
    table = pa.table({"image": [{"bytes": data, "path": None} for data in images], "label": digits.labels})
    pq.write_table(table, tmp_path / "train.parquet")
    assert [(each.kind, each.severity) for each in check(tmp_path).problems] == [("too-alike", "note")]


def as_table(folder: Path) -> str:
    class_folder(folder, images=4)
    rows = [f"lying/{i:03}.png,lying,{'val' if i == 3 else 'train'}" for i in range(4)]
    rows += ["upright/000.png,upright,val", "upright/gone.png,upright,val"]
    (folder / "table.csv").write_text("path,label,split\n" + "\n".join(rows))
    return str(folder / "table.csv")


def as_parquet(folder: Path) -> str:
    images = [{"bytes": png(stripes(i, upright=False)), "path": None} for i in range(4)]
    images += [{"bytes": b"", "path": None}, images[0]]
    pq.write_table(pa.table({"image": images, "label": ["lying"] * 5 + ["upright"]}), folder / "train.parquet")
    return str(folder)


def as_shards(folder: Path) -> str:
    with tarfile.open(folder / "train-0.tar", "w") as tar:
        for i, data in enumerate([png(stripes(3, upright=False)), png(stripes(3, upright=False)), b"words"]):
            for ending, content in (("png", data), ("cls", str(i % 2).encode())):
                (folder / "file").write_bytes(content)
                tar.add(folder / "file", f"{i}.{ending}")
    return f"shards:{folder}/train-0.tar"


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (as_table, {("missing", "upright/gone.png"), ("class-not-in-train", "val/upright")}),
        (as_parquet, {("empty", "train[4]"), ("duplicate-across-classes", "train[0]")}),
        (as_shards, {("not-an-image", "train-0.tar/2.png"), ("duplicate-across-classes", "train-0.tar/0.png")}),
    ],
)
def test_every_source_is_checked(made: Callable[[Path], str], expected: Planted, tmp_path: Path) -> None:
    found = {(each.kind, each.path.removeprefix(f"{tmp_path}/")) for each in check(made(tmp_path)).problems}
    assert expected <= found
    assert not {kind for kind, _ in found} & {"wrong-extension", "loose-image", "hidden"}


def test_nothing_there_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no data at"):
        check(tmp_path / "gone")


def test_heic_without_its_decoder_is_told_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lenext.checking import looks
    from lenext.data import decode

    class_folder(tmp_path, images=6)
    (tmp_path / "lying" / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 100)
    for module in (looks, decode):
        monkeypatch.setattr(module, "reads_heic", lambda: False)
    found = check(tmp_path)
    assert found.problems == [Problem("heic", "lying/phone.heic", HEIC_HINT)]
    assert found.exclusions() == [], "it can be read once the extra is there"


def test_no_torch_is_needed(tmp_path: Path) -> None:
    class_folder(tmp_path, images=3)
    script = (
        "import sys, lenext\n"
        f"found = lenext.check({str(tmp_path)!r})\n"
        "print(found.images, sorted({'torch', 'pyarrow', 'sklearn', 'matplotlib', 'pandas'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split("\n")[0] == "6 []"


def test_names_of_any_kind_are_told(tmp_path: Path) -> None:
    class_folder(tmp_path, images=6)
    odd = tmp_path / "lying" / os.fsdecode(b"caf\xe9\n\x1b[31m.png")
    odd.write_bytes(b"")
    found = check(tmp_path)
    assert [(each.kind, each.path) for each in found.problems] == [("empty", f"lying/{odd.name}")]
    write_exclusions(tmp_path / "list.csv", found.exclusions(), data="photos")
    assert len(open_source(tmp_path, exclude=tmp_path / "list.csv").splits["all"]) == 12


def test_rotated_and_turned_heic_is_told(tmp_path: Path) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    class_folder(tmp_path, images=6)
    exif = Image.Exif()
    exif[0x0112] = 6
    pillow_heif.register_heif_opener()
    photo(77).save(tmp_path / "lying" / "phone.heic", exif=exif.tobytes())
    found = check(tmp_path)
    assert [(each.kind, each.path) for each in found.problems] == [("rotated", "lying/phone.heic")]
    assert found.formats == {"PNG": 12, "HEIF": 1}
