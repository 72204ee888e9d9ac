"""AlexNet against the paper: map sizes, towers, norms, dropout, first weights."""

from __future__ import annotations

import pytest
import torch
from skeletons import blank, shapes, skeleton, steps
from torch import Tensor, nn

import lenext

NAMES = ["alexnet_2012", "alexnet_96", "alexnet"]
CONVOLUTIONS = [
    "stem.conv1", "stages.0.conv2", "stages.1.conv3", "stages.1.conv4", "stages.1.conv5",
]  # fmt: skip


def test_the_maps_are_the_papers() -> None:
    """Section 3.5 and figure 2: 55, 27 and 13 pixels; 253,440, 186,624, 64,896, 64,896, 43,264, 4,096, 4,096 units."""
    found = shapes("alexnet_2012", nn.Conv2d, nn.Linear)
    assert found == [
        (96, 55, 55), (256, 27, 27), (384, 13, 13), (384, 13, 13), (256, 13, 13), (4096,), (4096,), (1000,),
    ]  # fmt: skip
    units = [torch.Size(shape).numel() for shape in found]
    assert units[1:] == [186_624, 64_896, 64_896, 43_264, 4_096, 4_096, 1_000]  # the paper says 253,440 for the first


def test_the_maps_of_the_narrower_form() -> None:
    assert shapes("alexnet", nn.Conv2d) == [
        (64, 55, 55), (192, 27, 27), (384, 13, 13), (256, 13, 13), (256, 13, 13),
    ]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_pools_overlap(name: str) -> None:
    pools = [module for _, module, _ in steps(skeleton(name), blank(name)) if isinstance(module, nn.MaxPool2d)]
    assert [(pool.kernel_size, pool.stride) for pool in pools] == [(3, 2)] * 3
    assert [shape[1:] for shape in shapes(name, nn.MaxPool2d)] == [(27, 27), (13, 13), (6, 6)]


def test_the_parameters_layer_by_layer() -> None:
    model = skeleton("alexnet_2012")
    paths = [*CONVOLUTIONS, "head.dense.0", "head.dense.1", "head.classifier"]
    assert [sum(p.numel() for p in model.get_submodule(path).parameters()) for path in paths] == [
        34_944, 307_456, 885_120, 663_936, 442_624, 37_752_832, 16_781_312, 4_097_000,
    ]  # fmt: skip


def test_the_norm_follows_the_first_two_convolutions_and_stands_before_the_pool() -> None:
    """Section 3.4: after the ReLU of the first and the second layer; pools follow both norms and the fifth layer."""
    order = [type(module) for _, module, _ in steps(skeleton("alexnet_2012"), blank("alexnet_2012"))]
    begin = [nn.Conv2d, nn.ReLU, nn.LocalResponseNorm, nn.MaxPool2d]
    assert order[:15] == [*begin, *begin, *[nn.Conv2d, nn.ReLU] * 3, nn.MaxPool2d]
    assert nn.LocalResponseNorm not in {type(module) for module in skeleton("alexnet").modules()}


def halves_that_change(layer: nn.Module, channels: int) -> tuple[bool, bool]:
    """Return whether the first and the second half of the output change when the first half of the input does."""
    x = torch.randn(1, channels, 5, 5)
    other = x.clone()
    other[:, : channels // 2] += 1
    first, second = (layer(x) != layer(other)).chunk(2, 1)
    return bool(first.any()), bool(second.any())


def test_the_two_towers_do_not_see_each_other_but_in_the_third_convolution() -> None:
    model = lenext.create("alexnet_2012", size=63, classes=2)
    seen = {
        path: halves_that_change(model.get_submodule(path), channels)
        for path, channels in zip(CONVOLUTIONS[1:], (96, 256, 384, 384), strict=True)
    }
    apart, together = (True, False), (True, True)
    assert list(seen.values()) == [apart, together, apart, apart]


@pytest.mark.parametrize("name", ["alexnet", "alexnet_96"])
def test_the_others_have_one_tower(name: str) -> None:
    convolutions = [module for module in skeleton(name).modules() if isinstance(module, nn.Conv2d)]
    assert [conv.groups for conv in convolutions] == [1] * 5


def test_the_paper_drops_what_leaves_the_hidden_layers() -> None:
    """Section 4.2: dropout of one half in the first two dense layers."""
    order = [
        (type(module), getattr(module, "p", None))
        for path, module, _ in steps(skeleton("alexnet_2012"), blank("alexnet_2012"))
        if path.startswith("head")
    ]
    hidden = [(nn.Linear, None), (nn.ReLU, None), (nn.Dropout, 0.5)]
    assert order == [(nn.MaxPool2d, None), (nn.Flatten, None), *hidden, *hidden, (nn.Linear, None)]


def test_the_later_form_drops_what_enters_them() -> None:
    rates = {
        path: module.p
        for path, module, _ in steps(skeleton("alexnet"), blank("alexnet"))
        if isinstance(module, nn.Dropout)
    }
    assert list(rates.values()) == [0.5, 0.5, 0.0]
    assert list(rates) == ["head.pool.1", "head.dropout.0", "head.dropout.1"]


@pytest.mark.parametrize("name", NAMES)
def test_the_rate_of_dropout_can_be_given(name: str) -> None:
    rates = [module.p for module in skeleton(name, dropout=0.3).modules() if isinstance(module, nn.Dropout)]
    assert sorted(rates) == ([0.3, 0.3] if name != "alexnet" else [0.0, 0.3, 0.3])


@pytest.mark.parametrize("name", NAMES)
def test_first_weights_are_the_papers(name: str) -> None:
    """Section 5: deviation 0.01; biases 1 in the second, fourth and fifth convolution and the hidden dense layers."""
    model = lenext.create(name, size=63, classes=100, init="paper")
    ones = {"stages.0.conv2.conv", "stages.1.conv4.conv", "stages.1.conv5.conv", "head.dense.0", "head.dense.1"}
    found = set()
    for path, module in model.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            assert module.weight.mean().item() == pytest.approx(0, abs=4e-4), path
            assert module.weight.std().item() == pytest.approx(0.01, rel=0.03), path
            bias: Tensor = module.get_parameter("bias")
            assert bias.min() == bias.max(), path
            if bias[0] == 1:
                found.add(path)
            else:
                assert bias[0] == 0, path
    assert found == ones
