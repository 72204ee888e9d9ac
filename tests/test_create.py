from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import lenext
from lenext.weights.loading import load_strictly
from lenext.weights.model_file import read_model_file


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": 0}, "classes 0 is not a whole number above zero"),
        ({"classes": 2.0}, "classes 2.0 is not"),
        ({"classes": True}, "classes True is not"),
        ({"in_channels": -1}, "in_channels -1 is not"),
        ({"size": 11}, "image side 11 < 12, the smallest for lenet5"),
        ({"size": (28, 11)}, "image side 11 < 12"),
        ({"size": (28,)}, r"size \(28,\) is not a side in pixels"),
        ({"size": 0}, "size 0 is not a side"),
        ({"size": 100_000}, "image side 100,000 is above 16,384"),
        ({"depth": 3}, "lenet5 has no option 'depth'"),
    ],
)
def test_what_cannot_be_built_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(lenext.UserError, match=message):
        lenext.create("lenet5", **options)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("vgg16", {"dropout": 2}, "vgg16: dropout probability has to be between 0 and 1"),
        ("vgg16", {"init": "best"}, "init 'best' is not known; give he, glorot or paper"),
        ("vgg16", {"kernels": ()}, "vgg16 has no option 'kernels'"),
    ],
)
def test_options_that_cannot_be_are_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(lenext.UserError, match=message):
        lenext.create(name, size=32, classes=2, **options)


def test_height_and_width_may_differ() -> None:
    model = lenext.create("lenet5", size=(28, 44))
    assert model(torch.zeros(1, 1, 28, 44)).shape == (1, 10)


def test_weights_come_from_a_run_or_its_model_file(digits_run: Path) -> None:
    a = lenext.create("lenet5", weights=digits_run)
    b = lenext.create("lenet5", weights=digits_run / "model.safetensors")
    c = lenext.load(digits_run).model
    for name, tensor in a.state_dict().items():
        assert torch.equal(tensor, b.state_dict()[name])
        assert torch.equal(tensor, c.state_dict()[name])


def test_weights_that_do_not_fit_are_explained(digits_run: Path) -> None:
    with pytest.raises(lenext.UserError, match=r"head\.classifier\.weight is 10x84, not 3x84"):
        lenext.create("lenet5", classes=3, weights=digits_run)
    with pytest.raises(lenext.UserError, match="holds a lenet5, not a lenet5_sigmoid"):
        lenext.create("lenet5_sigmoid", weights=digits_run)
    tensors = read_model_file(digits_run / "model.safetensors").tensors
    with pytest.raises(lenext.UserError, match=r"-stages\.1\.pool\.coefficient.* \+head"):
        load_strictly(lenext.create("lenet5_1998", size=28), tensors, where="file")


def test_nothing_is_loaded_where_something_does_not_fit(digits_run: Path) -> None:
    model = lenext.create("lenet5", classes=3)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(lenext.UserError):
        load_strictly(model, read_model_file(digits_run / "model.safetensors").tensors, where="file")
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name])
