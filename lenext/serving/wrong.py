"""Keeping wrong answers: the image, under the class that it should have been, in a folder ready to train on."""

from __future__ import annotations

import hashlib
from pathlib import Path

from lenext.data.decode import UnreadableImageError, open_image
from lenext.errors import LenextError
from lenext.files import write_atomically
from lenext.serving.refusal import RefusalError
from lenext.serving.served import kind_of, too_many_pixels

LONGEST = 100  # characters of a class's name
RESERVED = '<>:"|?*'  # that file systems of some kind do not take


def class_folder(label: str) -> str:
    """Return the name of the folder of a class.

    Raises:
        RefusalError: a name that could be that of another place, or that some file system does not take.
    """
    name = label.strip()
    hostile = any(not c.isprintable() or c in RESERVED or c in "/\\" for c in name)
    if not name or len(name) > LONGEST or hostile or name.startswith(".") or name.endswith("."):
        raise RefusalError(
            422,
            f"{label[:LONGEST]!r} can be no class: give up to {LONGEST} letters, without a dot in front and without /",
        )
    return name


def keep_wrong(folder: Path, label: str, image: bytes, pixels: int) -> Path:
    """Write an image below `folder`, under its right class, and return where; the same image again is one file.

    Raises:
        RefusalError: no image, a class that can be none, or nothing can be written there.
    """
    name = class_folder(label)
    try:
        why = too_many_pixels(image, pixels)
        if why:
            raise RefusalError(413, why)
        open_image(image)
    except UnreadableImageError as error:
        raise RefusalError(422, f"the file cannot be kept: {error}") from None
    place = folder / name
    path = place / f"{hashlib.sha256(image).hexdigest()[:20]}{kind_of(image)}"
    try:
        place.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            write_atomically(path, lambda beside: beside.write_bytes(image))
    except (LenextError, OSError) as error:
        raise RefusalError(507, f"the image cannot be kept in {folder}: {error}") from None
    return path
