"""Keeping wrong answers: the image, under the class that it should have been, in a folder ready to train on."""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path

from lenext.data.decode import UnreadableImageError, open_image
from lenext.data.folder import is_hidden, split_folders
from lenext.errors import LenextError
from lenext.files import write_atomically
from lenext.serving.refusal import RefusalError
from lenext.serving.served import TooLargeError, ending_of, header_of, in_turn

LONGEST = 200  # bytes of a class's name; file systems take 255
RESERVED = '<>:"|?*'  # that file systems of some kind do not take


def class_folder(label: str) -> str:
    """Return the name of the folder of a class.

    Raises:
        RefusalError: a name that could be that of another place, or that some file system does not take.
    """
    name = label.strip()
    hostile = any(not c.isprintable() or c in RESERVED or c in "/\\" for c in name)
    if not name or hostile or len(name.encode()) > LONGEST or is_hidden(name) or name.endswith("."):
        raise RefusalError(
            422,
            f"{label[:LONGEST]!r} can be no class: give up to {LONGEST} letters, without a dot in front and without /, "
            "and no name that systems use themselves",
        )
    return name


def keep_wrong(folder: Path, label: str, image: bytes, pixels: int) -> Path:
    """Write an image below `folder`, under its right class, and return where; the same image again is one file.

    Raises:
        RefusalError: no image, a class that can be none, or nothing can be written there.
    """
    name = class_folder(label)
    try:
        header = header_of(image, pixels)
        with in_turn(header):
            open_image(header)
    except TooLargeError as error:
        raise RefusalError(413, str(error)) from None
    except UnreadableImageError as error:
        raise RefusalError(422, f"the file cannot be kept: {error}") from None
    place = folder / name
    path = place / f"{hashlib.sha256(image).hexdigest()[:20]}{ending_of(header)}"
    try:
        place.mkdir(parents=True, exist_ok=True)
        _require_classes(folder, place)
        if not path.exists():
            write_atomically(path, lambda beside: beside.write_bytes(image))
    except (LenextError, OSError) as error:
        raise RefusalError(507, f"the image cannot be kept in {folder}: {error}") from None
    return path


def _require_classes(folder: Path, place: Path) -> None:
    """Raise RefusalError where the folders in `folder` would be read as splits: train/ alone, or with val/."""
    splits = split_folders(folder)
    if splits:
        with contextlib.suppress(OSError):  # one that holds something already stays
            place.rmdir()
        raise RefusalError(
            422,
            f"with {place.name!r} the folders in {folder} would be read as the splits {', '.join(splits)}, not as "
            "classes; keep an image of another class first, or start the server with another --wrong",
        )
