"""The picture of a map: heat over the greyed photo, in which what the network did not see is darker."""

from __future__ import annotations

import numpy as np
from PIL import Image

from lenext.explanation.heat_map import HeatMap
from lenext.pages.heat import Box, blended, greyed

SHORTEST, LONGEST = 448, 800  # pixels of the longer side: what smaller images are enlarged to, and at most
CRISP = 4  # times enlarged, from which on pixels are shown as squares
UNSEEN = 0.45  # of its light that is left where the network did not see


def overlay(photo: Image.Image, heat: HeatMap, part: Box, shortest: int = SHORTEST) -> Image.Image:
    """Return the map over the photo, of which the network saw `part` (left, top, right, bottom, in its pixels)."""
    shown = display(photo, shortest)
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


def display(photo: Image.Image, shortest: int = SHORTEST) -> Image.Image:
    """Return the photo in the size of its map, the longer side `shortest` to 800 pixels."""
    longest = max(photo.size)
    ratio = min(max(LONGEST, shortest) / longest, max(1.0, shortest / longest))
    size = max(1, round(photo.width * ratio)), max(1, round(photo.height * ratio))
    crisp = ratio >= CRISP
    return photo.resize(size, Image.Resampling.NEAREST if crisp else Image.Resampling.BICUBIC)
