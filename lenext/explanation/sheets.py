"""Sheets: what the first layer looks for, and what the stages make of an image, as pictures of many small tiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import nn

from lenext.classifier import Classifier
from lenext.data.decode import UnreadableImageError
from lenext.errors import UserError
from lenext.explanation.methods import chosen_stage
from lenext.explanation.sight import look
from lenext.prediction import Picture, expand

WIDTH = 1040  # pixels of tiles and gaps, about
MARGIN, GAP, HEAD, CAPTION = 28, 4, 64, 34
LEAST, MOST = 40, 128  # pixels of a tile's longer side
SHOWN = 48  # feature maps of a stage at most
INK, FAINT, PAPER = "#1f2937", "#6b7280", "#ffffff"


@dataclass(frozen=True)
class Section:
    """Tiles of one size, uint8 (N, H, W) grey or (N, H, W, 3), and what stands above them."""

    caption: str
    tiles: NDArray[np.uint8]


@dataclass(frozen=True)
class Sheet:
    """A picture of tiles, how many are `shown`, and how many are `left_out` for want of room."""

    picture: Image.Image
    shown: int
    left_out: int


def filters_sheet(classifier: Classifier) -> Sheet:
    """Return the kernels of the first convolution: in colour where it sees red, green and blue, else in grey.

    Of each kernel, middle grey is zero, and its largest weight is black or white.

    Raises:
        UserError: the network has no convolution.
    """
    path = classifier.model.first_convolution
    if path is None:
        raise UserError(f"{classifier.name} has no convolution, so no kernels to show")
    layer = classifier.model.get_submodule(path)
    assert isinstance(layer, nn.Conv2d)
    weights = layer.weight.detach().float().cpu()  # (out, in, h, w)
    if weights.shape[1] != 3:
        weights = weights.mean(1, keepdim=True)
    most = weights.abs().amax((1, 2, 3), keepdim=True).clamp_min(1e-30)
    levels = ((weights / most + 1) * 127.5).round().to(torch.uint8)
    tiles = levels.permute(0, 2, 3, 1).squeeze(-1).numpy()  # (N, h, w, 3), or (N, h, w)
    count, height, width = tiles.shape[:3]
    title = f"{classifier.name}: the {count} kernels of the first convolution, {height} x {width} pixels"
    nothing = int((weights == 0).flatten(1).all(1).sum())
    note = f"{path}; middle grey is zero, each kernel by its own largest weight"
    note += f"; {nothing} are all zero" if nothing else ""
    return Sheet(_drawn(title, note, [Section("", tiles)]), count, 0)


def activations_sheet(classifier: Classifier, image: Picture, stage: int | None = None) -> Sheet:
    """Return the feature maps that each stage makes of an image, or those of one `stage`, counted from 0.

    Of each map, black is its least value and white its largest; of many, those of the largest mean size are shown.

    Raises:
        UserError: no stages, no such one, or an image that cannot be read.
    """
    last = chosen_stage(classifier, stage)
    ((name, picture),) = expand([image])
    try:
        sight = look(classifier, name, picture)
    except UnreadableImageError as error:
        raise UserError(f"{name} cannot be read: {error}") from error
    with torch.inference_mode():
        maps = classifier.model.features(sight.tensor(classifier))
    wanted = range(len(maps)) if stage is None else [last]
    height, width, channels = sight.pixels.shape
    seen = sight.pixels[None, ..., 0] if channels == 1 else sight.pixels[None]
    sections = [Section(f"what enters: {height} x {width} pixels", seen)]
    shown, total = 0, 0
    for number in wanted:
        found = maps[number][0].float().cpu()  # (C, h, w)
        strongest = found.abs().mean((1, 2)).argsort(descending=True)[:SHOWN]
        least, most = found.amin((1, 2), keepdim=True), found.amax((1, 2), keepdim=True)
        levels = (255 * (found - least) / (most - least).clamp_min(1e-30)).round().to(torch.uint8)
        count, height, width = found.shape
        few = f", the {SHOWN} strongest of them, {count - SHOWN} left out" if count > SHOWN else ""
        caption = f"stage {number} of 0 to {len(maps) - 1}: {count} maps of {height} x {width}{few}"
        sections.append(Section(caption, levels[strongest].numpy()))
        shown, total = shown + len(strongest), total + count
    title = f"{classifier.name}: what its stages make of {name.rpartition('/')[2]}"
    note = "of each map, black is its least value and white its largest"
    return Sheet(_drawn(title, note, sections), shown, total - shown)


def _drawn(title: str, note: str, sections: Sequence[Section]) -> Image.Image:
    """Return the sheet: the title, a note, and the tiles of each section below its caption."""
    across = [_columns(section) for section in sections]
    width = 2 * MARGIN + max(columns * (tile[0] + GAP) - GAP for columns, tile in across)
    font, small = ImageFont.load_default(19), ImageFont.load_default(13)
    width = max(width, *(2 * MARGIN + round(f.getlength(text)) for f, text in ((font, title), (small, note))))
    heights = [
        (CAPTION if section.caption else 0) + -(-len(section.tiles) // columns) * (tile[1] + GAP)
        for section, (columns, tile) in zip(sections, across, strict=True)
    ]
    sheet = Image.new("RGB", (width, HEAD + sum(heights) + MARGIN + GAP * 2), PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((MARGIN, 16), title, INK, font)
    draw.text((MARGIN, 41), note, FAINT, small)
    top = HEAD + GAP * 2
    for section, (columns, tile), height in zip(sections, across, heights, strict=True):
        first = top
        if section.caption:
            draw.text((MARGIN, top + CAPTION - 10), section.caption, INK, small, anchor="ls")
            first += CAPTION
        for number, pixels in enumerate(section.tiles):
            row, column = divmod(number, columns)
            shown = Image.fromarray(pixels).resize(tile, Image.Resampling.NEAREST)
            sheet.paste(shown, (MARGIN + column * (tile[0] + GAP), first + row * (tile[1] + GAP)))
        top += height
    return sheet


def _columns(section: Section) -> tuple[int, tuple[int, int]]:
    """Return how many tiles stand in a row, and the width and height of each: few are large, many small."""
    height, width = section.tiles.shape[1:3]
    side = min(MOST, max(LEAST, round((WIDTH * 260 / len(section.tiles)) ** 0.5)))
    scale = side / max(height, width)
    scale = max(1, round(scale)) if scale >= 1 else scale  # whole pixels where there is room for them
    tile = max(1, round(width * scale)), max(1, round(height * scale))
    return min(len(section.tiles), max(1, (WIDTH + GAP) // (tile[0] + GAP))), tile
