from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.optim import SGD, AdamW

import lenext
from lenext.models import ImageClassifier
from lenext.training.optimiser import make_optimiser
from lenext.training.recipes import Situation, make_recipe
from lenext.training.schedule import rate_share


def model() -> ImageClassifier:
    return lenext.create("resnet20_cifar", classes=2, depth=0.3)


@pytest.mark.parametrize(("name", "kind"), [("default", AdamW), ("sgd", SGD)])
def test_norms_and_biases_are_not_decayed(name: str, kind: type) -> None:
    net = model()
    optimiser = make_optimiser(net, make_recipe(name, Situation(train_images=100), {"weight_decay": 0.3}))
    assert isinstance(optimiser, kind)
    decay = {id(p): group["weight_decay"] for group in optimiser.param_groups for p in group["params"]}
    assert len(decay) == len(list(net.parameters()))
    for path, parameter in net.named_parameters():
        is_norm = isinstance(net.get_submodule(path.rpartition(".")[0]), nn.BatchNorm2d)
        assert decay[id(parameter)] == (0.0 if is_norm or path.endswith("bias") else 0.3), path


def test_frozen_parameters_are_left_out_unless_they_are_to_be_free_again() -> None:
    net = model()
    net.freeze("all but head")
    situation = Situation(train_images=100)
    optimiser = make_optimiser(net, make_recipe("default", situation, {}))
    assert {p for group in optimiser.param_groups for p in group["params"]} == set(net.head.parameters())
    optimiser = make_optimiser(net, make_recipe("default", situation, {"unfreeze": 0.5}))
    assert {p for group in optimiser.param_groups for p in group["params"]} == set(net.parameters())


def test_each_part_is_trained_at_a_share_of_the_rate_of_the_next() -> None:
    net = model()
    optimiser = make_optimiser(net, make_recipe("default", Situation(train_images=100), {"layer_decay": 0.5}))
    share = {id(p): group["share"] for group in optimiser.param_groups for p in group["params"]}
    wanted = {"head.classifier": 1.0, "stages.2": 0.5, "stages.1": 0.25, "stages.0": 0.125, "stem": 0.0625}
    for path, parameter in net.named_parameters():
        assert share[id(parameter)] == next(value for part, value in wanted.items() if path.startswith(part)), path


@pytest.mark.parametrize("schedule", ["onecycle", "cosine", "linear"])
@pytest.mark.parametrize("steps", [1, 2, 3, 9, 10, 101])
def test_the_rate_rises_to_its_highest_and_falls_to_little(schedule: str, steps: int) -> None:
    recipe = make_recipe("default", Situation(train_images=100), {"schedule": schedule, "warmup": 0.3})
    rates = [rate_share(recipe, step / steps, steps) for step in range(steps)]
    top = rates.index(max(rates))
    assert min(rates) > 0
    assert max(rates) <= 1 + 1e-12
    assert rates == sorted(rates[: top + 1]) + sorted(rates[top + 1 :], reverse=True)
    if steps > 10:
        assert math.isclose(max(rates), 1, rel_tol=0.02)
        assert abs(top / steps - 0.3) < 0.05
        assert rates[-1] < 0.02


def test_the_cosine_by_hand() -> None:
    recipe = make_recipe("default", Situation(train_images=100), {"schedule": "cosine", "warmup": 0.2})
    rates = [rate_share(recipe, step / 10, 10) for step in range(10)]
    expected = [1 / 3, 2 / 3, *(0.5 + 0.5 * math.cos(math.pi * k / 8) for k in range(8))]
    torch.testing.assert_close(rates, expected)
