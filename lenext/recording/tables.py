"""Tables: predictions as a parquet file, with how they were made in its metadata."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from lenext.errors import UserError, one_line
from lenext.files import parse_stamped, write_atomically
from lenext.recording.columns import IMAGE, LOW_CONFIDENCE, Columns
from lenext.recording.lines import as_text

KEY = b"lenext"  # the entry of the file's metadata that says how it was made
ROWS = 10_000  # that are in memory at once


def write_table(path: Path, entries: Iterable[Mapping[str, Any]], columns: Columns, making: dict[str, Any]) -> None:
    """Write entries as one table, beside and renamed.

    Raises:
        LenextError: the write failed.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    def kind(name: str) -> Any:
        if name == LOW_CONFIDENCE:
            return pa.bool_()
        return pa.float32() if name.startswith("probability") else pa.string()

    schema = pa.schema([(name, kind(name)) for name in columns.names], metadata={KEY: json.dumps(making).encode()})

    def write(beside: Path) -> None:
        rows = ({key: as_text(v) if isinstance(v, str) else v for key, v in columns.row(e).items()} for e in entries)
        with pq.ParquetWriter(beside, schema, compression="zstd") as writer:
            while some := list(islice(rows, ROWS)):
                writer.write_table(pa.Table.from_pylist(some, schema))

    write_atomically(path, write)


def read_table(path: Path, columns: Columns) -> tuple[dict[str, Any], Iterator[dict[str, Any]]]:
    """Return how a table was made, and its entries.

    Raises:
        UserError: damaged, or not written by `write_table`.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
        said = (file.schema_arrow.metadata or {}).get(KEY)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path} cannot be read: {one_line(error)}; give another name") from None
    if said is None or IMAGE not in file.schema_arrow.names:
        raise UserError(f"{path} holds no predictions of lenext; give another name")
    batches = (batch.to_pylist() for batch in file.iter_batches(ROWS))
    return parse_stamped(said.decode(errors="replace"), str(path)), (
        columns.entry(row) for rows in batches for row in rows
    )
