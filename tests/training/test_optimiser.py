from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.optim import SGD, AdamW

from lenext.training.optimiser import make_optimiser
from lenext.training.recipes import Situation, make_recipe
from lenext.training.schedule import rate_share


def model() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(2, 2))


@pytest.mark.parametrize(("name", "kind"), [("default", AdamW), ("sgd", SGD)])
def test_norms_and_biases_are_not_decayed(name: str, kind: type) -> None:
    net = model()
    optimiser = make_optimiser(net, make_recipe(name, Situation(train_images=100), {"weight_decay": 0.3}))
    assert isinstance(optimiser, kind)
    decay = {id(p): group["weight_decay"] for group in optimiser.param_groups for p in group["params"]}
    assert len(decay) == len(list(net.parameters()))
    for path, parameter in net.named_parameters():
        assert decay[id(parameter)] == (0.3 if path in ("0.weight", "3.weight") else 0.0), path


def test_frozen_parameters_are_left_out() -> None:
    net = model()
    net.get_parameter("0.weight").requires_grad_(False)
    optimiser = make_optimiser(net, make_recipe("default", Situation(train_images=100), {}))
    assert sum(len(group["params"]) for group in optimiser.param_groups) == 5


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
