from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

import lenext
from lenext.cost.chart import choose, write_chart
from lenext.models import lookup

NAMES = ["alexnet", "alexnet_96", "vgg16", "nin_cifar", "googlenet"]


@pytest.fixture(scope="module")
def rows() -> list[lenext.cost.comparison.Comparison]:  # type: ignore[name-defined]
    return lenext.compare(NAMES, batch=2)


def test_models_side_by_side(rows) -> None:  # type: ignore[no-untyped-def]
    assert [row.name for row in rows] == NAMES
    for row in rows:
        facts = lookup(row.name).facts
        assert (row.total.params, row.total.macs, row.year) == (facts.params, facts.macs, facts.year)
        assert row.size == (facts.size, facts.size)
        assert row.error == (facts.errors[0] if facts.errors else None)
    assert rows[2].fields()["training_bytes"] == lenext.profile("vgg16", batch=2).total.training_bytes


def test_a_name_given_twice_is_compared_once() -> None:
    assert [row.name for row in lenext.compare(["mlp", "lenet5", "mlp"])] == ["mlp", "lenet5"]


def test_the_chart_shows_the_error_that_most_models_have(rows) -> None:  # type: ignore[no-untyped-def]
    dataset, metric, shown = choose(rows)
    assert (dataset, metric) == ("ImageNet", "top5")
    assert [row.name for row in shown] == ["alexnet", "vgg16", "googlenet"]
    assert [row.name for row in choose(rows, "top1")[2]] == ["alexnet", "vgg16"]


def test_a_png_and_an_svg(rows, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    assert write_chart(rows, tmp_path / "chart.png") == ["alexnet_96", "nin_cifar"]
    with Image.open(tmp_path / "chart.png") as image:
        assert image.size == (1440, 896)
        assert len(image.convert("RGB").getcolors(maxcolors=1 << 24) or []) > 50
    write_chart(rows, tmp_path / "chart.svg", "top1")
    text = (tmp_path / "chart.svg").read_text()
    for word in ("alexnet", "vgg16", "ten views", "ImageNet top-1 error (%)", "100 M"):
        assert (word in text) == (word != "ten views"), word
    assert "googlenet" not in text


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
