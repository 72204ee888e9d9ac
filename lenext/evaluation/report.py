"""The report: one self-contained page that shows a run."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lenext.data.decode import UnreadableImageError, open_image
from lenext.data.reading import Reading
from lenext.evaluation.curves import draw_curves
from lenext.evaluation.judge import Judgement
from lenext.evaluation.metrics import class_figures, confused_pairs, confusion, worst_mistakes
from lenext.files import write_text

MATRIX_UP_TO = 25  # classes; beyond, the most confused pairs say more than a matrix
MISTAKES = 24
PAIRS = 15
LISTED = 200  # rows of a table that would otherwise have no end
THUMBNAIL = 112


def write_report(
    path: Path, record: dict[str, Any], history: Sequence[dict[str, Any]], judgement: Judgement, held_out: Reading
) -> None:
    """Write the page of a run: curves, confusion matrix, classes, worst mistakes, settings, how to rerun it.

    Raises:
        LenextError: the write failed.
    """
    import jinja2

    class_names: list[str] = record["data"]["class_names"]
    table = confusion(judgement)
    classes = sorted(class_figures(table, class_names), key=lambda row: 101 if row.recall is None else row.recall)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("lenext.evaluation", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    html = environment.get_template("report.html.jinja").render(
        record=record,
        name=Path(record["data"]["location"]).resolve().name,
        result=record["result"],
        right=int(np.trace(table)),
        curves=draw_curves(history, record["data"]["held_out_split"]),
        matrix=_shaded(table, class_names) if len(class_names) <= MATRIX_UP_TO else None,
        pairs=confused_pairs(table, class_names, PAIRS),
        classes=classes[:LISTED],
        classes_left_out=max(0, len(classes) - LISTED),
        mistakes=_mistakes(judgement, held_out, class_names),
        skipped=record["skipped_files"][:LISTED],
        skipped_left_out=max(0, len(record["skipped_files"]) - LISTED),
    )
    write_text(path, html)


def _shaded(table: Any, class_names: list[str]) -> list[dict[str, Any]]:
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


def _mistakes(judgement: Judgement, held_out: Reading, class_names: list[str]) -> list[dict[str, Any]]:
    probabilities = judgement.probabilities
    rows = []
    for index in worst_mistakes(judgement, MISTAKES):
        answer, label = int(judgement.logits[index].argmax()), int(judgement.labels[index])
        rows.append(
            {
                "picture": _thumbnail(held_out, index),
                "file": held_out.split.names[index],
                "label": class_names[label],
                "answer": class_names[answer],
                "percent": 100 * float(probabilities[index, answer]),
                "label_percent": 100 * float(probabilities[index, label]),
            }
        )
    return rows


def _thumbnail(held_out: Reading, index: int) -> str:
    """Return the picture as a data address: the original, made smaller, or what the model saw of it."""
    try:
        image = open_image(held_out.split.items[index])
    except UnreadableImageError:  # gone since it was read
        from PIL import Image

        image = Image.fromarray(held_out.images.batch(np.array([index]))[0].squeeze())
    image = image.copy()
    image.thumbnail((2 * THUMBNAIL, 2 * THUMBNAIL))
    buffer = io.BytesIO()
    if min(image.size) < THUMBNAIL:
        image.save(buffer, "PNG")
    else:
        image.save(buffer, "JPEG", quality=85)
    kind = "png" if buffer.getvalue().startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
