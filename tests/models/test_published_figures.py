"""What was published of each model: parameters exact or as rounded, multiply-adds to 1 %, errors with protocol."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

import lenext
from lenext.models import lookup

DOCS = Path(__file__).parents[2] / "docs"

# Parameters in millions where a paper rounds, exact where they were counted; multiply-adds in units of 10^9.
FIGURES = {
    "lenet5": (61_706, 0.417e-3),
    "lenet5_valid": (44_426, None),
    "mlp": (101_770, 0.102e-3),
    "lenet5_1998": (60_000, None),
    "alexnet": (61_100_840, 0.714),
    "alexnet_2012": (60_965_224, 0.7244),
    "alexnet_96": (62_378_344, 1.1353),
    "zfnet": (62_357_608, 1.168),
    "overfeat_fast": (145.9, 2.80),
    "overfeat_accurate": (144.7, 5.36),
    "vgg11": (132_863_336, 7.609),
    "vgg13": (133_047_848, 11.308),
    "vgg16": (138_357_544, 15.470),
    "vgg19": (143_667_240, 19.632),
    "vgg16_c": (133.64, 11.77),
    "nin_cifar": (0.97, 0.222),
    "nin_imagenet": (7.60, 1.10),
    "googlenet_bn": (6_624_904, 1.498),
    "googlenet": (6_998_552, 1.5827),
}

ERRORS = {
    "alexnet": (43.5, 20.9, "one crop"),
    "alexnet_2012": (40.7, 18.2, "ten views"),
    "zfnet": (38.4, 16.5, "ten views"),
    "overfeat_fast": (39.28, 17.12, "one scale, coarse"),
    "overfeat_accurate": (35.74, 14.18, "four scales"),
    "vgg11": (29.6, 10.4, "dense at 256"),
    "vgg13": (28.7, 9.9, "dense at 256"),
    "vgg16": (27.0, 8.8, "dense at 256"),
    "vgg19": (27.3, 9.0, "dense at 256"),
    "vgg16_c": (28.1, 9.4, "dense at 256"),
    "nin_cifar": (8.81, None, "with augmentation"),
    "googlenet": (None, 10.07, "one crop"),
}


@pytest.mark.parametrize("name", FIGURES)
def test_counts(name: str) -> None:
    params, macs = FIGURES[name]
    total = lenext.profile(name).total
    if isinstance(params, int):
        assert total.params == params
    else:
        digits = len(str(params).partition(".")[2])
        assert round(total.params / 1e6, digits) == params
    if macs is not None:
        assert total.macs / 1e9 == pytest.approx(macs, rel=0.01)


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name: str) -> None:
    error = lookup(name).facts.errors[0]
    assert (error.top1, error.top5, error.protocol) == ERRORS[name]


def test_every_error_has_a_protocol_and_is_a_percentage() -> None:
    for name in lenext.list_models():
        for error in lookup(name).facts.errors:
            assert error.protocol
            assert error.dataset
            found = [value for value in (error.top1, error.top5) if value is not None]
            assert found
            assert all(0 < value < 100 for value in found)
            assert error.top1 is None or error.top5 is None or error.top5 < error.top1


@pytest.mark.parametrize("page", ["models.md", "papers.md"])
def test_the_tables_of_the_docs_are_those_of_the_models(page: str) -> None:
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    text = (DOCS / page).read_text(encoding="utf-8")
    assert generate.filled(text) == text, "run: python docs/generate.py"
    assert text.count("<!-- table") == text.count("<!-- end -->") >= 1
