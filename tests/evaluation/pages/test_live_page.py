"""The page of a run that is under way."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import Page

from lenext.data.decode import ImageForm
from lenext.data.reading import Reading, read_split
from lenext.data.source import Split
from lenext.evaluation.judge import Judgement
from lenext.evaluation.pages import pieces, report
from lenext.evaluation.pages.report import Drawn, write_live_page

REFRESH = '<meta http-equiv="refresh" content="5">'


@dataclass
class Pulse:
    step: int = 120
    steps: int = 480
    epoch: int = 3
    epochs: int = 10
    loss: float = 0.4321
    lr: float = 0.00213
    images_per_second: float = 1234.0
    left: float = 83.2


@pytest.fixture
def record(digits_run: Path) -> dict[str, Any]:
    """The record of a run that has begun."""
    return {**json.loads((digits_run / "run.json").read_text()), "state": "running", "result": None}


@pytest.fixture
def history(digits_run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (digits_run / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def held_out() -> Reading:
    pixels = list(np.random.default_rng(0).integers(0, 255, (20, 8, 8), np.uint8))
    split = Split(pixels, np.arange(20) % 10, [f"digit {i}" for i in range(20)])
    return read_split(split, ImageForm(size=(28, 28), channels=1), what="reading")


def judgement(held_out: Reading, wrong: int) -> Judgement:
    """Return answers of which the first `wrong` are wrong."""
    logits = np.eye(10, dtype=np.float32)[held_out.labels]
    logits[:wrong] = np.roll(logits[:wrong], 1, axis=1)
    return Judgement(logits, held_out.labels)


def test_before_the_first_epoch_is_judged(tmp_path: Path, record: dict[str, Any], held_out: Reading) -> None:
    path = tmp_path / "report.html"
    write_live_page(path, record, [], None, held_out, None)
    html = path.read_text()
    assert REFRESH in html
    text = " ".join(Page(html).text.split())
    assert "The first step is still to come." in text
    write_live_page(path, record, [], None, held_out, Pulse())
    html = path.read_text()
    text = " ".join(Page(html).text.split())
    for words in ("Training is under way", "epoch 3 of 10, step 120 of 480", "1 min 23 s left", "0.4321", "0.00213",
                  "1,234", "No epoch has been judged yet.", "None yet: they begin with the first epoch",
                  "lenext train digits", "batch size"):  # fmt: skip
        assert words in text, words
    assert "width: 25.00%" in html
    for words in ("Confusion matrix", "Worst mistakes", "top-1"):
        assert words not in text, words


def test_once_an_epoch_was_judged_all_that_the_report_has(
    tmp_path: Path, record: dict[str, Any], history: list[dict[str, Any]], held_out: Reading
) -> None:
    path = tmp_path / "report.html"
    write_live_page(path, record, history[:1], judgement(held_out, 4), held_out, Pulse())
    page = Page(path.read_text())
    text = " ".join(page.text.split())
    for words in ("16 of 20 images right", "the weights kept after epoch 1", "80.00", "Confusion matrix",
                  "Most confused", "Classes", "Worst mistakes", "digit 0"):  # fmt: skip
        assert words in text, words
    pictures = [address for address in page.addresses if not address.startswith("#")]
    assert len(pictures) == 4
    assert all(address.startswith("data:image/") for address in pictures)
    assert "<svg" in path.read_text()


@pytest.mark.parametrize("state", ["finished", "interrupted", "failed"])
def test_a_run_that_ended_does_not_load_anew(
    tmp_path: Path, record: dict[str, Any], held_out: Reading, state: str
) -> None:
    path = tmp_path / "report.html"
    write_live_page(path, {**record, "state": state}, [], None, held_out, Pulse())
    html = path.read_text()
    assert "refresh" not in html
    assert f"Training was {state} before an epoch was judged." in html
    assert '<div class="standing">' not in html


def test_what_is_open_is_left_out(tmp_path: Path, record: dict[str, Any], held_out: Reading) -> None:
    path = tmp_path / "report.html"
    write_live_page(path, record, [], None, held_out, Pulse(steps=0, epochs=0, left=-1.0))
    html = path.read_text()
    assert '<div class="standing"><b>epoch 3, step 120</b></div>' in html
    assert '<div class="progress">' not in html


def test_what_takes_long_is_drawn_only_when_it_is_another(
    tmp_path: Path,
    record: dict[str, Any],
    history: list[dict[str, Any]],
    held_out: Reading,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn_of = {"curves": 0, "thumbnails": 0}
    curves, original = report.draw_curves, pieces.original

    def counted(name: str, draw: Any) -> Any:
        def count(*arguments: Any) -> Any:
            drawn_of[name] += 1
            return draw(*arguments)

        return count

    monkeypatch.setattr(report, "draw_curves", counted("curves", curves))
    monkeypatch.setattr(pieces, "original", counted("thumbnails", original))
    path, drawn, first = tmp_path / "report.html", Drawn(), judgement(held_out, 3)
    for step in (50, 60, 70):
        write_live_page(path, record, history[:1], first, held_out, Pulse(step=step), drawn)
        assert f"step {step} of 480" in path.read_text()
    assert drawn_of == {"curves": 1, "thumbnails": 3}
    write_live_page(path, record, history, first, held_out, Pulse(), drawn)  # early stopping keeps the weights
    assert drawn_of == {"curves": 2, "thumbnails": 3}
    write_live_page(path, record, history, judgement(held_out, 1), held_out, Pulse(), drawn)
    assert drawn_of == {"curves": 2, "thumbnails": 4}
    assert "19 of 20 images right" in path.read_text()
    alone = tmp_path / "alone.html"
    write_live_page(alone, {**record, "state": "failed"}, history, judgement(held_out, 1), held_out, None)
    assert "19 of 20 images right" in alone.read_text()
