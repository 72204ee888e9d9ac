"""Tables of path, label and split, as CSV, TSV or parquet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import csv
from pyarrow import parquet as pq

from lenext.data.source import ALL, Source, Split, label_indices, split_name
from lenext.errors import UserError, one_line

COLUMNS = ("path", "label", "split")


def open_table(path: Path, *, strict: bool = True) -> Source:
    """Open a table with the columns `path`, `label` and, if it likes, `split`; paths are relative to the table.

    A class that `train` lacks is refused where `strict`.

    Raises:
        UserError: not a table, a column missing, an empty label, or a split of another name.
    """
    table = _read(path)
    from lenext.data.parquet import has_images, open_parquet_files

    if path.suffix.lower() == ".parquet" and has_images(table.schema):
        return open_parquet_files({ALL: [path]}, str(path))
    for column in ("path", "label"):
        if column not in table.column_names:
            raise UserError(f"{path} has no column {column!r}; it has {', '.join(table.column_names) or 'none'}")
    files, labels = _texts(path, table, "path"), _texts(path, table, "label")
    rows_of: dict[str, list[int]] = {}
    named = _texts(path, table, "split") if "split" in table.column_names else None
    for row, split in enumerate(named or [ALL] * len(files)):
        name = split_name(split) if named else ALL
        if name is None:
            raise UserError(f"{path}, row {row + 1}: {split!r} is no split; use train, val or test")
        rows_of.setdefault(name, []).append(row)
    if not files:
        raise UserError(f"{path} has no rows")
    reference = rows_of.get("train", range(len(labels))) if strict else range(len(labels))
    class_names = sorted({labels[row] for row in reference})
    strange = sorted(set(labels) - set(class_names))
    if strange:
        raise UserError(f"{path} has the class {strange[0]!r}, but not in train; add it there, or take it out")
    indices = label_indices(labels, class_names)
    splits = {
        name: Split([path.parent / files[row] for row in rows], indices[np.array(rows)], [files[row] for row in rows])
        for name, rows in rows_of.items()
    }
    return Source(str(path), tuple(class_names), splits)


def _read(path: Path) -> pa.Table:
    kind = path.suffix.lower()
    if kind not in (".csv", ".tsv", ".parquet"):
        raise UserError(f"{path} is no data: give a folder, or a table that ends in .csv, .tsv or .parquet")
    try:
        table = pq.read_table(path) if kind == ".parquet" else _read_csv(path, "\t" if kind == ".tsv" else ",")
        names = table.column_names
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read the table {path}: {one_line(error)}") from error
    for column in COLUMNS:
        if names.count(column) > 1:
            raise UserError(f"{path} has the column {column!r} {names.count(column)} times; keep one")
    return table


def _read_csv(path: Path, delimiter: str) -> pa.Table:
    # Labels such as 007 or NA are names, not numbers or gaps.
    text = {name: pa.string() for name in COLUMNS}
    return csv.read_csv(
        path,
        parse_options=csv.ParseOptions(delimiter=delimiter),
        convert_options=csv.ConvertOptions(column_types=text, strings_can_be_null=False),
    )


def _texts(path: Path, table: pa.Table, column: str) -> list[str]:
    values: list[Any] = table[column].to_pylist()
    for row, value in enumerate(values):
        if value is None or value == "":
            raise UserError(f"{path}, row {row + 1}: the column {column!r} is empty")
    return [str(value) for value in values]
