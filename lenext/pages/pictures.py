"""Pictures inside a page, as data addresses, so that the page is one file."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

THUMBNAIL = 112  # pixels that a picture's longest side is shown at; twice as many are kept


def picture_address(image: Image, shown: int = THUMBNAIL) -> str:
    """Return a picture, made smaller where it is large, as a data address: PNG for a tiny one, else JPEG.

    `shown` are the pixels of its longest side on the page, for which twice as many are kept.
    """
    image = image.copy()
    image.thumbnail((2 * shown, 2 * shown))
    buffer = io.BytesIO()
    tiny = min(image.size) < THUMBNAIL
    if tiny:
        image.save(buffer, "PNG")
    else:
        image.save(buffer, "JPEG", quality=85)
    kind = "png" if tiny else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
