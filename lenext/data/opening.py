"""`open_source`: one function that opens any source of labelled images."""

from __future__ import annotations

import difflib
from pathlib import Path

from lenext.data.source import Source
from lenext.errors import UserError
from lenext.files import exists, is_folder
from lenext.progress import SILENT, Progress


def open_source(location: str | Path, *, exclude: str | Path | None = None, progress: Progress = SILENT) -> Source:
    """Open a source of labelled images; nothing is decoded yet.

        source = open_source("photos/")
        source.class_names, source.splits["train"].labels

    `location` is `digits`, `hub:owner/name`, `shards:` and a pattern of WebDataset shards, a folder of class folders
    (with or without `train`, `val` and `test`), a folder in the Hub's parquet layout, or a CSV or parquet table of
    path, label and split. The images that the list `exclude` names are left out, unread.

    Raises:
        UserError: nothing there, or no labelled images in it; a list that is none, or of other images.
    """
    if exclude is None:
        return _opened(location)
    from lenext.data.exclusions import read_exclusions, without

    excluded = read_exclusions(exclude)
    return without(_opened(location), excluded, where=str(exclude), progress=progress)


def _opened(location: str | Path) -> Source:
    text = str(location)
    if text == "digits":
        if is_folder(text):
            raise UserError("digits is the built-in set, but also a folder here; give ./digits for the folder")
        from lenext.data.digits import open_digits

        return open_digits()
    if text.startswith("hub:"):
        from lenext.data.hub import open_hub

        return open_hub(text)
    if text.startswith("shards:"):
        from lenext.data.shards import open_shards

        return open_shards(text)
    path = existing(location)
    if not is_folder(path):
        from lenext.data.table import open_table

        return open_table(path)
    from lenext.data.folder import holds_parquet, open_folder

    if holds_parquet(path):
        from lenext.data.parquet import open_parquet_folder

        return open_parquet_folder(path)
    return open_folder(path)


def existing(location: str | Path) -> Path:
    """Return the file or folder at a location.

    Raises:
        UserError: nothing is there.
    """
    path = _without_tilde(Path(location))
    if not str(location) or not exists(path):
        raise UserError(f"there is no data at {str(location)!r}; {_nearby(path)}")
    return path


def _without_tilde(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:  # no such user
        return path


def _nearby(path: Path) -> str:
    """Return what to do instead: a name like it in the nearest folder that is there, or the kinds of source."""
    folder = next((parent for parent in path.parents if parent.is_dir()), None)
    if folder is not None and folder == path.parent:
        close = difflib.get_close_matches(path.name, (entry.name for entry in folder.iterdir()), n=3)
        if close:
            return f"did you mean {' or '.join(str(folder / name) for name in close)}?"
    return "give a folder of class folders, a CSV or parquet table, hub:owner/name, shards:PATTERN, or digits"
