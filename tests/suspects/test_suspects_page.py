"""The page of suspects, read as a browser would read it."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pictures import stripes

from lenext.data.decode import ImageForm
from lenext.data.reading import read_split
from lenext.data.source import Split
from lenext.errors import LenextError
from lenext.suspects.page import SHOWN, write_page
from lenext.suspects.result import Suspect, Suspects

NAMES = ("cat", "dog", "eel")


def found(pairs: list[tuple[str, str]], **fields: Any) -> Suspects:
    """Return suspects of these labels and suggestions, the worst first, among ten times as many images."""
    images = 10 * len(pairs) or 10
    split = Split(
        [stripes(0, upright=True)] * images, np.zeros(images, np.int64), [f"image {i}.png" for i in range(images)]
    )
    suspects = tuple(
        Suspect(split.names[2 * i], label, suggested, 0.012, 0.957, i / 1000)
        for i, (label, suggested) in enumerate(pairs)
    )
    reading = read_split(split, ImageForm(size=(8, 8), channels=3), what="reading", loading="workers")
    return Suspects(
        **{
            "run": "runs/pets",
            "model": "lenet5",
            "data": "photos",
            "images": images,
            "class_names": NAMES,
            "folds": 5,
            "epochs": 3,
            "top1": 91.234,
            "estimated_noise": 4.321,
            "suspects": suspects,
            "skipped_files": (),
            "seconds": 1.0,
            "rows": 2 * np.arange(len(pairs)),
            "reading": reading,
            **fields,
        }
    )


def written(path: Path, suspects: Suspects) -> tuple[str, list[str], str]:
    """Return what was written as it stands, the addresses of its pictures, and its text."""
    write_page(path, suspects, command="lenext suspects runs/pets photos")
    html = path.read_text(encoding="utf-8")
    addresses = re.findall(r'(?:src|href)="([^"]*)"', html)
    return html, addresses, " ".join(unescape(re.sub("<style>.*</style>|<[^>]*>", " ", html, flags=re.DOTALL)).split())


def test_the_most_frequent_pair_comes_first(tmp_path: Path) -> None:
    pairs = [("cat", "dog"), ("dog", "eel"), ("eel", "cat"), ("dog", "eel")]
    html, addresses, text = written(tmp_path / "page.html", found(pairs))
    for words in (
        "Suspects in photos", "lenet5 was trained 5 times", "settings of runs/pets", "4 10.00 % of the images",
        "4.32", "91.23", "40 3 classes", "epochs: 3", "eel 95.7 %, dog 1.2 %", "lenext suspects runs/pets photos",
    ):  # fmt: skip
        assert words in text, words
    groups = re.findall(r"labelled (\w+) , probably (\w+) (\d+) image", text)
    assert groups == [("dog", "eel", "2"), ("cat", "dog", "1"), ("eel", "cat", "1")]
    assert re.findall(r"image \d+\.png", text) == ["image 2.png", "image 6.png", "image 0.png", "image 4.png"]
    assert len(addresses) == 4
    assert all(address.startswith("data:image/") for address in addresses)
    assert "<script" not in html
    for absent in ("more, less clear", "Skipped files", " shown", "Caution"):
        assert absent not in text
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_of_many_the_clearest_are_shown(tmp_path: Path) -> None:
    pairs = [("cat", "dog")] * (SHOWN - 1) + [("dog", "cat")] * 8
    _, addresses, text = written(tmp_path / "page.html", found(pairs))
    assert len(addresses) == SHOWN
    assert "7 more, less clear, are left out here: --json and --write-exclusions list all." in text
    assert "labelled dog , probably cat 8 images, 1 shown" in text


def test_poor_networks_are_told_of(tmp_path: Path) -> None:
    suspects = found([("cat", "dog")], top1=49.1)
    assert suspects.caution.startswith("only 49.1 % of the labels were answered, so that a suspect is more often hard")
    _, _, text = written(tmp_path / "page.html", suspects)
    assert f"Caution: {suspects.caution}." in text


def test_where_no_label_is_in_doubt(tmp_path: Path) -> None:
    _, addresses, text = written(tmp_path / "page.html", found([], estimated_noise=0.0))
    assert "None: no label is in doubt." in text
    assert not addresses


def test_names_are_text_not_markup(tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script>"
    skipped = tuple({"path": f"{hostile}{i}", "reason": "empty file"} for i in range(203))
    suspects = found([(hostile, "<i>b")], run=hostile, data=hostile, model=hostile, skipped_files=skipped)
    html, _, text = written(tmp_path / "page.html", suspects)
    assert "<script" not in html
    assert "<i>b" not in html
    assert f"labelled {hostile} , probably <i>b" in text
    assert "3 more are listed with --json" in text


def test_a_page_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(LenextError, match="cannot write"):
        write_page(tmp_path / "missing" / "page.html", found([]))
