from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from pictures import class_folder
from troubles import troubled_folder

from lenext.checking.check import check
from lenext.checking.kinds import KINDS
from lenext.checking.pages.check_page import write_check_page

pytestmark = pytest.mark.usefixtures("own_cache")


class Outline(HTMLParser):
    """Headings and pictures of a page, in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.headings: list[str] = []
        self.pictures: list[str] = []
        self._within = False
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag in ("h1", "h2", "h3"):
            self.headings.append("")
            self._within = True
        if tag == "img":
            self.pictures.append(dict(attributes)["alt"] or "")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("h1", "h2", "h3"):
            self._within = False

    def handle_data(self, data: str) -> None:
        if self._within:
            self.headings[-1] += data


def test_the_page_shows_every_kind_and_its_images(tmp_path: Path) -> None:
    planted = troubled_folder(tmp_path / "photos")
    write_check_page(tmp_path / "page.html", check(tmp_path / "photos"))
    html = (tmp_path / "page.html").read_text()
    page = Outline(html)
    titles = [re.sub(r"\s+[\d,]+$", "", heading) for heading in page.headings]
    assert titles[:3] == ["photos, checked", "What to do first", "Problems"]
    assert titles[-2:] == ["Sizes and shapes", "Classes"]
    assert {KINDS[kind].title for kind, _ in planted} <= set(titles)
    assert {"val/1/000.jpg", "train/1/copy of val.jpg", "train/10/white.png", "train/2/turned.jpg"} <= set(
        page.pictures
    )
    assert page.pictures.count("train/2/001.jpg") == 1, "a pair is shown once"
    assert "--exclude exclude.csv" in html
    assert not re.search(r"(src|href)=\"(?!data:|#)", html), "the page is one file"


def test_names_are_text_and_not_markup(tmp_path: Path) -> None:
    class_folder(tmp_path / "photos", images=3, classes=("<b>lying", "up & right"))
    (tmp_path / "photos" / "<b>lying" / "<script>alert(1)<.png").write_bytes(b"")
    write_check_page(tmp_path / "page.html", check(tmp_path / "photos"))
    html = (tmp_path / "page.html").read_text()
    assert "<script>" not in html
    assert "&lt;script&gt;alert(1)&lt;.png" in html
    assert "<b>lying" not in html


def test_images_without_any_trouble_have_a_page(tmp_path: Path) -> None:
    class_folder(tmp_path / "photos", images=6)
    write_check_page(tmp_path / "page.html", check(tmp_path / "photos"))
    html = (tmp_path / "page.html").read_text()
    assert "Nothing: these images can be trained on as they are." in html
    assert Outline(html).headings == ["photos, checked", "What to do first", "Sizes and shapes", "Classes"]


def test_a_folder_without_images_has_a_page(tmp_path: Path) -> None:
    (tmp_path / "photos" / "a").mkdir(parents=True)
    write_check_page(tmp_path / "page.html", check(tmp_path / "photos"))
    assert "No classes" in (tmp_path / "page.html").read_text()
