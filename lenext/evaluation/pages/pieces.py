"""What the pages of runs and of evaluations have in common: matrix, pairs, classes, mistakes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from lenext.data.decode import UnreadableImageError, open_image
from lenext.data.reading import Reading
from lenext.errors import LenextError
from lenext.evaluation.judge import Judgement
from lenext.evaluation.metrics import class_figures, confused_pairs, confusion, worst_mistakes
from lenext.explanation.heat_map import HeatMap
from lenext.explanation.mistakes import Reasons
from lenext.pages.pictures import THUMBNAIL, picture_address

MATRIX_UP_TO = 25  # classes; beyond, the most confused pairs say more than a matrix
MISTAKES = 24
PAIRS = 15
LISTED = 200  # rows of a table that would otherwise have no end


def shown_answers(
    judgement: Judgement, reading: Reading, class_names: Sequence[str], reasons: Reasons | None = None
) -> dict[str, Any]:
    """Return what a page shows of the answers to the images of `reading`: matrix, pairs, classes, mistakes.

    Classes that have no images and were never answered are left out, unless all fit into the matrix. With `reasons`,
    each mistake has its map.
    """
    table = confusion(judgement)
    met = np.arange(len(class_names))
    if len(class_names) > MATRIX_UP_TO:
        met = np.union1d(judgement.labels, judgement.predicted)
    figures = class_figures(table, class_names)
    classes = sorted(figures, key=lambda row: 101 if row.recall is None else row.recall)
    shown = len(met) <= MATRIX_UP_TO
    return {
        "right": int(judgement.right.sum()),
        "matrix": _shaded(table[met][:, met].toarray(), [class_names[i] for i in met.tolist()]) if shown else None,
        "pairs": confused_pairs(table, class_names, PAIRS),
        "classes": classes[:LISTED],
        "classes_left_out": max(0, len(classes) - LISTED),
        "mistakes": _mistakes(judgement, reading, class_names, reasons),
    }


def _shaded(table: Any, class_names: Sequence[str]) -> list[dict[str, Any]]:
    """Return the rows of the matrix, each cell with its share of the row for the shade."""
    totals = np.maximum(table.sum(1, keepdims=True), 1)
    shares = table / totals
    return [
        {
            "name": class_names[i],
            "cells": [
                {
                    "count": int(table[i, j]),
                    "share": round(float(shares[i, j]), 3),
                    "right": i == j,
                    "name": class_names[j],
                }
                for j in range(len(class_names))
            ],
        }
        for i in range(len(class_names))
    ]


def _mistakes(
    judgement: Judgement, reading: Reading, class_names: Sequence[str], reasons: Reasons | None
) -> list[dict[str, Any]]:
    worst = worst_mistakes(judgement, MISTAKES)
    maps = _maps(worst, judgement, reading, reasons) if reasons and worst else []
    rows = []
    for place, index in enumerate(worst):
        answer, label = int(judgement.predicted[index]), int(judgement.labels[index])
        photo, as_seen = original(reading, index)
        seen = reasons.picture(photo, maps[place], 2 * THUMBNAIL, as_seen=as_seen) if reasons and maps else None
        rows.append(
            {
                "picture": picture_address(photo),
                "map": picture_address(seen) if seen else None,
                "file": reading.split.names[index],
                "label": class_names[label],
                "answer": class_names[answer],
                "percent": 100 * float(judgement.confidences[index]),
                "label_percent": 100 * math.exp(-judgement.losses[index]),
            }
        )
    return rows


def _maps(worst: list[int], judgement: Judgement, reading: Reading, reasons: Reasons) -> list[HeatMap]:
    """Return what led to each of the worst mistakes; none where an image can no longer be read."""
    indices = np.array(worst)
    try:
        return reasons.maps(reading.images.batch(indices), judgement.predicted[indices])
    except LenextError:
        return []


def original(reading: Reading, index: int) -> tuple[Image.Image, bool]:
    """Return the picture as it is, upright, or what the model saw of it, and whether it is that."""
    try:
        return open_image(reading.split.items[index]), False
    except UnreadableImageError:  # gone since it was read
        pixels = reading.images.batch(np.array([index]))[0]
        return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels), True
