"""OverFeat against the paper's tables 1 and 3."""

from __future__ import annotations

import pytest
from skeletons import blank, shapes, skeleton, steps
from torch import nn

import lenext

NAMES = ["overfeat_fast", "overfeat_accurate"]


def test_the_maps_of_the_fast_network() -> None:
    """Table 1 prints the input of each layer: 231, 24, 12, 12, 12, 6 pixels."""
    assert shapes("overfeat_fast", nn.Conv2d, nn.MaxPool2d, nn.Linear) == [
        (96, 56, 56), (96, 28, 28), (256, 24, 24), (256, 12, 12),
        (512, 12, 12), (1024, 12, 12), (1024, 12, 12), (1024, 6, 6), (3072,), (4096,), (1000,),
    ]  # fmt: skip


def test_the_maps_of_the_accurate_network() -> None:
    """Table 3 prints the input of each layer: 221, 36, 15, 15, 15, 15, 5 pixels."""
    assert shapes("overfeat_accurate", nn.Conv2d, nn.MaxPool2d, nn.Linear) == [
        (96, 108, 108), (96, 36, 36), (256, 30, 30), (256, 15, 15),
        (512, 15, 15), (512, 15, 15), (1024, 15, 15), (1024, 15, 15), (1024, 5, 5), (4096,), (4096,), (1000,),
    ]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_pools_do_not_overlap_and_nothing_is_normalised(name: str) -> None:
    modules = list(skeleton(name).modules())
    pools = [module for module in modules if isinstance(module, nn.MaxPool2d)]
    assert [pool.kernel_size for pool in pools] == ([2, 2, 2] if name == "overfeat_fast" else [3, 2, 3])
    assert all(pool.kernel_size == pool.stride for pool in pools)
    assert not [module for module in modules if isinstance(module, nn.LocalResponseNorm | nn.BatchNorm2d)]


@pytest.mark.parametrize("name", NAMES)
def test_dropout_follows_both_hidden_layers(name: str) -> None:
    head = [type(module) for path, module, _ in steps(skeleton(name), blank(name)) if path.startswith("head")]
    hidden = [nn.Linear, nn.ReLU, nn.Dropout]
    assert head == [nn.MaxPool2d, nn.Flatten, *hidden, *hidden, nn.Linear]
    rates = [module.p for module in skeleton(name, dropout=0.2).modules() if isinstance(module, nn.Dropout)]
    assert rates == [0.2, 0.2]


def test_first_weights_are_the_papers() -> None:
    """Section 3.1: normal with mean 0 and deviation 0.01."""
    model = lenext.create("overfeat_fast", size=71, classes=100, init="paper")
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            assert module.weight.std().item() == pytest.approx(0.01, rel=0.03)
            assert module.get_parameter("bias").count_nonzero() == 0
