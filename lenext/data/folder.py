"""Folders of class folders, with or without `train`, `val` and `test`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from lenext.data.decode import is_image_name
from lenext.data.source import ALL, Source, Split, label_indices, split_name
from lenext.errors import UserError

# What systems leave behind, though no dot hides it: with archives, as thumbnails, as bins.
LEFTOVERS = frozenset(
    {"__MACOSX", "@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information", "Thumbs.db", "desktop.ini"}
)


def open_folder(folder: Path) -> Source:
    """Open a folder whose subfolders are classes, or splits that hold classes; see `open_source`.

    Raises:
        UserError: no class folders, a class without images, or a class that only another split than `train` has.
    """
    parts = split_folders(folder) or {ALL: [folder]}
    images = {name: [pair for root in roots for pair in _labelled(root)] for name, roots in parts.items()}
    reference = images.get("train") or [pair for pairs in images.values() for pair in pairs]
    class_names = sorted({label for label, _ in reference})
    for name, pairs in images.items():
        strange = sorted({label for label, _ in pairs} - set(class_names))
        if strange:
            raise UserError(
                f"{folder} has the class {strange[0]!r} in {name} but not in train; add it to train, or take it out"
            )
    splits = {
        name: Split(
            [path for _, path in pairs],
            label_indices((label for label, _ in pairs), class_names),
            [path.relative_to(folder).as_posix() for _, path in pairs],
        )
        for name, pairs in images.items()
    }
    return Source(str(folder), tuple(class_names), splits)


def image_files(folder: Path) -> Iterator[Path]:
    """Yield every image file below `folder`, as `visible_files` does.

    Raises:
        UserError: a folder cannot be read.
    """
    return (path for path in visible_files(folder) if is_image_name(path.name))


def visible_files(
    folder: Path,
    *,
    unreadable: Callable[[OSError], object] | None = None,
    hidden: Callable[[Path], object] = lambda path: None,
) -> Iterator[Path]:
    """Yield every file below `folder`; hidden files and folders are never data.

    The order is plain sort order, the files of a folder before those of its subfolders. Links to folders are
    followed, each folder once, but not those that lead up, to where other classes are. `unreadable` is told of folders
    that cannot be read, `hidden` of what is passed over.

    Raises:
        UserError: a folder cannot be read, and nobody is told.
    """
    above = {Path(parent) for parent in folder.resolve().parents}
    seen: set[Path] = set()
    for root, folders, files in os.walk(folder, followlinks=True, onerror=unreadable or _refuse):
        place = Path(root).resolve()
        if place in seen or place in above:
            folders.clear()
            continue
        seen.add(place)
        for name in sorted(name for name in [*folders, *files] if is_hidden(name)):
            hidden(Path(root) / name)
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        for name in sorted(files):
            if not is_hidden(name):
                yield Path(root) / name


def is_hidden(name: str) -> bool:
    """Say whether a file or folder of this name is never data."""
    return name.startswith(".") or name in LEFTOVERS


def find_parquet(folder: Path) -> list[Path]:
    """Return the parquet files that make `folder` a dataset: in it, or up to two folders down."""
    return sorted(
        path
        for pattern in ("*.parquet", "*/*.parquet", "*/*/*.parquet")
        for path in folder.glob(pattern)
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def holds_parquet(folder: Path) -> bool:
    """Say whether a folder is a dataset in parquet files, with no images in class folders."""
    in_class_folders = (file for file in image_files(folder) if file.parent != folder)
    return bool(find_parquet(folder)) and next(in_class_folders, None) is None


def _refuse(error: OSError) -> None:
    raise UserError(f"cannot read the folder {error.filename}: {error.strerror}") from error


def subfolders(folder: Path) -> list[Path]:
    """Return the folders that may be classes or splits: not the hidden ones, nor those where runs are kept."""
    try:
        entries = sorted(entry for entry in folder.iterdir() if entry.is_dir() and not is_hidden(entry.name))
    except OSError as error:
        raise UserError(f"cannot read the folder {folder}: {error.strerror}") from error
    return [entry for entry in entries if not _holds_runs(entry)]


def _holds_runs(folder: Path) -> bool:
    return (folder / "run.json").exists() or (folder.name == "runs" and any(folder.glob("*/run.json")))


def split_folders(folder: Path) -> dict[str, list[Path]] | None:
    """Return the folders of each split, or None where the subfolders are classes.

    Beside `train` and a second split, other folders are no classes but notes, masks and the like.
    """
    parts: dict[str, list[Path]] = {}
    others = False
    for entry in subfolders(folder):
        name = split_name(entry.name)
        if name is None:
            others = True
        else:
            parts.setdefault(name, []).append(entry)
    if others and not ("train" in parts and len(parts) > 1):
        return None
    return parts or None


def _labelled(folder: Path) -> list[tuple[str, Path]]:
    classes = subfolders(folder)
    if not classes:
        loose = sum(1 for _ in image_files(folder))
        found = f"only {loose:,} images without a class" if loose else "no images"
        raise UserError(f"{folder} has no class folders, {found}; put the images of each class in a folder of its own")
    pairs = []
    for entry in classes:
        files = [(entry.name, path) for path in image_files(entry)]
        if not files:
            raise UserError(f"the class {entry.name!r} has no images ({entry}); add some, or take the folder away")
        pairs += files
    return pairs
