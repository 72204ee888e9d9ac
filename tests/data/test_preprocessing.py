"""Preprocessing: the arithmetic, and the JSON that is stored with a model."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch

from lenext.data.decode import FITS, RESAMPLING, ImageForm
from lenext.data.preprocessing import Preprocessing
from lenext.errors import UserError

COLOUR = Preprocessing(
    ImageForm(size=(28, 32), channels=3, fit="pad", crop_ratio=0.875, interpolation="bicubic"),
    mean=(0.5, 0.4, 0.2),
    std=(0.5, 0.1, 0.25),
)
GREY = Preprocessing(ImageForm(size=(8, 8), channels=1), mean=(0.5,), std=(0.25,))


def test_normalise_by_hand() -> None:
    """By channel: (255 - 127.5) / 127.5, (51 - 102) / 25.5, (0 - 51) / 63.75, and the mean itself."""
    pixels = torch.tensor([[[[255, 51, 0]], [[0, 102, 51]]]], dtype=torch.uint8)  # (1, 2, 1, 3)
    images = COLOUR.normalise(pixels)
    assert images.shape == (1, 3, 2, 1)
    assert images.dtype == torch.float32
    expected = torch.tensor([[[[1.0], [-1.0]], [[-2.0], [0.0]], [[-0.8], [0.0]]]])
    torch.testing.assert_close(images, expected)


def test_normalise_leaves_the_pixels_alone() -> None:
    pixels = torch.full((1, 2, 2, 1), 255, dtype=torch.uint8)
    torch.testing.assert_close(GREY.normalise(pixels), torch.full((1, 1, 2, 2), 2.0))
    assert (pixels == 255).all()


def test_normalised_images_are_channels_last() -> None:
    images = COLOUR.normalise(torch.zeros(2, 5, 7, 3, dtype=torch.uint8))
    assert images.stride() == (5 * 7 * 3, 1, 7 * 3, 3)
    assert images.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("preprocessing", [COLOUR, GREY], ids=["colour", "grey"])
def test_json_comes_back_as_it_went(preprocessing: Preprocessing) -> None:
    text = json.dumps(preprocessing.to_json())
    assert Preprocessing.from_json(json.loads(text), "model.safetensors") == preprocessing


def test_json_holds_every_field() -> None:
    assert COLOUR.to_json() == {
        "size": (28, 32),
        "channels": 3,
        "fit": "pad",
        "crop_ratio": 0.875,
        "interpolation": "bicubic",
        "mean": [0.5, 0.4, 0.2],
        "std": [0.5, 0.1, 0.25],
    }


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("interpolation", RESAMPLING)
def test_every_fit_and_interpolation_is_known(fit: str, interpolation: str) -> None:
    read = Preprocessing.from_json({**GREY.to_json(), "fit": fit, "interpolation": interpolation}, "model")
    assert (read.form.fit, read.form.interpolation) == (fit, interpolation)


def refused(value: Any) -> str:
    with pytest.raises(UserError, match=r"^model\.safetensors is damaged: its preprocessing ") as caught:
        Preprocessing.from_json(value, "model.safetensors")
    return str(caught.value)


@pytest.mark.parametrize("field", COLOUR.to_json())
def test_a_missing_field_is_named(field: str) -> None:
    value = COLOUR.to_json()
    del value[field]
    assert f"cannot be read ('{field}')" in refused(value)


def test_an_unknown_field_is_named() -> None:
    assert "'colour'" in refused({**COLOUR.to_json(), "colour": "red"})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("size", [28]),
        ("size", [28, 32, 3]),
        ("size", []),
        ("size", 28),
        ("size", [28, 0]),
        ("size", [-28, 28]),
        ("size", [28.5, 28]),
        ("size", "28"),
        ("size", None),
        ("channels", 2),
        ("channels", 1),  # with three means
        ("channels", None),
        ("channels", "3"),
        ("mean", [0.5, 0.5]),
        ("mean", [0.5, 0.5, 0.5, 0.5]),
        ("mean", [0.5, 0.5, "0.5"]),
        ("mean", [0.5, 0.5, None]),
        ("mean", [0.5, 0.5, float("nan")]),
        ("mean", [0.5, 0.5, float("inf")]),
        ("mean", 0.5),
        ("mean", None),
        ("std", [0.5]),
        ("std", [0.5, 0.5, 0]),
        ("std", [0.5, 0.5, -0.5]),
        ("std", [0.5, 0.5, float("nan")]),
        ("std", [0.5, 0.5, float("inf")]),
        ("std", "abc"),
        ("fit", "stretch"),
        ("fit", None),
        ("fit", ["crop"]),
        ("interpolation", "magic"),
        ("interpolation", {}),
        ("crop_ratio", 0),
        ("crop_ratio", 1.5),
        ("crop_ratio", -0.5),
        ("crop_ratio", float("nan")),
        ("crop_ratio", "1"),
        ("crop_ratio", None),
    ],
)
def test_what_no_preprocessing_can_hold_is_damage(field: str, value: Any) -> None:
    refused({**COLOUR.to_json(), field: value})


@pytest.mark.parametrize("value", [None, [], "text", 5, {}])
def test_what_is_no_object_is_damage(value: Any) -> None:
    refused(value)
