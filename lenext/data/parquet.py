"""Images inside parquet files, in the layout of the Hugging Face Hub."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import parquet as pq

from lenext.data.folder import find_parquet
from lenext.data.source import ALL, Source, Split, label_indices, split_name
from lenext.errors import UserError, one_line

LABEL_COLUMNS = ("label", "labels", "fine_label")
UNLABELLED = -1  # what the Hub puts where the labels of a test split are kept secret; such a split is left out
SHARD = re.compile(r"(?P<split>[A-Za-z]+)(-\d+-of-\d+.*)?$")


class EncodedColumn(Sequence[bytes | Path]):
    """The images of a table, each taken out when it is asked for: its bytes, or the file where those are."""

    def __init__(self, column: pa.ChunkedArray, rows: NDArray[np.int64] | None = None) -> None:
        self._column, self._rows = column, np.arange(len(column)) if rows is None else rows

    def __len__(self) -> int:
        return len(self._rows)

    def take(self, indices: NDArray[np.int64]) -> EncodedColumn:
        """Return the images at `indices`, in that order; none is copied."""
        return EncodedColumn(self._column, self._rows[indices])

    def __getitem__(self, index: Any) -> Any:
        """Return the bytes of an image, or the images of a slice."""
        if isinstance(index, slice):
            return EncodedColumn(self._column, self._rows[index])
        value = self._column[int(self._rows[index])].as_py()
        if isinstance(value, dict):
            path = value.get("path")
            value = value["bytes"] or (Path(path) if path else None)
        return value or b""


def open_parquet_folder(folder: Path) -> Source:
    """Open a folder in the Hub's layout: `train-00000-of-00001.parquet`, or `train/0000.parquet`.

    Raises:
        UserError: several configurations, no image or label column, or a damaged file.
    """
    files_of: dict[str, list[Path]] = {}
    configurations = set()
    for path in find_parquet(folder):
        shard = SHARD.match(path.stem)
        of_folder = split_name(path.parent.name)
        name = (split_name(shard["split"]) if shard else None) or of_folder or ALL
        configurations.add(path.parent.parent if of_folder else path.parent)
        files_of.setdefault(name, []).append(path)
    if len(configurations) > 1:
        listed = ", ".join(sorted(str(path) for path in configurations))
        raise UserError(f"{folder} holds several datasets: {listed}; give one of these")
    return open_parquet_files(files_of, str(folder))


def open_parquet_files(files_of: dict[str, list[Path]], location: str) -> Source:
    """Open the parquet files of each split."""
    tables = {}
    for name, files in files_of.items():
        try:
            tables[name] = pa.concat_tables([pq.read_table(path) for path in files], promote_options="default")
        except (pa.ArrowException, OSError) as error:
            raise UserError(f"cannot read the parquet files of {location}: {one_line(error)}") from error
    return source_of_tables(_by_split_column(tables, location), location)


def has_images(schema: pa.Schema) -> bool:
    """Say whether a column of the schema holds encoded images."""
    return _image_column(schema) is not None


def source_of_tables(
    tables: dict[str, pa.Table], location: str, names_of: Mapping[str, Sequence[str]] | None = None
) -> Source:
    """Return the source of one arrow table a split, each with a column of images and one of labels.

    `names_of` gives the class names of a column; otherwise its schema may, or the labels name themselves.

    Raises:
        UserError: a column is missing, or a label is empty or has no name.
    """
    schema = next(iter(tables.values())).schema
    image = _image_column(schema)
    if image is None:
        raise UserError(f"{location} has no column of images (bytes); it has {', '.join(schema.names)}")
    label = next((name for name in LABEL_COLUMNS if name in schema.names), None)
    if label is None:
        raise UserError(f"{location} has no column {LABEL_COLUMNS[0]!r}; it has {', '.join(schema.names)}")
    for name, table in tables.items():
        if absent := {image, label} - set(table.column_names):
            raise UserError(f"{location}: {name} has no column {absent.pop()!r}, as {next(iter(tables))} does")
    labels = {name: _labels(table, label, location) for name, table in tables.items()}
    labels = {name: values for name, values in labels.items() if not values or set(values) != {UNLABELLED}}
    if not labels:
        raise UserError(f"{location} has no labels: all are {UNLABELLED}")
    class_names = list((names_of or {}).get(label, ())) or _class_names(schema, label)
    if not class_names:
        class_names = sorted({str(value) for values in labels.values() for value in values})
        indices = {name: label_indices(map(str, values), class_names) for name, values in labels.items()}
    else:
        for name, values in labels.items():
            strange = [value for value in values if not (isinstance(value, int) and 0 <= value < len(class_names))]
            if strange:
                raise UserError(
                    f"{location}: the label {strange[0]!r} of {name} is outside 0 to {len(class_names) - 1}, "
                    "the numbers of the schema's class names"
                )
        indices = {name: np.array(values, np.int64) for name, values in labels.items()}
    splits = {}
    for name in labels:
        names = [f"{name}[{row}]" for row in range(len(tables[name]))]
        splits[name] = Split(EncodedColumn(tables[name][image]), indices[name], names)
    return Source(location, tuple(class_names), splits)


def _by_split_column(tables: dict[str, pa.Table], location: str) -> dict[str, pa.Table]:
    """Return one table a split where the only one names the split of each row in a column."""
    if set(tables) != {ALL} or "split" not in tables[ALL].column_names:
        return tables
    column = tables[ALL]["split"]
    rows_of: dict[str, list[int]] = {}
    for row, value in enumerate(column.to_pylist()):
        name = split_name(str(value))
        if name is None:
            raise UserError(f"{location}, row {row + 1}: {value!r} is no split; use train, val or test")
        rows_of.setdefault(name, []).append(row)
    return {name: tables[ALL].take(rows) for name, rows in rows_of.items()}


def _image_column(schema: pa.Schema) -> str | None:
    for field in schema:
        inner = field.type
        if field.name in (*LABEL_COLUMNS, "split"):
            continue
        if pa.types.is_struct(inner) and inner.get_field_index("bytes") >= 0:
            return str(field.name)
        if pa.types.is_binary(inner) or pa.types.is_large_binary(inner):
            return str(field.name)
    return None


def _labels(table: pa.Table, column: str, location: str) -> list[Any]:
    kind = table[column].type
    if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        raise UserError(f"{location}: the column {column!r} holds {kind}; labels are text or whole numbers")
    values: list[Any] = table[column].to_pylist()
    for row, value in enumerate(values):
        if value is None or value != value:
            raise UserError(f"{location}, row {row + 1}: the column {column!r} is empty")
    return values


def _class_names(schema: pa.Schema, column: str) -> list[str]:
    """Return the class names that the schema carries for `column` (or none), as the Hub's library writes them."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return [str(name) for name in features[column]["names"]]
    except (KeyError, TypeError, ValueError):
        return []
