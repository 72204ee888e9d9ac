from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from skeletons import skeleton
from torch import nn

import lenext
from lenext.models.initialisation import draw, gaussian, initialise

# The cheapest of each family that says how its weights are drawn.
FAMILIES = ["alexnet", "zfnet", "nin_cifar", "nin_imagenet", "overfeat_fast", "vgg11", "vgg11_bn", "googlenet_bn"]


class Layers(nn.Module):
    """One of each kind of layer, with biases that are not 0, large enough for sound statistics."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.dense = nn.Conv2d(64, 128, 3), nn.BatchNorm2d(128), nn.Linear(300, 500)
        for layer in (self.conv, self.dense):
            nn.init.constant_(layer.get_parameter("bias"), 3)

    def biases(self) -> int:
        """Return how many biases are not 0."""
        return sum(int(layer.get_parameter("bias").count_nonzero()) for layer in (self.conv, self.dense))


def never(_model: nn.Module) -> None:
    raise AssertionError("the paper's rule was not asked for")


def test_he_is_normal_with_variance_two_by_fan_in() -> None:
    model = Layers()
    initialise(model, "he", never)
    assert model.conv.weight.std().item() == pytest.approx(math.sqrt(2 / (64 * 9)), rel=0.02)
    assert model.dense.weight.std().item() == pytest.approx(math.sqrt(2 / 300), rel=0.02)
    assert model.dense.weight.abs().max() > 3.5 * model.dense.weight.std(), "normal, not uniform"
    assert model.biases() == 0
    assert model.norm.weight.tolist() == [1] * 128


def test_glorot_is_uniform_within_its_bound() -> None:
    model = Layers()
    initialise(model, "glorot", never)
    for module, fans in ((model.conv, (64 + 128) * 9), (model.dense, 300 + 500)):
        bound = math.sqrt(6 / fans)
        assert 0.99 * bound < module.weight.abs().max() <= bound
        assert module.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.02)
    assert model.biases() == 0


def test_paper_is_what_the_family_gives() -> None:
    model = Layers()
    initialise(model, "paper", gaussian(0.07))
    assert model.conv.weight.std().item() == pytest.approx(0.07, rel=0.02)
    assert model.dense.weight.std().item() == pytest.approx(0.07, rel=0.02)
    assert model.biases() == 0


def test_layers_without_bias_can_be_drawn() -> None:
    layer = nn.Conv2d(1, 1, 1, bias=False)
    draw(layer, nn.init.ones_)
    assert layer.weight.item() == 1


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("init", ["xavier", "", None])
def test_an_unknown_rule_is_refused(name: str, init: Any) -> None:
    with pytest.raises(lenext.UserError, match=rf"init {init!r} is not known; give he, glorot or paper"):
        skeleton(name, init=init)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("init", ["he", "glorot", "paper"])
def test_a_model_says_how_it_was_drawn(name: str, init: str) -> None:
    with torch.device("meta"):
        model = lenext.create(name, init=init)
    assert model.spec is not None
    assert model.spec.options == {"init": init}


def test_he_is_what_create_draws() -> None:
    for path in ("stages.0.conv.conv", "stages.2.block.conv.conv"):
        for model in (lenext.create("nin_cifar"), lenext.create("nin_cifar", init="he")):
            weight = model.get_submodule(path).get_parameter("weight")
            assert weight.std().item() == pytest.approx(math.sqrt(2 / weight[0].numel()), rel=0.03)
