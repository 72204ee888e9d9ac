"""Tables of path, label and split, as spreadsheets and scripts write them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pictures import class_folder, png, stripes
from pyarrow import parquet as pq

from lenext.data.decode import ImageForm
from lenext.data.opening import open_source
from lenext.data.reading import read_split
from lenext.data.source import Source
from lenext.errors import UserError

Rows = dict[str, list[tuple[str, str]]]


def write(folder: Path, text: str | bytes, name: str = "table.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def contents(source: Source) -> Rows:
    """Return the class and the name of each image, by split."""
    return {
        name: [(source.class_names[i], image) for i, image in zip(split.labels, split.names, strict=True)]
        for name, split in source.splits.items()
    }


def refused(path: Path) -> str:
    """Return what opening the table is refused with."""
    with pytest.raises(UserError) as caught:
        open_source(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("kind", ["csv", "tsv", "parquet", "CSV"])
def test_every_kind_of_table_is_read(kind: str, tmp_path: Path) -> None:
    columns = {"label": ["b", "a", "b"], "path": ["x/1.png", "2.png", "3.png"], "note": ["", "seen", ""]}
    path = tmp_path / f"table.{kind}"
    if kind == "parquet":
        pq.write_table(pa.table(columns), path)
    else:
        between = "\t" if kind == "tsv" else ","
        rows = [list(columns), *(list(row) for row in zip(*columns.values(), strict=True))]
        path.write_text("".join(between.join(row) + "\n" for row in rows))
    source = open_source(path)
    assert source.class_names == ("a", "b")
    assert contents(source) == {"all": [("b", "x/1.png"), ("a", "2.png"), ("b", "3.png")]}
    assert source.splits["all"].items == [tmp_path / "x/1.png", tmp_path / "2.png", tmp_path / "3.png"]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_column_gives_the_split(kind: str, tmp_path: Path) -> None:
    columns = {
        "path": ["1.png", "2.png", "3.png", "4.png", "5.png"],
        "label": ["a", "b", "a", "b", "b"],
        "split": ["train", "Validation", "test", "training", "dev"],
    }
    path = tmp_path / f"table.{kind}"
    if kind == "parquet":
        pq.write_table(pa.table(columns), path)
    else:
        rows = zip(*columns.values(), strict=True)
        path.write_text("path,label,split\n" + "".join(",".join(row) + "\n" for row in rows))
    source = open_source(path)
    assert list(source.splits) == ["train", "val", "test"]
    assert contents(source) == {
        "train": [("a", "1.png"), ("b", "4.png")],
        "val": [("b", "2.png"), ("b", "5.png")],
        "test": [("a", "3.png")],
    }


def test_paths_are_relative_to_the_table_or_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures, tables = class_folder(tmp_path / "pictures", images=1), tmp_path / "tables"
    tables.mkdir()
    absolute = pictures / "upright" / "000.png"
    table = write(tables, f"path,label\n../pictures/lying/000.png,lying\n{absolute},upright\n")
    monkeypatch.chdir(tmp_path)  # where the command runs does not matter
    split = open_source(table.relative_to(tmp_path)).splits["all"]
    reading = read_split(split, ImageForm(size=(40, 40)), what="")
    assert reading.skipped == []
    np.testing.assert_array_equal(reading.images.batch(np.array([0, 1]))[1], stripes(100, upright=True))
    assert split.names == ["../pictures/lying/000.png", str(absolute)]


def test_labels_stay_as_they_are_written(tmp_path: Path) -> None:
    labels = ["007", "NA", "1", "1.0", "null", "true", "2024-01-01", "nan", " x "]
    table = write(tmp_path, "path,label\n" + "".join(f"{i}.png,{label}\n" for i, label in enumerate(labels)))
    source = open_source(table)
    assert [label for label, _ in contents(source)["all"]] == labels
    assert source.class_names == tuple(sorted(labels))


def test_labels_of_a_parquet_table_may_be_numbers(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    pq.write_table(pa.table({"path": ["1.png", "2.png", "3.png"], "label": [10, 9, 10]}), path)
    source = open_source(path)
    assert source.class_names == ("10", "9")
    assert source.splits["all"].labels.tolist() == [0, 1, 0]


def test_paths_that_look_like_numbers_are_paths(tmp_path: Path) -> None:
    assert contents(open_source(write(tmp_path, "path,label\n007,a\n8,b\n")))["all"] == [("a", "007"), ("b", "8")]


def test_quotes_may_hold_commas(tmp_path: Path) -> None:
    table = write(tmp_path, 'path,label\n"one, two.png","a ""b"", c"\n')
    assert contents(open_source(table)) == {"all": [('a "b", c', "one, two.png")]}


@pytest.mark.parametrize("name", ["table.csv", "table.tsv"])
def test_a_byte_order_mark_as_of_excel_is_no_part_of_the_name(name: str, tmp_path: Path) -> None:
    text = "path,label\r\nGröße.png,ä\r\n2.png,b\r\n"
    table = write(tmp_path, b"\xef\xbb\xbf" + text.replace(",", "\t" if name.endswith("tsv") else ",").encode(), name)
    assert contents(open_source(table)) == {"all": [("ä", "Größe.png"), ("b", "2.png")]}


def test_blank_lines_are_no_rows(tmp_path: Path) -> None:
    assert contents(open_source(write(tmp_path, "path,label\n\n1.png,a\n\n2.png,b\n\n"))) == {
        "all": [("a", "1.png"), ("b", "2.png")]
    }


def test_other_columns_may_hold_anything(tmp_path: Path) -> None:
    """In Latin-1 too, which makes the column one of bytes, but none of images."""
    table = write(tmp_path, "path,label,note\n1.png,a,schön\n2.png,b,\n".encode("latin-1"))
    assert contents(open_source(table)) == {"all": [("a", "1.png"), ("b", "2.png")]}


def test_missing_files_are_skipped_by_name(tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(png(stripes(0, upright=True)))
    split = open_source(write(tmp_path, "path,label\ngone.png,a\n1.png,b\nsub/gone too.png,b\n")).splits["all"]
    reading = read_split(split, ImageForm(size=(4, 4)), what="")
    reason = "there is no such file"
    assert reading.skipped == [("gone.png", reason), ("sub/gone too.png", reason)]
    assert reading.labels.tolist() == [1]


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("file,label", "has no column 'path'; it has file, label"),
        ("path,class", "has no column 'label'; it has path, class"),
        ("Path,Label", "has no column 'path'; it has Path, Label"),
        ("path;label", "has no column 'path'; it has path;label"),
        ("path,path", "has the column 'path' 2 times; keep one"),
    ],
)
def test_a_missing_or_doubled_column_is_named(header: str, message: str, tmp_path: Path) -> None:
    row = ";" if ";" in header else ","
    assert message in refused(write(tmp_path, f"{header}\n1.png{row}a\n"))


@pytest.mark.parametrize("column", ["path", "label", "split"])
def test_an_empty_cell_is_named_by_its_row(column: str, tmp_path: Path) -> None:
    row = {"path": "2.png", "label": "b", "split": "train", column: ""}
    table = write(tmp_path, "path,label,split\n1.png,a,train\n" + ",".join(row.values()) + "\n")
    assert f"row 2: the column {column!r} is empty" in refused(table)


def test_a_null_in_a_parquet_table_is_an_empty_cell(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    pq.write_table(pa.table({"path": ["1.png", "2.png", "3.png"], "label": ["a", "b", None]}), path)
    assert "row 3: the column 'label' is empty" in refused(path)


@pytest.mark.parametrize("name", ["holdout", "all", "0"])
def test_an_unknown_split_is_named(name: str, tmp_path: Path) -> None:
    table = write(tmp_path, f"path,label,split\n1.png,a,train\n2.png,b,{name}\n")
    assert f"row 2: {name!r} is no split; use train, val or test" in refused(table)


@pytest.mark.parametrize("header", ["path,label", "path,label,split"])
def test_a_table_needs_rows(header: str, tmp_path: Path) -> None:
    assert "has no rows" in refused(write(tmp_path, f"{header}\n"))


def test_a_class_outside_train_is_named(tmp_path: Path) -> None:
    table = write(tmp_path, "path,label,split\n1.png,a,train\n2.png,b,train\n3.png,zebra,test\n")
    assert "has the class 'zebra', but not in train; add it there, or take it out" in refused(table)


@pytest.mark.parametrize("name", ["table.xlsx", "table.json", "picture.png", "table"])
def test_a_file_of_another_kind_is_no_table(name: str, tmp_path: Path) -> None:
    message = "is no data: give a folder, or a table that ends in .csv, .tsv or .parquet"
    assert message in refused(write(tmp_path, b"PK\x03\x04", name))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "Empty CSV file"),
        (b"path,label\n1.png\n2.png,b\n", "Expected 2 columns, got 1"),
        (b"path,label\n1.png,a,b\n", "Expected 2 columns, got 3"),
        ("path,label\n1.png,ä\n".encode("latin-1"), "UTF8"),
        ("path,label,größe\n1.png,a,1\n".encode("latin-1"), "utf-8"),
    ],
    ids=["empty", "too few cells", "too many cells", "label in Latin-1", "header in Latin-1"],
)
def test_a_broken_csv_table_is_refused(text: bytes, message: str, tmp_path: Path) -> None:
    reason = refused(write(tmp_path, text))
    assert "cannot read the table" in reason
    assert message in reason


def test_a_broken_parquet_table_is_refused(tmp_path: Path) -> None:
    assert "cannot read the table" in refused(write(tmp_path, b"PAR1 and no more", "table.parquet"))
