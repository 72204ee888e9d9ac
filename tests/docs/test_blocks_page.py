"""The tables and pictures of docs/blocks.md are of what the blocks cost, and the lecture's counts come out by hand."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image
from torch import nn

import lenext
from lenext.models import lookup
from lenext.models.resnet import BasicBlock, Bottleneck

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "blocks.md").read_text(encoding="utf-8")


def load() -> ModuleType:
    """Return docs/draw_blocks.py, which no package holds."""
    spec = importlib.util.spec_from_file_location("draw_blocks", DOCS / "draw_blocks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where a dataclass looks up its annotations
    spec.loader.exec_module(module)
    return module


drawing = load()
NAMES = [picture.name for picture in drawing.PICTURES]


def total(name: str) -> tuple[int, int]:
    cost = lenext.profile(name).total
    return cost.params, cost.macs


def test_the_tables_are_what_the_modules_cost() -> None:
    assert PAGE.count("<!-- table ") == len(NAMES) + 1
    assert drawing.filled(PAGE) == PAGE, "run python docs/draw_blocks.py"


@pytest.mark.parametrize("picture", drawing.PICTURES, ids=NAMES)
def test_the_pictures_hold_what_the_modules_cost(picture: drawing.Picture) -> None:
    assert f"](images/{picture.path.name})" in PAGE
    assert 10_000 < picture.path.stat().st_size < 250_000
    with Image.open(picture.path) as image:
        assert image.format == "PNG"
        assert 1200 <= image.width <= 1700
        assert 700 <= image.height <= 1400
        assert image.text["Description"] == drawing.told(picture), "run python docs/draw_blocks.py"


@pytest.mark.parametrize("picture", drawing.PICTURES[:1], ids=NAMES[:1])
def test_a_picture_is_drawn(picture: drawing.Picture, tmp_path: Path) -> None:
    drawing.draw(picture, tmp_path / "drawn.png")
    with Image.open(tmp_path / "drawn.png") as drawn, Image.open(picture.path) as kept:
        assert drawn.size == kept.size
        assert drawn.text == kept.text
        assert len(drawn.convert("RGB").getcolors(1 << 16)) > 16


def test_the_page_describes_every_picture() -> None:
    for line in PAGE.splitlines():
        if line.startswith("!["):
            assert len(line.partition("]")[0]) > 80, line


def test_002_weights_of_residual_blocks() -> None:
    """Lecture note 002, residual networks: biases in the 3x3 convolutions only, no norm."""
    lecture = {
        "basic, 64 maps": 2 * (3 * 3 * 64 + 1) * 64,
        "basic, 256 maps": 2 * (3 * 3 * 256 + 1) * 256,
        "bottleneck, 256 maps": 256 * 64 + (3 * 3 * 64 + 1) * 64 + 64 * 256,
    }
    assert list(lecture.values()) == [73_856, 1_180_160, 69_696]
    for name, count in lecture.items():
        assert f"| {name} | {count:,} |" in PAGE


@pytest.mark.parametrize(
    ("block", "params", "by_hand"),
    [
        (BasicBlock(64, 64, 1), 73_984, 2 * (3 * 3 * 64 + 2) * 64),
        (BasicBlock(256, 256, 1), 1_180_672, 2 * (3 * 3 * 256 + 2) * 256),
        (Bottleneck(256, 64, 1), 70_400, (256 + 2) * 64 + (3 * 3 * 64 + 2) * 64 + (64 + 2) * 256),
    ],
    ids=["basic of 64", "basic of 256", "bottleneck"],
)
def test_weights_of_the_blocks_here(block: nn.Module, params: int, by_hand: int) -> None:
    """No biases; a norm after each convolution has two parameters a map."""
    assert sum(parameter.numel() for parameter in block.parameters()) == params == by_hand
    assert f"| {params:,} |" in PAGE


def test_multiply_adds_of_the_blocks_by_hand() -> None:
    counts = [
        (drawing.PLAIN, 2 * 9 * 64 * 64 * 56**2),
        (drawing.RESIDUAL, 2 * 9 * 64 * 64 * 56**2),
        (drawing.WIDE, 2 * 9 * 256 * 256 * 56**2),
        (drawing.BOTTLENECK, (256 * 64 + 9 * 64 * 64 + 64 * 256) * 56**2),
        (drawing.STACKING, sum(maps * 128 + 9 * 128 * 32 for maps in (64, 96, 128)) * 56**2),
        (drawing.STANDARD, 9 * 128 * 128 * 28**2),
        (drawing.GROUPED, 9 * 128 * 4 * 28**2),
        (drawing.SEPARABLE, (9 * 128 + 128 * 128) * 28**2),
    ]
    for column, macs in counts:
        assert drawing.cost(column).total.macs == macs, column.title


def test_the_blocks_are_those_of_the_networks() -> None:
    first = {name: lenext.create(name).stages[0] for name in ("plain18", "resnet18", "resnet34", "densenet121")}
    assert repr(drawing.PLAIN.make()) == repr(first["plain18"][0])
    assert repr(drawing.RESIDUAL.make()) == repr(first["resnet18"][0])
    assert repr(drawing.ADDING.make()) == repr(first["resnet34"])
    assert repr(drawing.STACKING.make().layers) == repr(first["densenet121"].layers[:3])


def test_what_the_page_says_in_words() -> None:
    def ratio(one: drawing.Column, other: drawing.Column) -> float:
        return drawing.cost(one).total.macs / drawing.cost(other).total.macs

    resnet50, densenet121, mobilenet = total("resnet50"), total("densenet121"), total("mobilenet_v1")
    assert ratio(drawing.RESIDUAL, drawing.PLAIN) == 1
    assert round(ratio(drawing.WIDE, drawing.BOTTLENECK)) == 17
    assert ratio(drawing.STANDARD, drawing.GROUPED) == 32
    assert round(ratio(drawing.STANDARD, drawing.SEPARABLE)) == 8
    assert round(1 / (resnet50[0] / total("resnet34")[0] - 1)) == 6
    assert 3 * densenet121[0] < resnet50[0]
    assert round(resnet50[1] / mobilenet[1]) == 7


@pytest.mark.parametrize(
    ("name", "top1"),
    [
        ("plain18", 27.94),
        ("plain34", 28.54),
        ("resnet18", 27.88),
        ("resnet50_v1", 24.7),
        ("densenet121", 25.02),
        ("resnet50", 23.9),
        ("resnext50_32x4d", 22.2),
        ("mobilenet_v1", 29.4),
    ],
)
def test_the_errors_that_the_page_cites_are_published(name: str, top1: float) -> None:
    assert top1 in [error.top1 for error in lookup(name).facts.errors]
    assert str(top1) in PAGE
