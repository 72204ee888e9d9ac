"""Datasets of the Hugging Face Hub by name, through its `datasets` library."""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from lenext.data.parquet import source_of_tables
from lenext.data.source import ALL, Source, split_name
from lenext.errors import UserError, one_line

NAME = re.compile(r"\w[\w.-]*/\w[\w.-]*")
ADVICE = re.compile(r"(,? e\.g\.| Example of usage:) `?load_dataset\(.*")  # how to choose a configuration in Python
LONGEST_REASON = 300  # characters; the library explains some errors on a page


def open_hub(location: str) -> Source:
    """Open `hub:owner/name`, or `hub:owner/name:configuration`; downloaded once, then read from the cache.

    Raises:
        UserError: the library is missing, or the Hub has no such dataset or cannot be reached, or has several
            configurations under this name.
    """
    name, _, configuration = location.removeprefix("hub:").partition(":")
    if not NAME.fullmatch(name):
        raise UserError(f"{location!r} names no dataset of the Hub; write hub:owner/name, as hub:ylecun/mnist")
    if Path(name).is_dir():  # which the library would open instead
        raise UserError(f"{location} could also be the folder {name!r} here; give {name!r}, or work in another folder")
    try:
        import datasets
    except ImportError as error:
        raise UserError(f"{location} needs the datasets library: pip install 'lenext[hub]'") from error
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()  # which do not ask themselves whether this is a terminal
    loaded = _load(name, configuration, location)
    tables_of: dict[str, list[pa.Table]] = {}
    for split, part in loaded.items():
        tables_of.setdefault(split_name(str(split)) or ALL, []).append(part.with_format("arrow")[:])
    tables = {split: pa.concat_tables(parts) for split, parts in tables_of.items()}
    features = next(iter(loaded.values())).features
    names_of = {column: kind.names for column, kind in features.items() if isinstance(kind, datasets.ClassLabel)}
    return source_of_tables(tables, location, names_of)


def _load(name: str, configuration: str, location: str) -> Mapping[Any, Any]:
    """Return the splits by name, from the cache alone where the Hub cannot be reached."""
    import datasets

    was_offline = datasets.config.HF_HUB_OFFLINE
    outage = "HF_HUB_OFFLINE is set" if was_offline else _outage()
    datasets.config.HF_HUB_OFFLINE = outage is not None
    try:
        splits: Mapping[Any, Any] = datasets.load_dataset(name, configuration or None)
        return splits
    except Exception as error:  # the library raises errors of many kinds, each with its own explanation
        if outage and isinstance(error, ConnectionError):
            raise UserError(f"{location} is not in the cache, and the Hub cannot be reached: {outage}") from error
        known = f"; the Hub cannot be reached: {outage}" if outage else ""
        raise UserError(f"cannot open {location}: {_reason(error, location)}{known}") from error
    finally:
        datasets.config.HF_HUB_OFFLINE = was_offline


def _outage() -> str | None:
    """Return why the Hub cannot be reached, if so. The library would find out too, but tries for half a minute."""
    from huggingface_hub import constants, get_session

    try:
        get_session().head(constants.ENDPOINT, timeout=constants.HF_HUB_ETAG_TIMEOUT)
    except Exception as error:  # the network's own, or the library's; any answer of the server means reached
        return f"{constants.ENDPOINT}: {one_line(error)}"
    return None


def _reason(error: Exception, location: str) -> str:
    """Return the library's explanation on one line, with the way out in lenext's terms."""
    from datasets.exceptions import DatasetGenerationError

    text = one_line(error)
    if isinstance(error, DatasetGenerationError) and error.__cause__:
        text = f"{text}: {one_line(error.__cause__)}"
    text, choices = ADVICE.subn("", text)
    text = textwrap.shorten(text, LONGEST_REASON, placeholder=" ...")
    return f"{text}; write {location}:CONFIGURATION" if choices else text
