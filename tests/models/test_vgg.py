"""VGG against the paper's table 1."""

from __future__ import annotations

import math
from typing import Any

import pytest
from skeletons import blank, shapes, skeleton, steps
from torch import nn

import lenext

NAMES = lenext.list_models(family="vgg")
STAGES = [(64, 224, 224), (128, 112, 112), (256, 56, 56), (512, 28, 28), (512, 14, 14)]

# Convolutions of each stage.
DEPTHS = {
    "vgg11": (1, 1, 2, 2, 2),
    "vgg13": (2, 2, 2, 2, 2),
    "vgg16": (2, 2, 3, 3, 3),
    "vgg19": (2, 2, 4, 4, 4),
}


def depths(name: str) -> tuple[int, ...]:
    return DEPTHS[name.partition("_")[0]]


@pytest.mark.parametrize("name", NAMES)
def test_the_maps_are_those_of_the_table(name: str) -> None:
    expected = [shape for shape, depth in zip(STAGES, depths(name), strict=True) for _ in range(depth)]
    assert shapes(name, nn.Conv2d, nn.Linear) == [*expected, (4096,), (4096,), (1000,)]
    assert shapes(name, nn.MaxPool2d) == [
        (64, 112, 112), (128, 56, 56), (256, 28, 28), (512, 14, 14), (512, 7, 7),
    ]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_the_name_says_how_many_layers_have_weights(name: str) -> None:
    layers = [module for module in skeleton(name).modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    assert f"vgg{len(layers)}" == name.partition("_")[0]


@pytest.mark.parametrize("name", NAMES)
def test_kernels_are_three_pixels_wide_but_for_three_in_configuration_c(name: str) -> None:
    convolutions = {
        path: module.kernel_size[0] for path, module in skeleton(name).named_modules() if isinstance(module, nn.Conv2d)
    }
    ones = [path for path, side in convolutions.items() if side != 3]
    assert ones == ([f"stages.{stage}.conv3.conv" for stage in (2, 3, 4)] if name == "vgg16_c" else [])
    assert {convolutions[path] for path in ones} <= {1}


@pytest.mark.parametrize("name", NAMES)
def test_the_norms_stand_where_they_should(name: str) -> None:
    order = [type(module) for _, module, _ in steps(skeleton(name), blank(name))]
    if name.endswith("_bn"):
        assert order.count(nn.BatchNorm2d) == sum(depths(name))
        assert all(order[i + 1 : i + 3] == [nn.BatchNorm2d, nn.ReLU] for i, k in enumerate(order) if k is nn.Conv2d)
    else:
        assert nn.BatchNorm2d not in order
    responses = [place for place, kind in enumerate(order) if kind is nn.LocalResponseNorm]
    assert responses == ([3] if name == "vgg11_lrn" else [])  # identity stem, convolution, ReLU, norm


@pytest.mark.parametrize("name", NAMES)
def test_dropout_follows_both_hidden_layers(name: str) -> None:
    head = [type(module) for path, module, _ in steps(skeleton(name), blank(name)) if path.startswith("head")]
    hidden = [nn.Linear, nn.ReLU, nn.Dropout]
    assert head == [nn.MaxPool2d, nn.Flatten, *hidden, *hidden, nn.Linear]
    rates = [module.p for module in skeleton(name, dropout=0.2).modules() if isinstance(module, nn.Dropout)]
    assert rates == [0.2, 0.2]


@pytest.mark.parametrize(
    ("init", "deviation"),
    [
        ("paper", lambda fan_in, fan_out: 0.1),  # section 3.1: variance 10^-2
        ("glorot", lambda fan_in, fan_out: math.sqrt(2 / (fan_in + fan_out))),  # the remark below it
        ("he", lambda fan_in, fan_out: math.sqrt(2 / fan_in)),
    ],
)
def test_first_weights(init: str, deviation: Any) -> None:
    model = lenext.create("vgg11", size=32, classes=100, init=init)
    for path, module in model.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            weight = module.weight
            fan_in, fan_out = weight[0].numel(), weight[:, 0].numel()
            rough = 0.06 if weight.numel() < 10_000 else 0.02
            assert weight.std().item() == pytest.approx(deviation(fan_in, fan_out), rel=rough), path
            assert module.get_parameter("bias").count_nonzero() == 0
