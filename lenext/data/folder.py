"""Folders of class folders, with or without `train`, `val` and `test`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from lenext.data.decode import is_image_name
from lenext.data.source import ALL, Source, Split, label_indices, split_name
from lenext.errors import UserError

ARCHIVE_LEFTOVER = "__MACOSX"  # what macOS adds to an archive; it holds only hidden files


def open_folder(folder: Path) -> Source:
    """Open a folder whose subfolders are classes, or splits that hold classes; see `open_source`.

    Raises:
        UserError: no class folders, a class without images, or a class that only another split than `train` has.
    """
    parts = _split_folders(folder) or {ALL: [folder]}
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
    """Yield every image file below `folder`; hidden files and folders are never data.

    The order is plain sort order, the files of a folder before those of its subfolders. Links to folders are
    followed, each folder once, but not those that lead up, to where other classes are.

    Raises:
        UserError: a folder cannot be read.
    """
    above = {Path(parent) for parent in folder.resolve().parents}
    seen: set[Path] = set()
    for root, folders, files in os.walk(folder, followlinks=True, onerror=_refuse):
        place = Path(root).resolve()
        if place in seen or place in above:
            folders.clear()
            continue
        seen.add(place)
        folders[:] = sorted(name for name in folders if not _is_hidden(name))
        for name in sorted(files):
            if not _is_hidden(name) and is_image_name(name):
                yield Path(root) / name


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == ARCHIVE_LEFTOVER


def _refuse(error: OSError) -> None:
    raise UserError(f"cannot read the folder {error.filename}: {error.strerror}") from error


def _subfolders(folder: Path) -> list[Path]:
    """Return the folders that may be classes or splits: not the hidden ones, nor those where runs are kept."""
    try:
        entries = sorted(entry for entry in folder.iterdir() if entry.is_dir() and not _is_hidden(entry.name))
    except OSError as error:
        raise UserError(f"cannot read the folder {folder}: {error.strerror}") from error
    return [entry for entry in entries if not _holds_runs(entry)]


def _holds_runs(folder: Path) -> bool:
    return (folder / "run.json").exists() or (folder.name == "runs" and any(folder.glob("*/run.json")))


def _split_folders(folder: Path) -> dict[str, list[Path]] | None:
    """Return the folders of each split, or None where the subfolders are classes.

    Beside `train` and a second split, other folders are no classes but notes, masks and the like.
    """
    parts: dict[str, list[Path]] = {}
    others = False
    for entry in _subfolders(folder):
        name = split_name(entry.name)
        if name is None:
            others = True
        else:
            parts.setdefault(name, []).append(entry)
    if others and not ("train" in parts and len(parts) > 1):
        return None
    return parts or None


def _labelled(folder: Path) -> list[tuple[str, Path]]:
    classes = _subfolders(folder)
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
