"""Datasets of the Hugging Face Hub by name, through its `datasets` library."""

from __future__ import annotations

from lenext.data.parquet import source_of_tables
from lenext.data.source import ALL, Source, split_name
from lenext.errors import UserError, one_line


def open_hub(location: str) -> Source:
    """Open `hub:owner/name`, or `hub:owner/name:configuration`; downloaded once, then read from the cache.

    Raises:
        UserError: the library is missing, or the Hub has no such dataset or cannot be reached.
    """
    try:
        import datasets
    except ImportError as error:
        raise UserError(f"{location} needs the datasets library: pip install 'lenext[hub]'") from error
    name, _, configuration = location.removeprefix("hub:").partition(":")
    try:
        loaded = datasets.load_dataset(name, configuration or None)
    except Exception as error:  # the library raises errors of many kinds, each with its own explanation
        raise UserError(f"cannot open {location}: {one_line(error)}") from error
    tables = {split_name(str(split)) or ALL: part.with_format("arrow")[:] for split, part in loaded.items()}
    features = next(iter(loaded.values())).features
    names_of = {column: kind.names for column, kind in features.items() if isinstance(kind, datasets.ClassLabel)}
    return source_of_tables(tables, location, names_of)
