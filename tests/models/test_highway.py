"""Highway networks and PReLU-net."""

from __future__ import annotations

import pytest
import torch
from skeletons import blank, skeleton, steps
from torch import nn
from torch.nn import functional as F

import lenext
from lenext.models.highway import HighwayConv
from lenext.models.prelunet import LEVELS, SLOPE, ConvPReLU, PyramidHead


@torch.no_grad()
def test_the_gate_shares_between_what_was_made_and_what_came() -> None:
    layer, x = HighwayConv(3), torch.randn(2, 3, 5, 5)
    made = F.conv2d(x, layer.conv.weight, layer.conv.bias, padding=1).relu()
    share = F.conv2d(x, layer.gate.weight, layer.gate.bias, padding=1).sigmoid()
    torch.testing.assert_close(layer(x), made * share + x * (1 - share))
    nn.init.zeros_(layer.gate.weight)
    for bias, expected in ((-200.0, x), (200.0, made), (0.0, (x + made) / 2)):
        nn.init.constant_(layer.gate.bias, bias)  # type: ignore[arg-type]
        torch.testing.assert_close(layer(x), expected)


@pytest.mark.parametrize("init", ["he", "glorot", "paper"])
def test_gates_start_nearly_closed(init: str) -> None:
    model = lenext.create("highway19", init=init)
    gates = [module.gate for module in model.modules() if isinstance(module, HighwayConv)]
    assert len(gates) == 14
    assert {gate.bias.unique().item() for gate in gates if gate.bias is not None} == {-2.0}
    assert {module.conv.bias.abs().max().item() for module in model.modules() if isinstance(module, HighwayConv)} == {0}  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["highway19", "highway32"])
def test_the_number_in_the_name_counts_layers(name: str) -> None:
    modules = list(skeleton(name).modules())
    gates = sum(isinstance(module, HighwayConv) for module in modules)
    assert f"highway{sum(isinstance(m, nn.Conv2d | nn.Linear) for m in modules) - gates}" == name


def test_prelunet_a_has_the_maps_of_model_a() -> None:
    model, x = skeleton("prelunet_a"), blank("prelunet_a")
    convs = [shape for _, module, shape in steps(model, x) if isinstance(module, nn.Conv2d)]
    assert convs == [(96, 112, 112), *[(256, 56, 56)] * 5, *[(512, 28, 28)] * 5, *[(512, 14, 14)] * 5]
    dense = [module for module in model.modules() if isinstance(module, nn.Linear)]
    assert [layer.in_features for layer in dense] == [512 * (49 + 9 + 4 + 1), 4096, 4096]
    assert len(convs) + len(dense) == 19


def test_every_rectifier_but_none_of_the_logits_learns_its_slope() -> None:
    model = lenext.create("prelunet_a", width=0.125, depth=0.2, classes=3)
    slopes = [module.weight for module in model.modules() if isinstance(module, nn.PReLU)]
    assert len(slopes) == 1 + 3 + 2
    assert all(bool((slope == SLOPE).all()) for slope in slopes)
    x = torch.full((1, 96, 1, 1), -2.0)
    layer = ConvPReLU(96, 96, 1)
    nn.init.dirac_(layer.conv.weight)
    nn.init.zeros_(layer.conv.bias)  # type: ignore[arg-type]
    assert torch.equal(layer(x), torch.full((1, 96, 1, 1), -2.0 * SLOPE))


@torch.no_grad()
def test_the_pyramid_takes_the_largest_values_of_ever_fewer_places() -> None:
    head = PyramidHead(2, 8, 3, dropout=0.0).eval()
    seen: list[torch.Tensor] = []
    head.dense1.register_forward_hook(lambda _m, inputs, _o: seen.append(inputs[0]))
    x = torch.randn(1, 2, 14, 14)
    head(x)
    places = sum(side * side for side in LEVELS)
    assert seen[0].shape == (1, 2 * places)
    assert torch.equal(seen[0][0, :98].view(2, 7, 7), F.max_pool2d(x, 2)[0])
    assert torch.equal(seen[0][0, -2:], x.amax((2, 3))[0])
    assert head(torch.randn(1, 2, 5, 9)).shape == (1, 3)


def test_first_weights_know_the_slope() -> None:
    model = lenext.create("prelunet_a", width=0.5, depth=0.2, init="paper")
    weight = model.get_parameter("stages.1.conv1.conv.weight")
    expected = (2 / ((1 + SLOPE**2) * weight[0].numel())) ** 0.5
    assert weight.std().item() == pytest.approx(expected, rel=0.01)
