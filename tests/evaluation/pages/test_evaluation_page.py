"""The page of an evaluation, read as a browser would read it."""

from __future__ import annotations

import os
import re
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import Page
from numpy.typing import NDArray

from lenext.data.decode import ImageForm
from lenext.data.reading import Reading, read_split
from lenext.data.source import Split
from lenext.errors import LenextError
from lenext.evaluation.figures import figures_of
from lenext.evaluation.judge import Judgement
from lenext.evaluation.pages.evaluation_page import EvaluationPage, Standing, write_evaluation_page

NAMES = [f"digit {i}" for i in range(10)]


def reading(labels: NDArray[np.int64], names: list[str] | None = None) -> Reading:
    pixels = list(np.random.default_rng(0).integers(0, 255, (len(labels), 8, 8), np.uint8))
    split = Split(pixels, labels, names or [f"image {i}" for i in range(len(labels))])
    return read_split(split, ImageForm(size=(28, 28), channels=1), what="reading")


def page_of(
    *, images: int = 40, wrong: int = 4, class_names: list[str] = NAMES, files: list[str] | None = None, **fields: Any
) -> EvaluationPage:
    """Return the page of answers of which the first `wrong` are wrong."""
    classes = len(class_names)
    labels = np.arange(images) % min(classes, 20)
    logits = 3 * np.eye(classes, dtype=np.float32)[labels]
    logits[:wrong] = np.roll(logits[:wrong], 1, axis=1)
    judgement = Judgement(logits, labels)
    return EvaluationPage(
        **{
            "title": "lenet5 on digits",
            "subtitle": ["The test split.", "Among 10 candidates."],
            "figures": figures_of(judgement, class_names),
            "judgement": judgement,
            "reading": reading(labels, files),
            "class_names": class_names,
            "command": "lenext evaluate lenet5 digits",
            **fields,
        }
    )


def written(path: Path, page: EvaluationPage) -> tuple[str, Page, str]:
    """Return what was written as it stands, as a browser reads it, and its text."""
    write_evaluation_page(path, page)
    html = path.read_text(encoding="utf-8")
    return html, Page(html), " ".join(unescape(re.sub("<[^>]*>", " ", html)).split())


def test_it_shows_the_figures_with_their_intervals(tmp_path: Path) -> None:
    page = page_of()
    html, read, text = written(tmp_path / "page.html", page)
    low, high = page.figures.intervals.top1
    for words in (
        "lenet5 on digits", "The test split.", "Among 10 candidates.", "90.00", f"{low:.2f} to {high:.2f}", "36 right",
        "calibration error", "Confusion matrix", "Most confused", "Classes", "Worst mistakes", "image 0",
        "digit 0", "lenext evaluate lenet5 digits", "Divided by a temperature of",
    ):  # fmt: skip
        assert words in text, words
    for words in ("Side by side", "Skipped files"):
        assert words not in text, words
    pictures = [address for address in read.addresses if not address.startswith("#")]
    assert len(pictures) == 4
    assert all(address.startswith("data:image/") for address in pictures)
    assert html.startswith("<!doctype html>")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["page.html"]


def test_nothing_is_asked_from_elsewhere(tmp_path: Path) -> None:
    html, read, _ = written(tmp_path / "page.html", page_of())
    assert all(address.startswith(("data:image/", "#")) for address in read.addresses)
    assert set(re.findall(r"url\((.)", html)) <= {"#"}
    assert "<script" not in html
    assert "@import" not in html


def test_what_is_compared_stands_side_by_side(tmp_path: Path) -> None:
    standings = [
        Standing("center", 81.03, 98.72, 0.8788, 1, 12.31),
        Standing("ten", 81.9, 98.81, 0.8011, 10, 1118.2, "+0.87 points (p < 0.0001)"),
    ]
    skipped = [{"path": f"{i}.png", "reason": "empty file"} for i in range(203)]
    _, _, text = written(tmp_path / "page.html", page_of(standings=standings, skipped_files=skipped))
    for words in (
        "Side by side", "center 81.03 98.72 0.8788 1 12.3",
        "ten 81.90 98.81 0.8011 10 1,118.2 +0.87 points (p < 0.0001)",
        "199.png empty file", "3 more are listed with --json",
    ):  # fmt: skip
        assert words in text, words
    assert "200.png" not in text


def test_a_column_without_values_is_left_out(tmp_path: Path) -> None:
    html, _, _ = written(tmp_path / "a.html", page_of(standings=[Standing("center", 81, None, 0.9, 1, 1)]))
    assert "top-5 (%)</th>" not in html


def test_names_are_text_not_markup(tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script>"
    names = [hostile, 'b" & <i>c', os.fsdecode(b"caf\xe9"), "{{ d }}", *NAMES[4:]]
    files = [f"<img src=x onerror=1>{i}.png" for i in range(40)]
    html, read, text = written(
        tmp_path / "page.html",
        page_of(
            class_names=names,
            files=files,
            title=hostile,
            subtitle=[hostile],
            command=hostile,
            standings=[Standing(hostile, 1, 1, 1, 1, 1, hostile)],
            skipped_files=[{"path": hostile, "reason": hostile}],
        ),
    )
    for markup in ("<script", "<i>c", "<img src=x"):
        assert markup not in html
    for words in (hostile, 'b" & <i>c', "{{ d }}", "<img src=x onerror=1>0.png"):
        assert words in text, words
    assert len(read.addresses) == len([address for address in read.addresses if address.startswith(("data:", "#"))])


@pytest.mark.parametrize(("images", "wrong"), [(1, 0), (1, 1), (9, 1), (40, 0), (40, 40)])
def test_where_there_is_little_to_show(tmp_path: Path, images: int, wrong: int) -> None:
    _, _, text = written(tmp_path / "page.html", page_of(images=images, wrong=wrong))
    assert "No temperature was fitted" in text
    assert ("there are too few images" in text) == (images < 10)
    assert ("None: every image was answered right." in text) == (wrong == 0)


def test_of_many_classes_those_that_were_met_are_listed(tmp_path: Path) -> None:
    many = [f"class {i:03}" for i in range(300)]
    _, _, text = written(tmp_path / "page.html", page_of(class_names=many))
    assert "Confusion matrix" in text, "20 classes have images"
    assert "class 019" in text
    assert "class 020" not in text
    _, _, text = written(tmp_path / "few.html", page_of())
    assert all(name in text for name in NAMES)


def test_a_page_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(LenextError, match="cannot write"):
        write_evaluation_page(tmp_path / "missing" / "page.html", page_of(images=3, wrong=0))
