"""The report, read as a browser would read it."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from browser import Page
from pictures import class_folder
from PIL import Image

import lenext
from lenext.evaluation.pages.curves import draw_curves


@pytest.fixture(scope="module")
def page(digits_run: Path) -> Page:
    return Page((digits_run / "report.html").read_text(encoding="utf-8"))


def test_it_is_self_contained(page: Page) -> None:
    for address in page.addresses:
        assert address.startswith(("data:image/", "#")), address[:60]


def test_it_shows_the_run(page: Page) -> None:
    for words in ("lenet5 on digits", "top-1 (%)", "Confusion matrix", "Classes", "Worst mistakes", "Run it again",
                  "lenext train digits --model lenet5 --seed 1 --epochs 2", "batch size", "torch"):  # fmt: skip
        assert words in page.text, words


def test_the_mistakes_are_pictures_of_wrong_answers(page: Page, digits_run: Path) -> None:
    result = lenext.evaluate(digits_run, "digits")
    wrong = round(result.images * (1 - result.top1 / 100))
    pictures = [address for address in page.addresses if address.startswith("data:image/")]
    assert len(pictures) == 2 * min(24, wrong) > 0, "each with its map"
    with Image.open(io.BytesIO(base64.b64decode(pictures[0].partition(",")[2]))) as image:
        assert image.size == (8, 8)


def test_names_are_text_not_markup(tmp_path: Path) -> None:
    names = ("<script>alert(1)</script>".replace("/", "\u2215"), "b & <i>c")
    class_folder(tmp_path / "photos", classes=names)
    (tmp_path / "photos" / names[0] / "<img src=x>.png").write_bytes(b"")
    run = Path(lenext.train(tmp_path / "photos", "mlp", epochs=1, out=tmp_path / "run").run)
    html = (run / "report.html").read_text(encoding="utf-8")
    assert "<script>" not in html
    assert "<i>c" not in html
    page = Page(html)
    assert "b & <i>c" in page.text
    assert "<img src=x>.png" in page.text


def test_many_classes_are_listed_not_drawn(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in range(30):
        (tmp_path / "photos" / f"class {name:02}").mkdir(parents=True)
        for i in range(3):
            pixels = rng.integers(0, 255, (28, 28), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / f"class {name:02}" / f"{i}.png")
    run = Path(lenext.train(tmp_path / "photos", "mlp", epochs=1, out=tmp_path / "run").run)
    page = Page((run / "report.html").read_text(encoding="utf-8"))
    assert "Confusion matrix" not in page.text
    assert "Most confused" in page.text
    assert "class 29" in page.text


def test_curves_are_the_same_each_time_and_take_the_pages_ink() -> None:
    history = [{"epoch": 1, "train_loss_parts": [2.0, 1.0], "loss": 0.9, "top1": 80.0}]
    svg = draw_curves(history, "val")
    assert svg == draw_curves(history, "val")
    assert svg.startswith("<svg")
    assert "currentColor" in svg
    assert "#123456" not in svg
    assert "viewBox" in svg
