"""Network in Network: perceptrons that slide, pools that round up, one map a class."""

from __future__ import annotations

import pytest
import torch
from skeletons import blank, shapes, skeleton, steps
from torch import nn

import lenext

NAMES = ["nin_cifar", "nin_imagenet"]


def test_the_maps_of_the_cifar_network() -> None:
    """Its pools round up: rounding down, 32 px would give 15 and 7."""
    assert shapes("nin_cifar", nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d) == [
        (192, 32, 32), (160, 32, 32), (96, 32, 32), (96, 16, 16),
        (192, 16, 16), (192, 16, 16), (192, 16, 16), (192, 8, 8),
        (192, 8, 8), (192, 8, 8), (10, 8, 8),
    ]  # fmt: skip


def test_the_maps_of_the_imagenet_network() -> None:
    """Its pools round up: rounding down, 54 px would give 26, 12 and 5."""
    assert shapes("nin_imagenet", nn.Conv2d, nn.MaxPool2d) == [
        (96, 54, 54), (96, 54, 54), (96, 54, 54), (96, 27, 27),
        (256, 27, 27), (256, 27, 27), (256, 27, 27), (256, 13, 13),
        (384, 13, 13), (384, 13, 13), (384, 13, 13), (384, 6, 6),
        (1024, 6, 6), (1024, 6, 6), (1000, 6, 6),
    ]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_each_convolution_is_followed_by_two_of_one_pixel_all_with_relu(name: str) -> None:
    order = [module for _, module, _ in steps(skeleton(name), blank(name)) if isinstance(module, nn.Conv2d | nn.ReLU)]
    convolutions, activations = order[::2], order[1::2]
    assert {type(module) for module in activations} == {nn.ReLU}
    sides = [module.kernel_size[0] for module in convolutions if isinstance(module, nn.Conv2d)]
    assert sides == ([5, 1, 1, 5, 1, 1, 3, 1, 1] if name == "nin_cifar" else [11, 1, 1, 5, 1, 1, 3, 1, 1, 3, 1, 1])


@pytest.mark.parametrize("name", NAMES)
def test_there_is_no_dense_layer(name: str) -> None:
    assert not [module for module in skeleton(name).modules() if isinstance(module, nn.Linear)]


def test_dropout_stands_where_the_authors_have_it() -> None:
    """CIFAR-10: after the first two pools; ImageNet: after the last."""
    places = {
        name: [path for path, module, _ in steps(skeleton(name), blank(name)) if isinstance(module, nn.Dropout)]
        for name in NAMES
    }
    assert places == {"nin_cifar": ["stages.1.dropout", "stages.2.dropout"], "nin_imagenet": ["stages.2.dropout"]}
    for name in NAMES:
        order = [type(module) for _, module, _ in steps(skeleton(name, dropout=0.1), blank(name))]
        before = {order[place - 1] for place, kind in enumerate(order) if kind is nn.Dropout}
        assert before <= {nn.MaxPool2d, nn.AvgPool2d}
        assert {module.p for module in skeleton(name, dropout=0.1).modules() if isinstance(module, nn.Dropout)} == {0.1}


@pytest.mark.parametrize("name", NAMES)
def test_first_weights_are_the_authors(name: str) -> None:
    """Their public files: 0.05, and 0.01 in two convolutions and the classifier of the ImageNet network."""
    model = lenext.create(name, classes=100, init="paper")
    small = {"nin_cifar": set(), "nin_imagenet": {"stem.conv.conv", "stages.1.block.conv.conv", "head.classifier"}}
    for path, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            deviation = 0.01 if path in small[name] else 0.05
            assert module.weight.std().item() == pytest.approx(deviation, rel=0.03), path
            assert module.get_parameter("bias").count_nonzero() == 0


@pytest.mark.parametrize("init", ["he", "glorot"])
@pytest.mark.parametrize("seed", range(5))
@torch.no_grad()
def test_every_class_starts_above_zero(init: str, seed: int) -> None:
    """A class map that the ReLU keeps at zero gets no gradient: of few classes, none would be left to learn."""
    torch.manual_seed(seed)
    model = lenext.create("nin_cifar", classes=4, init=init).eval()
    assert model(torch.randn(8, 3, 32, 32)).min() > 0
