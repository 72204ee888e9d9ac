"""ZFNet against the paper's figure 3."""

from __future__ import annotations

import pytest
from skeletons import blank, shapes, skeleton, steps
from torch import nn

import lenext


def test_the_maps_are_those_of_the_figure() -> None:
    assert shapes("zfnet", nn.Conv2d, nn.MaxPool2d, nn.Linear) == [
        (96, 110, 110), (96, 55, 55), (256, 26, 26), (256, 13, 13),
        (384, 13, 13), (384, 13, 13), (256, 13, 13), (256, 6, 6), (4096,), (4096,), (1000,),
    ]  # fmt: skip


def test_maps_are_normalised_after_the_pools_of_the_first_two_layers() -> None:
    order = [type(module) for _, module, _ in steps(skeleton("zfnet"), blank("zfnet"))]
    begin = [nn.Conv2d, nn.ReLU, nn.MaxPool2d, nn.LocalResponseNorm]
    assert order[:15] == [*begin, *begin, *[nn.Conv2d, nn.ReLU] * 3, nn.MaxPool2d]


def test_the_first_two_convolutions_are_finer_than_alexnets() -> None:
    convolutions = [module for module in skeleton("zfnet").modules() if isinstance(module, nn.Conv2d)]
    assert [(conv.kernel_size[0], conv.stride[0], conv.groups) for conv in convolutions] == [
        (7, 2, 1), (5, 2, 1), (3, 1, 1), (3, 1, 1), (3, 1, 1),
    ]  # fmt: skip


def test_dropout_follows_both_hidden_layers() -> None:
    head = [type(module) for path, module, _ in steps(skeleton("zfnet"), blank("zfnet")) if path.startswith("head")]
    hidden = [nn.Linear, nn.ReLU, nn.Dropout]
    assert head == [nn.MaxPool2d, nn.Flatten, *hidden, *hidden, nn.Linear]
    rates = [module.p for module in skeleton("zfnet", dropout=0.2).modules() if isinstance(module, nn.Dropout)]
    assert rates == [0.2, 0.2]


def test_first_weights_are_the_papers() -> None:
    """Section 3: all weights at 10^-2, biases 0; we read normal with that deviation."""
    model = lenext.create("zfnet", size=53, classes=100, init="paper")
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            assert module.weight.std().item() == pytest.approx(0.01, rel=0.03)
            assert module.get_parameter("bias").count_nonzero() == 0
