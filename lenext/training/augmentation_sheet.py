"""A sheet that shows what a recipe does to images: each in a row, as evaluation sees it and as training does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from lenext.building import as_size
from lenext.data.augmentation.augmentation import Augmentation
from lenext.data.colours import colour_axes
from lenext.data.decode import ImageForm, decode
from lenext.data.opening import open_source
from lenext.data.preprocessing import Preprocessing
from lenext.data.reading import read_split
from lenext.data.source import Split
from lenext.data.training_data import kept_form
from lenext.data.training_loader import TrainingLoader
from lenext.errors import UserError
from lenext.models import lookup
from lenext.training.recipes import Situation, about, make_recipe
from lenext.training.recipes.making import STRENGTHS
from lenext.training.recipes.situation import all_grey, training_split

COLOURS = 500  # images, for the axes of the colours
TILE, GAP, MARGIN, HEAD, NAMES = 112, 6, 28, 86, 110  # pixels
INK, FAINT, PAPER = "#1f2937", "#6b7280", "#ffffff"


def augmentation_sheet(
    data: str | Path,
    recipe: str = "default",
    *,
    model: str | None = None,
    size: int | tuple[int, int] | None = None,
    overrides: Mapping[str, Any] | None = None,
    images: int = 6,
    views: int = 8,
    seed: int = 0,
) -> Image.Image:
    """Return a picture of what the recipe does to images of `data`.

        augmentation_sheet("photos/", "convnext").save("sheet.png")

    `model` or `size` (pixels) say how large the network sees them; the first model of the recipe's paper, if neither.
    There are `images` rows, and `views` columns beside that of what evaluation sees: epochs 1, 2 and so on.

    Raises:
        UserError: no such recipe, or no images.
    """
    source = open_source(data)
    split, count = training_split(source)
    if split is None:
        raise UserError(f"{data} has no train split, only {', '.join(source.splits)}")
    native = lookup(model or _first_model(recipe)).facts.size
    sides = as_size(size if size is not None else native)
    situation = Situation(train_images=max(1, count), model=model or "", size=sides, grey=all_grey(split))
    made = make_recipe(recipe, situation, dict(overrides or {}))
    form = ImageForm(size=sides)
    reading = read_split(_some(split, COLOURS), kept_form(made.augmentation, form), what="reading images")
    if not len(reading.images):
        raise UserError(f"{data} has no readable image")
    form = replace(form, channels=reading.images.channels)
    rows = np.linspace(0, len(reading.images) - 1, min(images, len(reading.images))).round().astype(np.int64)
    preprocessing = Preprocessing(form, (0.5,) * reading.images.channels, (0.25,) * reading.images.channels)
    loader = TrainingLoader(
        reading, preprocessing, batch_size=len(rows), device=torch.device("cpu"), augmentation=made.augmentation,
        axes=colour_axes(reading) if made.augmentation.colour_noise else None,
    )  # fmt: skip
    plain = [decode(reading.split.items[i], form) for i in rows.tolist()]
    columns = [np.stack(plain)]
    columns += [next(loader.views([rows], seed=seed, epoch=epoch))[0].numpy() for epoch in range(1, views + 1)]
    labels = [source.class_names[label] for label in reading.labels[rows].tolist()]
    return _drawn(columns, labels, f"{made.name} on {Path(str(data)).name or data}", in_words(made.augmentation))


def in_words(augmentation: Augmentation) -> str:
    """Return what an augmentation does, as `--set` would say it; the values that do nothing are left out."""
    told = []
    for field in fields(augmentation):
        value = getattr(augmentation, field.name)
        if field.name in ("padding", "scale", "area", *STRENGTHS):
            continue
        if value != field.default:
            told.append(f"{field.name}={_short(value)}")
            told += [f"{key}={_short(getattr(augmentation, key))}" for key in DETAILS.get(value, ())]
        if field.name == "randaugment" and value:
            told += [f"{key}={_short(getattr(augmentation, key))}" for key in STRENGTHS if getattr(augmentation, key)]
    return "  ".join(told) or "images as they are"


DETAILS: dict[Any, tuple[str, ...]] = {
    "pad": ("padding",),
    "translate": ("padding",),
    "random": ("scale",),
    "inception": ("area",),
}


def _short(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(map(_short, value))
    return f"{value:.3g}" if isinstance(value, float) else str(value).lower()


def _first_model(recipe: str) -> str:
    """Return the model whose size shows what a recipe is for."""
    return "resnet18" if recipe.removesuffix(":tiny") == "paper" else next(iter(about(recipe).models), "resnet18")


def _some(split: Split, most: int) -> Split:
    return split.take(np.linspace(0, len(split) - 1, min(most, len(split))).round().astype(np.int64))


def _drawn(columns: list[NDArray[np.uint8]], labels: list[str], title: str, details: str) -> Image.Image:
    """Return the sheet of columns, each (rows, H, W, C)."""
    rows, height, width = columns[0].shape[:3]
    scale = TILE / max(height, width)
    tile = (max(1, round(width * scale)), max(1, round(height * scale)))
    across = MARGIN + NAMES + len(columns) * (tile[0] + GAP) + GAP + MARGIN
    sheet = Image.new("RGB", (across, HEAD + rows * (tile[1] + GAP) + MARGIN), PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((MARGIN, 18), title, INK, ImageFont.load_default(19))
    draw.text((MARGIN, 44), details, FAINT, ImageFont.load_default(13))
    small = ImageFont.load_default(12)
    for row, label in enumerate(labels):
        middle = HEAD + row * (tile[1] + GAP) + tile[1] // 2
        draw.text((MARGIN, middle), _fitting(label, small), INK, small, anchor="lm")
    for number, column in enumerate(columns):
        left = MARGIN + NAMES + number * (tile[0] + GAP) + (2 * GAP if number else 0)
        head = "as it is" if not number else f"epoch {number}"
        draw.text((left, HEAD - 8), head, FAINT, small, anchor="ls")
        for row, pixels in enumerate(column):
            image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
            larger = tile[0] > image.width
            image = image.resize(tile, Image.Resampling.NEAREST if larger else Image.Resampling.LANCZOS)
            sheet.paste(image, (left, HEAD + row * (tile[1] + GAP)))
    return sheet


def _fitting(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    while font.getlength(text) > NAMES - GAP:
        text = text.rstrip("\u2026")[:-1] + "\u2026"
    return text
