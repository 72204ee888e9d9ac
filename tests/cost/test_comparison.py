from __future__ import annotations

import re
from dataclasses import replace
from itertools import combinations, pairwise
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

import lenext
from lenext.cost.chart import LIGHT_INK, _limits, _width, choose, write_chart
from lenext.cost.comparison import Comparison
from lenext.models import lookup
from lenext.registry import Published

NAMES = ["alexnet", "alexnet_96", "vgg16", "nin_cifar", "googlenet"]
TIMELINE = [
    "lenet5_1998", "nin_cifar", "alexnet_2012", "vgg16", "googlenet", "inception_v3", "resnet50", "densenet121",
    "wide_resnet50_2", "resnext50_32x4d", "mobilenet_v2", "efficientnet_b0", "convnext_tiny",
]  # fmt: skip
DIGITS = Published(top1=0.95, protocol="60,000 digits, without distorted ones", dataset="MNIST")


@pytest.fixture(scope="module")
def rows() -> list[Comparison]:
    return lenext.compare(NAMES, batch=2)


@pytest.fixture(scope="module")
def timeline() -> list[Comparison]:
    """Models of three datasets, from 1998 to 2022."""
    first, *others = lenext.compare(TIMELINE)
    return [replace(first, error=DIGITS), *others]


@pytest.fixture(scope="module")
def drawn(timeline: list[Comparison], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The chart of `timeline` as an SVG."""
    path = tmp_path_factory.mktemp("charts") / "chart.svg"
    assert write_chart(timeline, path) == ["googlenet"]
    return path


class Text(NamedTuple):
    """A text of an SVG: what it says, where its baseline begins or ends, and its style."""

    words: str
    x: float
    y: float
    style: str


class Panel(NamedTuple):
    """A panel of an SVG: left, top, right and bottom of its frame, and what is written in and around it."""

    frame: tuple[float, float, float, float]
    texts: list[Text]

    def names(self, among: list[Comparison]) -> list[str]:
        return [text.words for text in self.texts if text.words in {row.name for row in among}]


SVG = "{http://www.w3.org/2000/svg}"


def read(path: Path) -> tuple[list[Panel], list[str]]:
    """Return the panels of a chart, and everything that it says."""
    root = ElementTree.parse(path).getroot()
    panels = []
    for group in root.iter(f"{SVG}g"):
        if not group.get("id", "").startswith("axes_"):
            continue
        outline = next(group.iter(f"{SVG}path")).get("d", "")
        numbers = [float(number) for number in re.findall(r"[\d.]+", outline)]
        x, y = numbers[::2], numbers[1::2]
        texts = [
            Text(text.text or "", float(text.get("x", "nan")), float(text.get("y", "nan")), text.get("style", ""))
            for text in group.iter(f"{SVG}text")
        ]
        panels.append(Panel((min(x), min(y), max(x), max(y)), texts))
    return panels, [text.text or "" for text in root.iter(f"{SVG}text")]


def discs(path: Path) -> list[tuple[float, str]]:
    """Return radius and style of every disc of a chart."""
    root = ElementTree.parse(path).getroot()
    shapes = {shape.get("id"): shape.get("d", "") for shape in root.iter(f"{SVG}path")}
    found = []
    for use in root.iter(f"{SVG}use"):
        style, shape = use.get("style", ""), shapes[use.get("{http://www.w3.org/1999/xlink}href", "")[1:]]
        if "fill-opacity: 0.25" in style:
            found.append((max(float(number) for number in re.findall(r"[\d.]+", shape)), style))
    return found


def test_models_side_by_side(rows: list[Comparison]) -> None:
    assert [row.name for row in rows] == NAMES
    for row in rows:
        facts = lookup(row.name).facts
        assert (row.total.params, row.total.macs, row.year) == (facts.params, facts.macs, facts.year)
        assert row.size == (facts.size, facts.size)
        assert row.error == (facts.errors[0] if facts.errors else None)
    assert rows[2].fields()["training_bytes"] == lenext.profile("vgg16", batch=2).total.training_bytes


def test_a_name_given_twice_is_compared_once() -> None:
    assert [row.name for row in lenext.compare(["mlp", "lenet5", "mlp"])] == ["mlp", "lenet5"]


def test_the_chart_shows_every_model_with_the_error_that_most_have(rows: list[Comparison]) -> None:
    def chosen(of: list[Comparison], *metric: str) -> tuple[str, dict[str, list[str]]]:
        error, panels = choose(of, *metric)  # type: ignore[arg-type]
        return error, {dataset: [row.name for row in shown] for dataset, shown in panels.items()}

    assert chosen(rows) == ("top1", {"CIFAR-10": ["nin_cifar"], "ImageNet": ["alexnet", "vgg16"]})
    assert chosen(rows, "top5") == ("top5", {"ImageNet": ["alexnet", "vgg16", "googlenet"]})
    assert chosen([row for row in rows if row.name != "nin_cifar"])[0] == "top5"


def test_a_panel_a_dataset_from_the_cheapest_on(timeline: list[Comparison], drawn: Path) -> None:
    panels, words = read(drawn)
    shown = [name for name in TIMELINE if name != "googlenet"]
    assert [panel.names(timeline) for panel in panels] == [shown[:1], shown[1:2], shown[2:]]
    for panel, dataset in zip(panels, ("MNIST", "CIFAR-10", "ImageNet"), strict=True):
        assert {dataset, "top-1 error (%)"} <= {text.words for text in panel.texts}
    widths = [panel.frame[2] - panel.frame[0] for panel in panels]
    assert widths[2] > 2 * max(widths[:2])
    assert words.count("multiply-adds of an image") == words.count("parameters (area)") == 1
    assert {"one crop", "with augmentation", "100 M"} <= set(words)
    assert not any(
        "authors' file" in text for text in words
    )  # whose weights it was says nothing of how it was measured
    assert {"60,000 digits, without", "distorted ones"} <= set(words)


def test_each_label_tells_the_year_once_in_lighter_ink(timeline: list[Comparison], drawn: Path) -> None:
    texts = [text for panel in read(drawn)[0] for text in panel.texts]
    years = {row.name: str(row.year) for row in timeline}
    for text, after in pairwise(texts):
        year = years.get(text.words)
        if year is None:
            continue
        assert LIGHT_INK not in text.style
        if year in text.words:
            assert after.words != year
        else:
            assert (after.words, after.y) == (year, text.y)
            assert LIGHT_INK in after.style
            assert 0 < after.x - text.x < 5
    assert {"1998", "2012"}.isdisjoint(text.words for text in texts)


def test_labels_cover_neither_each_other_nor_the_frame(drawn: Path) -> None:
    for panel in read(drawn)[0]:
        left, top, right, bottom = panel.frame
        boxes = []
        for text in panel.texts:
            if text.words in TIMELINE:
                boxes.append((text.x - _width(text.words, 9), text.y - 7, text.x, text.y + 2))
            elif re.fullmatch(r"(19|20)\d\d", text.words):
                boxes.append((text.x, text.y - 7, text.x + _width(text.words, 7.6), text.y + 2))
        for box in boxes:
            assert left < box[0] < box[2] < right
            assert top < box[1] < box[3] < bottom
        for one, other in combinations(boxes, 2):
            assert one[2] < other[0] or other[2] < one[0] or one[3] < other[1] or other[3] < one[1]


def test_ticks_are_plain_and_do_not_overlap(drawn: Path) -> None:
    for panel in read(drawn)[0]:
        left, top, right, bottom = panel.frame
        under = [text for text in panel.texts if text.y > bottom]
        beside = [text for text in panel.texts if text.x < left and top <= text.y <= bottom + 5]
        assert under
        assert all(re.fullmatch(r"\d+ [kMG]", text.words) for text in under)
        assert len(beside) >= 2
        assert all(re.fullmatch(r"\d+(\.\d+)?", text.words) for text in beside)
        for before, after in pairwise(under):
            assert after.x - before.x > (_width(before.words, 10) + _width(after.words, 10)) / 2
        for lower, upper in pairwise(beside):
            assert lower.y - upper.y > 12
        assert left <= under[0].x <= under[-1].x <= right


def test_a_single_model_stands_in_the_middle_of_its_axes() -> None:
    low, high = _limits([0.95], 300, least=0.3)
    assert (low + high) / 2 == pytest.approx(0.95)
    assert high - low > 0.3
    low, high = _limits([1.0, 2.0], 300, least=0.3)
    assert (low + high) / 2 == pytest.approx(1.5)
    assert 0.05 < (1 - low) / (high - low) < 0.25


def test_one_dataset_is_one_panel(rows: list[Comparison], tmp_path: Path) -> None:
    assert write_chart(rows, tmp_path / "chart.png", "top5") == ["alexnet_96", "nin_cifar"]
    with Image.open(tmp_path / "chart.png") as image:
        assert image.size == (1440, 896)
        assert len(image.convert("RGB").getcolors(maxcolors=1 << 24) or []) > 50
    write_chart(rows, tmp_path / "chart.svg", "top5")
    (panel,), words = read(tmp_path / "chart.svg")
    assert panel.names(rows) == ["alexnet", "vgg16", "googlenet"]
    assert {"ImageNet", "top-5 error (%)", "dense at 256", "100 M"} <= set(words)
    assert {"nin_cifar", "ten views"}.isdisjoint(words)


def test_the_same_models_give_the_same_bytes(timeline: list[Comparison], drawn: Path, tmp_path: Path) -> None:
    write_chart(timeline, tmp_path / "chart.svg")
    assert (tmp_path / "chart.svg").read_bytes() == drawn.read_bytes()


def test_each_protocol_has_a_colour_of_its_own(rows: list[Comparison], tmp_path: Path) -> None:
    many = [
        replace(rows[0], name=f"model{n}", error=Published(top1=20.0 + n, protocol=f"protocol {n}")) for n in range(12)
    ]
    write_chart(many, tmp_path / "chart.svg")
    assert len({style for _, style in discs(tmp_path / "chart.svg")}) == 12
    assert {f"protocol {n}" for n in range(12)} <= set(read(tmp_path / "chart.svg")[1])


def test_area_stands_for_parameters_on_one_scale(timeline: list[Comparison], drawn: Path) -> None:
    shown = sorted(row.total.params for row in timeline if row.name != "googlenet")
    radii = sorted(radius for radius, _ in discs(drawn))
    assert np.square(radii) / max(radii) ** 2 == pytest.approx(np.array(shown) / max(shown), abs=1e-3)


@pytest.mark.parametrize(
    ("names", "file", "metric", "message"),
    [
        (["alexnet"], "chart.pdf", None, "chart.pdf is no .png or .svg"),
        (["lenet5", "alexnet_96"], "chart.png", None, "no error was published of lenet5, alexnet_96"),
        (["googlenet"], "chart.png", "top1", "no top1 error was published"),
    ],
)
def test_what_cannot_be_drawn(tmp_path: Path, names: list[str], file: str, metric: str, message: str) -> None:
    with pytest.raises(lenext.UserError, match=message):
        write_chart(lenext.compare(names), tmp_path / file, metric)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())
