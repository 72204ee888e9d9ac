"""Images inside parquet files, laid out as on the Hub."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pictures import encoded, png, stripes
from PIL import Image
from pyarrow import parquet as pq

from lenext.data.decode import ImageForm
from lenext.data.opening import open_source
from lenext.data.reading import read_split
from lenext.data.source import Source
from lenext.errors import UserError

SHARED_DATA = Path(__file__).parents[3] / "shared" / "data"
NAMES = ("zebra", "ant", "mule")  # not in sort order
FORM = ImageForm(size=(40, 40))
DOT = png(np.zeros((1, 1), np.uint8))


def table(
    labels: Sequence[Any],
    names: Sequence[str] | None = NAMES,
    *,
    column: str = "label",
    images: Sequence[Any] | pa.Array | None = None,
) -> pa.Table:
    """Return a table as the Hub's library writes it: images as bytes and path, class names in the metadata."""
    if images is None:
        images = [{"bytes": DOT, "path": f"{i}.png"} for i in range(len(labels))]
    made = pa.table({"image": images, column: labels})
    if names is None:
        return made
    features = {"image": {"_type": "Image"}, column: {"names": list(names), "_type": "ClassLabel"}}
    return made.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})


def write(root: Path, tables: dict[str, pa.Table]) -> Path:
    for name, one in tables.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(one, root / name)
    return root


def labels_of(source: Source) -> dict[str, list[int]]:
    return {name: split.labels.tolist() for name, split in source.splits.items()}


def refused(location: Path) -> str:
    with pytest.raises(UserError) as caught:
        open_source(location)
    assert str(location) in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_class_names_come_from_the_schema_in_their_order(tmp_path: Path) -> None:
    source = open_source(write(tmp_path, {"data/train-00000-of-00001.parquet": table([2, 0, 2])}))
    assert source.class_names == NAMES
    assert labels_of(source) == {"train": [2, 0, 2]}
    assert source.splits["train"].names == ["train[0]", "train[1]", "train[2]"]


def test_without_class_names_the_labels_are_sorted_as_text(tmp_path: Path) -> None:
    source = open_source(write(tmp_path, {"train.parquet": table([9, 10, 9], None)}))
    assert source.class_names == ("10", "9")
    assert labels_of(source) == {"train": [1, 0, 1]}
    words = open_source(write(tmp_path / "words", {"train.parquet": table(["b", "a"], None)}))
    assert words.class_names == ("a", "b")


@pytest.mark.parametrize("metadata", [b"[]", b"not json", b'{"info": {"features": {"label": {"_type": "Value"}}}}'])
def test_metadata_without_class_names_is_passed_over(metadata: bytes, tmp_path: Path) -> None:
    one = table(["b", "a"], None).replace_schema_metadata({b"huggingface": metadata})
    assert open_source(write(tmp_path, {"train.parquet": one})).class_names == ("a", "b")


@pytest.mark.parametrize("column", ["label", "labels", "fine_label"])
def test_the_label_column_may_have_any_of_the_usual_names(column: str, tmp_path: Path) -> None:
    source = open_source(write(tmp_path, {"train.parquet": table([1, 2], column=column)}))
    assert source.class_names == NAMES
    assert labels_of(source) == {"train": [1, 2]}


def test_shards_are_joined_in_order(tmp_path: Path) -> None:
    shards = {f"data/train-{i:05}-of-00012.parquet": table([i % 3] * 2) for i in range(12)}
    source = open_source(write(tmp_path, shards))
    assert labels_of(source) == {"train": [i % 3 for i in range(12) for _ in range(2)]}
    assert source.class_names == NAMES
    assert source.splits["train"].names[-1] == "train[23]"


@pytest.mark.parametrize(
    "files",
    [
        ("train-00000-of-00001.parquet", "validation-00000-of-00001.parquet", "test-00000-of-00001.parquet"),
        ("data/train-00000-of-00001-0a1b2c.parquet", "data/valid-00000-of-00001.parquet", "data/test.parquet"),
        ("train/0000.parquet", "dev/0000.parquet", "test/0000.parquet"),
        ("plain_text/train/0000.parquet", "plain_text/validation/0000.parquet", "plain_text/test/0000.parquet"),
        ("train/train-00000-of-00001.parquet", "val/val-00000-of-00001.parquet", "test/test-00000-of-00001.parquet"),
    ],
    ids=["shards", "shards in data", "split folders", "split folders in a configuration", "shards in split folders"],
)
def test_splits_are_files_or_folders(files: tuple[str, str, str], tmp_path: Path) -> None:
    source = open_source(write(tmp_path, {file: table([i, 0]) for i, file in enumerate(files)}))
    assert labels_of(source) == {"train": [0, 0], "val": [1, 0], "test": [2, 0]}


def test_files_of_other_names_are_one_set(tmp_path: Path) -> None:
    source = open_source(write(tmp_path, {"0000.parquet": table([0]), "0001.parquet": table([1])}))
    assert labels_of(source) == {"all": [0, 1]}


def test_one_file_can_be_given(tmp_path: Path) -> None:
    write(tmp_path, {"some.parquet": table([2, 1])})
    source = open_source(tmp_path / "some.parquet")
    assert source.class_names == NAMES
    assert labels_of(source) == {"all": [2, 1]}


def test_hidden_folders_are_no_data(tmp_path: Path) -> None:
    files = {"train.parquet": table([0]), ".cache/train.parquet": table([1]), ".hidden.parquet": table([2])}
    assert labels_of(open_source(write(tmp_path, files))) == {"train": [0]}


@pytest.mark.parametrize("layout", ["{}/train-00000-of-00001.parquet", "{}/train/0000.parquet"])
def test_several_configurations_are_listed(layout: str, tmp_path: Path) -> None:
    write(tmp_path, {layout.format(name): table([0, 1]) for name in ("small", "large")})
    reason = refused(tmp_path)
    assert f"holds several datasets: {tmp_path / 'large'}, {tmp_path / 'small'}; give one of these" in reason
    assert labels_of(open_source(tmp_path / "small")) == {"train": [0, 1]}


@pytest.mark.parametrize(("labels", "label"), [([3], 3), ([0, -1], -1), ([1.5], 1.5), (["ant"], "ant")])
def test_a_label_without_a_name_is_refused(labels: list[Any], label: Any, tmp_path: Path) -> None:
    write(tmp_path, {"train.parquet": table([0, 1]), "test.parquet": table(labels)})
    assert f"the label {label!r} of test is outside 0 to 2" in refused(tmp_path)


@pytest.mark.parametrize("names", [NAMES, None])
def test_an_empty_label_is_named_by_its_row(names: Sequence[str] | None, tmp_path: Path) -> None:
    write(tmp_path, {"train.parquet": table([0, None, 1], names)})
    assert "row 2: the column 'label' is empty" in refused(tmp_path)


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    write(tmp_path / "images", {"train.parquet": table([0]).drop_columns("image")})
    assert "has no column of images (bytes); it has label" in refused(tmp_path / "images")
    write(tmp_path / "labels", {"train.parquet": table([0]).drop_columns("label")})
    assert "has no column 'label'; it has image" in refused(tmp_path / "labels")


@pytest.mark.parametrize("column", ["image", "label"])
def test_splits_must_have_the_same_columns(column: str, tmp_path: Path) -> None:
    other = table([0]).rename_columns({column: "other"})
    write(tmp_path, {"test.parquet": table([0]), "train.parquet": other})
    assert f"train has no column {column!r}, as test does" in refused(tmp_path)


def test_damaged_and_unlike_files_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "cut", {"train.parquet": table([0, 1])})
    cut = tmp_path / "cut" / "train.parquet"
    cut.write_bytes(cut.read_bytes()[:-10])
    assert "cannot read the parquet files of" in refused(tmp_path / "cut")
    shards = {"train-00000-of-00002.parquet": table([0], None), "train-00001-of-00002.parquet": table(["a"], None)}
    assert "cannot read the parquet files of" in refused(write(tmp_path / "unlike", shards))


def test_images_are_decoded_from_their_bytes(tmp_path: Path) -> None:
    pictures = [stripes(i, upright=bool(i % 2)) for i in range(3)]
    images = [{"bytes": png(pixels), "path": None} for pixels in pictures]
    source = open_source(write(tmp_path, {"train.parquet": table([0, 1, 0], images=images)}))
    reading = read_split(source.splits["train"], FORM, what="")
    np.testing.assert_array_equal(reading.images.batch(np.arange(3)), np.stack(pictures))


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary()], ids=str)
def test_a_plain_column_of_bytes_holds_images_too(kind: pa.DataType, tmp_path: Path) -> None:
    pixels = stripes(5, upright=True)
    images = pa.array([png(pixels), encoded(Image.fromarray(pixels), "BMP")], kind)
    source = open_source(write(tmp_path, {"train.parquet": table([0, 1], images=images)}))
    reading = read_split(source.splits["train"], FORM, what="")
    np.testing.assert_array_equal(reading.images.batch(np.arange(2)), np.stack([pixels, pixels]))


def test_images_may_be_files_of_their_own(tmp_path: Path) -> None:
    pixels = stripes(6, upright=True)
    (tmp_path / "picture.png").write_bytes(png(pixels))
    images = [{"bytes": None, "path": str(tmp_path / "picture.png")}, {"bytes": None, "path": str(tmp_path / "no.png")}]
    images_type = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    source = open_source(write(tmp_path, {"train.parquet": table([0, 1], images=pa.array(images, images_type))}))
    reading = read_split(source.splits["train"], FORM, what="")
    np.testing.assert_array_equal(reading.images.batch(np.arange(1)), pixels[None])
    assert reading.skipped == [("train[1]", "there is no such file")]


def test_rows_without_an_image_are_skipped(tmp_path: Path) -> None:
    good = {"bytes": DOT, "path": None}
    structs = [{"bytes": None, "path": None}, good, None, {"bytes": b"", "path": None}, good]
    source = open_source(write(tmp_path, {"train.parquet": table([0, 1, 2, 0, 2], images=structs)}))
    reading = read_split(source.splits["train"], FORM, what="")
    assert reading.skipped == [(f"train[{row}]", "empty file") for row in (0, 2, 3)]
    assert reading.labels.tolist() == [1, 2]
    plain = table([0, 1], images=pa.array([None, DOT], pa.binary()))
    source = open_source(write(tmp_path / "plain", {"train.parquet": plain}))
    assert read_split(source.splits["train"], FORM, what="").skipped == [("train[0]", "empty file")]


@pytest.mark.skipif(not SHARED_DATA.is_dir(), reason="the shared data are not beside the repository")
def test_mnist_opens_whole() -> None:
    source = open_source(SHARED_DATA / "mnist")
    assert source.class_names == tuple("0123456789")
    assert {name: len(split) for name, split in source.splits.items()} == {"train": 60_000, "test": 10_000}
    assert np.bincount(source.splits["test"].labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    first = read_split(source.splits["test"].take(np.arange(100)), ImageForm(size=(28, 28)), what="")
    assert first.skipped == []
    assert first.images.batch(np.arange(100)).shape == (100, 28, 28, 1)


def test_a_split_whose_labels_are_secret_is_left_out(tmp_path: Path) -> None:
    pq.write_table(table([0, 1]), tmp_path / "train.parquet")
    pq.write_table(table([-1, -1]), tmp_path / "test.parquet")
    assert set(open_source(tmp_path).splits) == {"train"}
    with pytest.raises(UserError, match="has no labels: all are -1"):
        open_source(tmp_path / "test.parquet")


def test_a_column_may_name_the_splits(tmp_path: Path) -> None:
    made = table(["a", "b", "a"], None).append_column("split", [["train", "train", "test"]])
    pq.write_table(made, tmp_path / "all.parquet")
    source = open_source(tmp_path / "all.parquet")
    assert {name: len(split) for name, split in source.splits.items()} == {"train": 2, "test": 1}
    odd = table(["a", "b"], None).append_column("split", [["train", "best"]])
    pq.write_table(odd, tmp_path / "all.parquet")
    with pytest.raises(UserError, match="row 2: 'best' is no split"):
        open_source(tmp_path / "all.parquet")


@pytest.mark.parametrize("labels", [[[0], [1]], [b"cat", b"dog"]])
def test_labels_that_are_no_names_are_refused(labels: list[Any], tmp_path: Path) -> None:
    pq.write_table(table(labels, None), tmp_path / "all.parquet")
    with pytest.raises(UserError, match="labels are text or whole numbers"):
        open_source(tmp_path / "all.parquet")
