"""What a step does with a batch: in parts, mixed, its gradient bounded; and the average that is kept of the steps."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import lenext
from lenext.data.decode import ImageForm
from lenext.data.loader import Loader
from lenext.data.opening import open_source
from lenext.data.training_data import TrainingData, read_training_data
from lenext.data.training_loader import TrainingLoader
from lenext.errors import UserError
from lenext.evaluation.judge import judge
from lenext.models import ImageClassifier
from lenext.training.average import Average
from lenext.training.loop import Epoch, fit
from lenext.training.recipes import Recipe, Situation, make_recipe

CPU = torch.device("cpu")

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def data() -> TrainingData:
    """A hundred digits to train on."""
    whole = read_training_data(open_source("digits"), ImageForm(size=(12, 12)))
    return dataclasses.replace(whole, train=whole.train.take(np.arange(100)))


def recipe(**values: Any) -> Recipe:
    small = {"epochs": 1, "batch_size": 20, "lr": 0.1, "schedule": "constant", "warmup": 0}
    return make_recipe("sgd", Situation(train_images=100, grey=True), {**small, **values})


def trained(data: TrainingData, recipe: Recipe, model: str = "lenet5") -> tuple[Epoch, dict[str, Tensor]]:
    """Return the last epoch, and the weights of the network itself."""
    torch.manual_seed(0)
    net = lenext.create(model, classes=10, in_channels=1, size=12)
    train = TrainingLoader(
        data.train, data.preprocessing, batch_size=recipe.batch_size, device=CPU, augmentation=recipe.augmentation
    )
    epochs = list(
        fit(net, train, Loader(data.held_out, data.preprocessing, batch_size=400, device=CPU), recipe, seed=0)
    )
    return epochs[-1], net.state_dict()


@pytest.mark.parametrize(
    "values",
    [{}, {"mixup": 0.5}, {"class_weights": "balanced", "label_smoothing": 0.1}],
    ids=["plain", "mixup", "weights"],
)
@pytest.mark.parametrize("parts", [2, 3, 20])
def test_a_batch_in_parts_is_the_batch(data: TrainingData, parts: int, values: dict[str, Any]) -> None:
    whole, expected = trained(data, recipe(**values))
    part, found = trained(data, recipe(**values, accumulate=parts))
    assert part.losses == pytest.approx(whole.losses, rel=1e-4)
    for name, weight in expected.items():
        torch.testing.assert_close(found[name], weight, rtol=1e-3, atol=1e-5)


def test_a_small_last_batch_makes_no_empty_parts(data: TrainingData) -> None:
    few = dataclasses.replace(data, train=data.train.take(np.arange(7)))
    epoch, _ = trained(few, recipe(batch_size=20, accumulate=10))
    assert np.isfinite(epoch.losses).all()


def test_parts_of_one_image_are_too_few_for_batch_normalisation(data: TrainingData) -> None:
    with pytest.raises(UserError, match=r"one image at a time is too few.* fewer parts to accumulate"):
        trained(data, recipe(accumulate=20), model="resnet18")


def test_the_gradient_is_cut_to_its_bound(data: TrainingData) -> None:
    """The first step of plain SGD is the rate times the gradient: at most the rate times its bound."""
    first = recipe(momentum=0, nesterov=False, weight_decay=0, batch_size=100)
    torch.manual_seed(0)
    start = lenext.create("lenet5", classes=10, in_channels=1, size=12).state_dict()

    def moved(made: Recipe) -> float:
        _, after = trained(data, made)
        return float(sum((after[name] - start[name]).square().sum() for name in start) ** 0.5) / made.lr

    free = moved(first)
    assert free > 0.05
    assert moved(dataclasses.replace(first, clip=0.02)) == pytest.approx(0.02, rel=1e-3)
    assert moved(dataclasses.replace(first, clip=2 * free)) == pytest.approx(free, rel=1e-4)


def test_the_average_is_what_is_judged(data: TrainingData, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Tensor] = []
    real = Average.update

    name = next(name for name, _ in lenext.create("lenet5").named_parameters() if name.endswith("weight"))

    def update(self: Average, model: ImageClassifier) -> None:
        seen.append(model.get_parameter(name).detach().clone())
        real(self, model)

    monkeypatch.setattr(Average, "update", update)
    epoch, last = trained(data, recipe(ema=0.5, epochs=2))
    torch.manual_seed(0)
    expected = lenext.create("lenet5", classes=10, in_channels=1, size=12).get_parameter(name).detach()
    for step, weight in enumerate(seen, 1):
        kept = min(0.5, step / (step + 10))
        expected = kept * expected + (1 - kept) * weight
    torch.testing.assert_close(epoch.model.get_parameter(name), expected)
    assert not torch.equal(last[name], expected)
    held_out = Loader(data.held_out, data.preprocessing, batch_size=400, device=CPU)
    assert np.array_equal(judge(epoch.model, held_out).logits, epoch.held_out.logits)
