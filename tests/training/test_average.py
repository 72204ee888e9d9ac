from __future__ import annotations

import pytest
import torch

import lenext
from lenext.training.average import Average


def test_the_average_by_hand() -> None:
    model = lenext.create("mlp", classes=2, size=2, in_channels=1)
    name, weight = next(iter(model.named_parameters()))
    with torch.no_grad():
        weight.fill_(8.0)
    average = Average(model, 0.1)
    expected = 8.0
    for step, value in enumerate((0.0, 4.0, -2.0), 1):
        with torch.no_grad():
            weight.fill_(value)
        average.update(model)
        kept = min(0.1, step / (step + 10))  # 1/11 in the first step
        expected = kept * expected + (1 - kept) * value
        assert average.model.get_parameter(name).unique().tolist() == [pytest.approx(expected, rel=1e-5)]
    assert model.get_parameter(name).unique().tolist() == [-2.0], "the model itself is left alone"


def test_a_high_decay_is_a_plain_mean_at_first_and_comes_in_later() -> None:
    model = lenext.create("mlp", classes=2, size=2, in_channels=1)
    name, weight = next(iter(model.named_parameters()))
    average = Average(model, 0.9999)
    with torch.no_grad():
        weight.fill_(1.0)
    for _ in range(100):
        average.update(model)
    assert average.model.get_parameter(name).min() > 0.999, "the first weights are forgotten"


def test_statistics_are_averaged_and_counts_are_copied() -> None:
    model = lenext.create("resnet20_cifar", size=8)
    average = Average(model, 0.5)
    norm = next(part for part in model.modules() if isinstance(part, torch.nn.BatchNorm2d))
    twin = next(part for part in average.model.modules() if isinstance(part, torch.nn.BatchNorm2d))
    assert norm.running_mean is not None
    norm.running_mean.fill_(11.0)
    assert norm.num_batches_tracked is not None
    norm.num_batches_tracked.fill_(7)
    average.update(model)
    assert twin.running_mean is not None
    assert twin.running_mean.unique().tolist() == [pytest.approx(10.0)]
    assert twin.num_batches_tracked == 7
    assert not any(parameter.requires_grad for parameter in average.model.parameters())
