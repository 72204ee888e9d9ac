"""Lists of images to leave out: written by `lenext check`, edited by a person, honoured by all that opens data."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lenext.data.source import ALL, Source
from lenext.errors import UserError, one_line
from lenext.files import FORMAT, exists, is_folder, write_text
from lenext.progress import SILENT, Progress

COLUMNS = ("path", "kind", "detail")
STAMP = re.compile(r'"?# format (?P<format>\S+) by lenext (?P<writer>\S+?): ')
HEADER = re.compile(r'"?path"?(?P<delimiter>[,;\t]|$)')  # some spreadsheets save with semicolons
MARK = "\ufeff"  # by which spreadsheets know UTF-8
SHARD = ".tar/"  # where the name of a shard ends


@dataclass(frozen=True)
class Exclusion:
    """An image to leave out: what its split calls it, the kind of trouble, and what is wrong, in words."""

    path: str
    kind: str
    detail: str


def write_exclusions(path: Path, exclusions: Iterable[Exclusion], *, data: str) -> None:
    """Write the list of images of `data` to a new CSV file, for a spreadsheet or an editor.

    Raises:
        UserError: something stands there.
        LenextError: the write failed.
    """
    if is_folder(path) or (exists(path) and path.stat().st_size):
        raise UserError(f"{path} is there already; give another name, or remove it first")
    text = io.StringIO()
    writer = csv.writer(text)
    of = " ".join(data.split())
    writer.writerow([f"# format {FORMAT} by lenext {version('lenext')}: images of {of} that --exclude leaves out"])
    writer.writerow(COLUMNS)
    writer.writerows((_told(each.path), each.kind, _told(each.detail)) for each in exclusions)
    write_text(path, MARK + text.getvalue())


def read_exclusions(path: str | Path) -> tuple[str, ...]:
    """Return the names of images in a list: a CSV file with a column `path`, or a text with one name a line.

    Raises:
        UserError: no such file, one that is no list, or one of a format that this version does not know.
    """
    path = Path(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as error:
        raise UserError(f"there is no list {path}; `lenext check DATA --write-exclusions {path}` writes one") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is no list of images: not UTF-8; save it as text, or as CSV in UTF-8") from error
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        reason = error.strerror if isinstance(error, OSError) and error.strerror else one_line(error)
        raise UserError(f"cannot read the list {path}: {reason}") from error
    if not text.strip():
        raise UserError(f"{path} is empty; a list of images has one name a line, or a column 'path'")
    stamp = STAMP.match(text)
    if stamp and stamp["format"] != str(FORMAT):
        raise UserError(
            f"{path} has format {stamp['format']}, written by lenext {stamp['writer']}; this is lenext "
            f"{version('lenext')}, which reads format {FORMAT}: use the version that wrote it"
        )
    rest = text.partition("\n")[2] if stamp else text
    header = HEADER.match(rest.partition("\n")[0].rstrip("\r"))
    if header:
        return _column(rest, header["delimiter"] or ",", path)
    if stamp:
        raise UserError(f"{path} is damaged: its second line does not name the columns {', '.join(COLUMNS)}")
    return tuple(line.rstrip("\r") for line in rest.split("\n") if line.strip())


def _column(text: str, delimiter: str, path: Path) -> tuple[str, ...]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        _, *rows = [row for row in reader if any(row)]
    except csv.Error as error:
        raise UserError(f"{path} is damaged: {one_line(error)}") from error
    if lacking := next((row for row in rows if not row[0]), None):
        raise UserError(f"{path} has a line without a path ({', '.join(filter(None, lacking))}); complete it")
    return tuple(row[0] for row in rows)


def without(source: Source, excluded: Sequence[str], *, where: str, progress: Progress = SILENT) -> Source:
    """Return the source without the images of these names; none of them is looked at. `where` is their list's name.

    Raises:
        UserError: no image has any of these names, or a split, or a class to train on, would have no image left.
    """
    if not excluded:
        return source
    wanted = set(map(_told, excluded))
    left_out, found = _matched({name: [*map(_told, split.names)] for name, split in source.splits.items()}, wanted)
    if not found:
        example = next((split.names[0] for split in source.splits.values() if len(split)), "")
        raise UserError(
            f"none of the {len(wanted):,} names in {where}, such as {excluded[0]!r}, is an image of {source.location}, "
            f"which are called as {example!r} is; give the list of these images"
        )
    progress.note(f"left out: {sum(int(mask.sum()) for mask in left_out.values()):,} images that {where} lists")
    if unknown := [name for name in excluded if _told(name) not in found]:
        progress.note(
            f"note: {len(unknown):,} of the {len(wanted):,} names in {where} are no images of {source.location}, such "
            f"as {unknown[0]!r}"
        )
    splits = {name: split.take(np.flatnonzero(~left_out[name])) for name, split in source.splits.items()}
    for name, split in splits.items():
        if not len(split) and len(source.splits[name]):
            raise UserError(f"{where} leaves no image in {name} of {source.location}; take lines out of it")
        lost = np.setdiff1d(source.splits[name].labels, split.labels)
        if len(lost) and name in ("train", ALL):
            raise UserError(
                f"{where} leaves no image of the class {source.class_names[lost[0]]!r} to train on in "
                f"{source.location}; take lines out of it, or take the class out of the data"
            )
    return Source(source.location, source.class_names, splits)


def _matched(names: dict[str, list[str]], wanted: set[str]) -> tuple[dict[str, NDArray[np.bool_]], set[str]]:
    """Return which images of each split are wanted, and which of the wanted names are those of images.

    Shards may be named from another folder than when the list was written; where no name fits as it stands, those of
    images in shards are compared from the shard's own name on, unless two shards share theirs.
    """
    masks = {split: np.array([name in wanted for name in those], bool) for split, those in names.items()}
    found = {name for those in names.values() for name in those if name in wanted}
    shards = {name.partition(SHARD)[0] for those in names.values() for name in those if SHARD in name}
    if found or not shards or len({_from_shard(shard) for shard in shards}) < len(shards):
        return masks, found
    short = {_from_shard(name): name for name in wanted}
    masks = {split: np.array([_from_shard(name) in short for name in those], bool) for split, those in names.items()}
    return masks, {short[key] for those in names.values() for key in map(_from_shard, those) if key in short}


def _from_shard(name: str) -> str:
    folder_and_shard, ending, member = name.partition(SHARD)
    return f"{folder_and_shard.rpartition('/')[2]}{ending}{member}"


def _told(name: str) -> str:
    """Return a name with what cannot be UTF-8 written out, as the file has it."""
    return name.encode("utf-8", "backslashreplace").decode()
