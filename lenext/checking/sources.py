"""Listing the images of any source."""

from __future__ import annotations

from pathlib import Path

from lenext.checking.folders import list_folder
from lenext.checking.listing import Listing
from lenext.data.folder import holds_parquet
from lenext.data.opening import existing, open_source
from lenext.files import is_folder


def list_data(location: str | Path) -> Listing:
    """List the images of any source that `lenext.data.opening.open_source` knows.

    Raises:
        UserError: nothing there, or what is there is no data at all.
    """
    text = str(location)
    if text == "digits" or text.startswith(("hub:", "shards:")):
        return Listing(open_source(location))
    path = existing(location)
    if is_folder(path):
        return Listing(open_source(path)) if holds_parquet(path) else list_folder(path)
    from lenext.data.table import open_table

    source = open_table(path, strict=False)
    return Listing(source, named=True, root=path.parent)
