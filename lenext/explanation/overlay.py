"""The picture of a map: heat over the greyed photo, in which what the network did not see is darker."""

from __future__ import annotations

import numpy as np
from PIL import Image

from lenext.explanation.heat_map import HeatMap
from lenext.pages.heat import Box, blended, greyed

SIDES = (448, 800)  # pixels of the longer side: what smaller images are enlarged to, and at most
CRISP = 4  # times enlarged, from which on pixels are shown as squares
UNSEEN = 0.45  # of its light that is left where the network did not see


def overlay(photo: Image.Image, heat: HeatMap, part: Box, sides: tuple[int, int] = SIDES) -> Image.Image:
    """Return the map over the photo, of which the network saw `part` (left, top, right, bottom, in its pixels)."""
    shown = display(photo, sides)
    width, height = shown.size
    whole = (0.0, 0.0, float(photo.width), float(photo.height))
    pixels = np.asarray(shown).reshape(height, width, -1)
    across, down = width / photo.width, height / photo.height
    left, top, right, bottom = (side * scale for side, scale in zip(part, (across, down) * 2, strict=True))
    columns, rows = np.arange(width) + 0.5, np.arange(height) + 0.5
    seen = ((rows >= top) & (rows <= bottom))[:, None] & ((columns >= left) & (columns <= right))
    grey = greyed(pixels) * np.where(seen, 1, UNSEEN)
    mixed = blended(grey, np.where(seen, heat.drawn(whole, (height, width)), 0))
    return Image.fromarray((255 * mixed).round().astype(np.uint8))


def display(photo: Image.Image, sides: tuple[int, int] = SIDES) -> Image.Image:
    """Return the photo in the size of its map; `sides` are the least and the most pixels of its longer side."""
    longest = max(photo.size)
    ratio = min(sides[1] / longest, max(1.0, sides[0] / longest))
    size = max(1, round(photo.width * ratio)), max(1, round(photo.height * ratio))
    if ratio >= CRISP:
        return photo.resize(size, Image.Resampling.NEAREST)
    return photo.resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)
