"""Looking at an image as a whole, for what its header says and a small picture, sooner than decoding it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from PIL import Image

from lenext.data.decode import (
    ORIENTATION,
    SIDEWAYS,
    UnreadableImageError,
    file_content,
    unread_image,
    upright_image,
    why_unreadable,
)

if TYPE_CHECKING:
    from lenext.data.source import Item


@dataclass(frozen=True)
class Glance:
    """What the header of an image says, and the image itself, upright, grey or RGB, at a part of its size.

    `format`, `mode` and `orientation` are Pillow's and EXIF's; `height` and `width` those of the upright image; `deep`
    whether it has more than 8 bits a channel.
    """

    format: str
    mode: str
    height: int
    width: int
    orientation: int
    deep: bool
    transparent: bool
    animated: bool
    image: Image.Image


def glance(item: Item, side: int, channels: int | None = None) -> Glance:
    """Look at an image as a whole, each byte of it read, but where JPEG allows not every pixel made.

    The image that comes back has at least `side` pixels each way where the file has.

    Raises:
        UnreadableImageError: empty, truncated, or no image.
    """
    data = file_content(item)
    try:
        image = unread_image(data)
        deep = _is_deep(image)  # before EXIF is asked for, for which a PNG is read whole
        turned = image.getexif().get(ORIENTATION, 1)
        height, width = image.size if turned in SIDEWAYS else image.size[::-1]
        if not height * width:
            raise UnreadableImageError("an image without pixels")
        seen: dict[str, Any] = {
            "format": image.format or "",
            "mode": image.mode,
            "height": height,
            "width": width,
            "orientation": _orientation(image.info.get("original_orientation") or turned),  # HEIC's decoder turns it
            "deep": deep,
            "transparent": image.has_transparency_data,
            "animated": _is_animated(image),
        }
        if image.format in ("JPEG", "MPO"):
            factor = next((factor for factor in (8, 4, 2) if min(height, width) >= factor * side), 1)
            image.draft("L" if channels == 1 else None, (image.width // factor, image.height // factor))
        return Glance(**seen, image=upright_image(image, channels))
    except UnreadableImageError:
        raise
    except Exception as error:  # Pillow's decoders raise errors of many kinds on broken files
        raise UnreadableImageError(why_unreadable(error, data)) from error


def _orientation(said: object) -> int:
    """Return what EXIF says of how to turn an image, 1 (not at all) where it says what nobody knows."""
    return said if isinstance(said, int) and 1 <= said <= 8 else 1


def _is_deep(image: Image.Image) -> bool:
    """Say whether an image has more than 8 bits a channel, of which Pillow keeps 8 in colour."""
    stored = [image.mode, *(str(tile[3]) for tile in getattr(image, "tile", ()))]
    return image.mode in ("I", "F") or any(";16" in each for each in stored)


def _is_animated(image: Image.Image) -> bool:
    """Say whether a file has several pictures, which looks for the second; whatever is wrong with that one."""
    if image.format == "MPO":  # a photo with its preview
        return False
    try:
        return bool(getattr(image, "is_animated", False))
    except Exception:  # Pillow's decoders raise errors of many kinds on broken files
        return False
