from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import lenext
from lenext.data.decode import ImageForm
from lenext.data.loader import Loader
from lenext.data.opening import open_source
from lenext.data.training_data import TrainingData, read_training_data
from lenext.data.training_loader import TrainingLoader
from lenext.errors import LenextError
from lenext.models import ImageClassifier
from lenext.models.lenet import LeNet
from lenext.training.loop import Epoch, fit
from lenext.training.recipes import Recipe, Situation, make_recipe

RECIPE = make_recipe("default", Situation(train_images=300, grey=True), {"epochs": 2, "batch_size": 50})


@pytest.fixture(scope="module")
def data() -> TrainingData:
    """Three hundred of the digits to train on, and those held out."""
    whole = read_training_data(open_source("digits"), ImageForm(size=(28, 28)))
    return dataclasses.replace(whole, train=whole.train.take(np.arange(300)))


def run(model: ImageClassifier, data: TrainingData, recipe: Recipe = RECIPE, seed: int = 0) -> Iterator[Epoch]:
    cpu = torch.device("cpu")
    train = TrainingLoader(data.train, data.preprocessing, batch_size=recipe.batch_size, device=cpu)
    held_out = Loader(data.held_out, data.preprocessing, batch_size=100, device=cpu)
    return fit(model, train, held_out, recipe, seed=seed)


def built(seed: int = 0) -> ImageClassifier:
    torch.manual_seed(seed)
    return lenext.create("lenet5")


def test_one_result_an_epoch(data: TrainingData) -> None:
    epochs = list(run(built(), data))
    assert [epoch.number for epoch in epochs] == [1, 2]
    assert [epoch.steps for epoch in epochs] == [6, 12]
    assert [len(epoch.losses) for epoch in epochs] == [6, 6]
    assert epochs[0].began < epochs[0].ended <= epochs[1].began
    assert np.mean(epochs[1].losses) < np.mean(epochs[0].losses)


def test_the_answer_is_of_the_weights_at_the_end_of_the_epoch(data: TrainingData) -> None:
    model = built()
    for epoch in run(model, data):
        images = data.preprocessing.normalise(torch.from_numpy(data.held_out.images.batch(np.arange(20))))
        with torch.inference_mode():
            torch.testing.assert_close(model.eval()(images).numpy(), epoch.held_out.logits[:20], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["default", "sgd"])
def test_the_same_seed_gives_the_same_bits(data: TrainingData, name: str) -> None:
    recipe = make_recipe(name, Situation(train_images=300, grey=True), {"epochs": 2})
    states = []
    for seed in (0, 0, 1):
        model = built(seed)
        for _ in run(model, data, recipe, seed):
            pass
        states.append(model.state_dict())
    first, again, other = states
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not all(torch.equal(first[key], other[key]) for key in first)


def test_a_loss_that_is_not_finite_stops_with_step_and_rate(data: TrainingData) -> None:
    class Explodes(LeNet):
        steps = 0

        def forward_train(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
            self.steps += 1
            return self.forward(x) * (float("nan") if self.steps == 4 else 1), []

    model = Explodes()
    with pytest.raises(
        LenextError, match=r"the loss is nan at step 4, learning rate 0\.00\d+; no checkpoint .*; try --lr 0\.0003"
    ):
        list(run(model, data))
    assert all(parameter.isfinite().all() for parameter in model.parameters())


def test_auxiliary_losses_count_with_their_weight(data: TrainingData) -> None:
    class TwoHeads(LeNet):
        def __init__(self) -> None:
            super().__init__()
            self.side = nn.Linear(784, 10)

        def forward_train(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
            return self.forward(x), [self.side(x.flatten(1))]

    def moved(auxiliary: float) -> tuple[Tensor, float, float]:
        """Return how a step of gradient descent moves the side's weights, the loss told, and that of the main head."""
        torch.manual_seed(0)
        model = TwoHeads()
        values = {"optimizer": "sgd", "momentum": 0, "weight_decay": 0, "batch_size": 300, "epochs": 1}
        recipe = make_recipe("default", Situation(train_images=300, grey=True), {**values, "auxiliary": auxiliary})
        before, images = model.side.weight.clone(), data.preprocessing.normalise(whole)
        loss = nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing)(model(images), labels)
        [epoch] = run(model, data, recipe)
        return model.side.weight - before, epoch.losses[0], loss.item()

    whole, labels = torch.from_numpy(data.train.images.batch(np.arange(300))), torch.from_numpy(data.train.labels)
    weak, told, main = moved(0.3)
    assert told == pytest.approx(main, rel=1e-5), "that of the main classifier alone"
    assert weak.abs().max() > 0
    torch.testing.assert_close(moved(0.6)[0], 2 * weak, rtol=1e-3, atol=1e-7)
    assert moved(0.0)[0].abs().max() == 0


def test_dropout_is_on_in_training_and_off_in_judging(data: TrainingData) -> None:
    model = built()
    modes = []
    model.head.register_forward_pre_hook(lambda module, _inputs: modes.append(module.training))
    next(run(model, data))
    assert modes[:6] == [True] * 6
    assert set(modes[6:]) == {False}
