"""What explanations leave in files: a picture of each image and one page, in a folder that is there whole or not."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from lenext.errors import LenextError, UserError, one_line

PAGE = "index.html"
LONGEST_NAME = 60  # characters of an image's name in that of its picture


def write_folder(folder: Path, images: Sequence[str], pictures: Sequence[Image.Image], page: str) -> list[Path]:
    """Write a picture of each image and the page into a new folder, beside and renamed; return the pictures' files.

    Raises:
        UserError: something is there already.
        LenextError: the write failed.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is there already; give another name, or remove it first")
    beside = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    names = [f"{number:03}-{_plain(image)}.png" for number, image in enumerate(images, 1)]
    try:
        beside.mkdir(parents=True)
        for picture, name in zip(pictures, names, strict=True):
            picture.save(beside / name)
        (beside / PAGE).write_text(page, encoding="utf-8", errors="backslashreplace")
        if folder.exists():  # an empty one
            folder.rmdir()
        beside.rename(folder)
    except OSError as error:
        raise LenextError(f"cannot write {folder}: {error.strerror or one_line(error)}") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return [folder / name for name in names]


def _plain(image: str) -> str:
    """Return what an image is called, in characters that every file may have."""
    return re.sub(r"[^\w-]+", "-", Path(image).stem, flags=re.ASCII).strip("-")[:LONGEST_NAME] or "image"
