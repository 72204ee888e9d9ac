"""What there is to check: the images of any source, also of a folder or a table that training would refuse."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from lenext.checking.kinds import Problem
from lenext.data.opening import existing, open_source
from lenext.data.source import Source
from lenext.files import is_folder

NO_CLASS = -1  # the label of an image outside of class folders


@dataclass(frozen=True)
class Listing:
    """The images by split, those without a class labelled `NO_CLASS`, and the problems that no image need be read for.

    `named` says whether the classes stand in plain order of their names, and `root` is what the names of images that
    are files are relative to.
    """

    source: Source
    problems: list[Problem] = field(default_factory=list)
    named: bool = False
    root: Path | None = None


def list_data(location: str | Path) -> Listing:
    """List the images of any source that `lenext.data.opening.open_source` knows.

    Raises:
        UserError: nothing there, or what is there is no data at all.
    """
    text = str(location)
    if text == "digits" or text.startswith(("hub:", "shards:")):
        return Listing(open_source(location))
    path = existing(location)
    from lenext.data.folder import holds_parquet

    if is_folder(path):
        if holds_parquet(path):
            return Listing(open_source(path))
        from lenext.checking.folders import list_folder

        return list_folder(path)
    from lenext.data.table import open_table

    source = open_table(path, strict=False)
    return Listing(source, named=True, root=path.parent)
