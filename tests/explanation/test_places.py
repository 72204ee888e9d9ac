"""Where places of a map lie on the image, and maps on photos."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import lenext
from lenext.explanation.heat_map import HeatMap
from lenext.explanation.places import places

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize(
    ("name", "stage", "first", "step"),
    [
        ("lenet5_valid", 1, 7.0, 2),  # 5x5, 2x2 of stride 2, 5x5: 14 pixels, from the first on
        ("lenet5", 0, 0.5, 1),
        ("resnet18", 3, 0.5, 32),  # every layer is padded to keep its first place on the first pixel
        ("mobilenet_v2", 4, 0.5, 32),
        ("mobilenet_v3_small", 3, 0.5, 32),  # through squeeze-and-excitation it sees everything
        ("efficientnet_b0", 4, 0.5, 32),
        ("vgg11", 4, 8.0, 16),  # four pools of 2x2
        ("convnext_tiny", 0, 2.0, 4),
    ],
)
def test_places_by_hand(name: str, stage: int, first: float, step: int) -> None:
    spec = lenext.create(name, classes=2).spec
    assert spec is not None
    assert places(spec, stage) == ((first, first), (step, step))


def test_a_place_is_centred_on_the_pixels_that_its_value_depends_on() -> None:
    torch.manual_seed(0)
    model = lenext.create("lenet5_valid", size=(36, 44)).eval()
    assert model.spec is not None
    first, step = places(model.spec, 1)
    x = torch.randn(1, 1, 36, 44)
    for row, column in ((0, 0), (3, 5), (7, 2)):
        seen = torch.zeros(36, 44)
        for each in (x, 2 * x, -x):  # another pixel wins in each pool
            image = each.clone().requires_grad_()
            (gradient,) = torch.autograd.grad(model.features(image)[-1][0, :, row, column].sum(), image)
            seen += gradient[0, 0].abs()
        for axis, place in ((1, row), (0, column)):
            pixels = torch.nonzero(seen.sum(axis)).flatten()
            middle = (float(pixels.min()) + float(pixels.max()) + 1) / 2
            which = 0 if axis == 1 else 1
            assert middle == pytest.approx(first[which] + place * step[which], abs=1)


VALUES = np.array([[0, 1, -2], [4, 0, 2]], np.float32)


def test_peak_and_heat() -> None:
    heat = HeatMap(VALUES, (2.0, 3.0), (4.0, 10.0))
    assert heat.peak == (3.0, 6.0)
    drawn = heat.drawn((0, 0, 30, 8), (8, 30))  # a pixel a unit
    assert drawn.shape == (8, 30)
    assert drawn[6, 3] == pytest.approx(1, abs=0.2)
    assert drawn.max() <= 1
    assert drawn[1:3, 22:24].max() == 0, "what speaks against it is nothing"
    exact = heat.drawn((2.5, 1.5, 3.5, 2.5), (1, 1))  # centred on the first cell
    assert exact.tolist() == [[0.0]]
    between = heat.drawn((7.5, 5.5, 8.5, 6.5), (1, 1))  # halfway from 4 to 0
    assert between.tolist() == [[0.5]]
    beyond = heat.drawn((0, 20, 6, 40), (1, 1))
    assert beyond.tolist() == [[1.0]]


def test_a_map_without_heat_has_no_peak() -> None:
    for values in (np.zeros((2, 2), np.float32), np.full((2, 2), -1, np.float32)):
        heat = HeatMap(values, (0, 0), (1, 1))
        assert heat.peak is None
        assert not heat.drawn((0, 0, 2, 2), (4, 4)).any()


def test_a_scale_of_its_own() -> None:
    half: NDArray[np.float32] = np.full((1, 1), 0.5, np.float32)
    assert HeatMap(half, (0, 0), (1, 1), full=1.0).drawn((0, 0, 1, 1), (1, 1)).tolist() == [[0.5]]


def test_a_map_moves_onto_the_photo() -> None:
    heat = HeatMap(VALUES, (2.0, 3.0), (4.0, 10.0)).moved((100, 50, 160, 66), (8, 30))  # twice as large
    assert (heat.first, heat.step) == ((54.0, 106.0), (8.0, 20.0))
    assert heat.peak == (106.0, 62.0)
