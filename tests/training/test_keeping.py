"""A training that goes on from a checkpoint is the one that never stopped, to the bit."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lenext
from lenext.data.augmentation.augmentation import Augmentation
from lenext.data.decode import ImageForm
from lenext.data.loader import Loader
from lenext.data.opening import open_source
from lenext.data.training_data import TrainingData, read_training_data
from lenext.data.training_loader import TrainingLoader
from lenext.errors import UserError
from lenext.models import ImageClassifier
from lenext.training.arithmetic import Arithmetic
from lenext.training.folder.checkpoint import checkpoint_files, last_checkpoint, read_checkpoint
from lenext.training.freezing import freeze_at_start
from lenext.training.keeping import Keeping
from lenext.training.loop import Epoch, fit
from lenext.training.pace import Pace
from lenext.training.recipes import Recipe, Situation, make_recipe

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = torch.device("cpu")
EVERYTHING = {"mixup": 0.2, "crop": "pad", "padding": 2, "ema": 0.9, "accumulate": 2, "clip": 1.0}


@pytest.fixture(scope="module")
def data() -> TrainingData:
    """Sixty of the digits to train on, as small images, and those held out."""
    whole = read_training_data(open_source("digits"), ImageForm(size=(12, 12)))
    return dataclasses.replace(whole, train=whole.train.take(np.arange(60)))


def made(**values: Any) -> Recipe:
    return make_recipe("default", Situation(train_images=60, grey=True), {"epochs": 3, "batch_size": 20, **values})


def built() -> ImageClassifier:
    torch.manual_seed(0)
    return lenext.create("wrn16_8_cifar", size=12, in_channels=1, classes=10, width=0.125, depth=0.5, dropout=0.3).to(
        memory_format=torch.channels_last
    )  # type: ignore[call-overload]


def run(
    data: TrainingData, recipe: Recipe, arithmetic: Arithmetic | None = None, **more: Any
) -> tuple[ImageClassifier, list[Epoch]]:
    model = built()
    freeze_at_start(model, recipe)
    train = TrainingLoader(
        data.train, data.preprocessing, batch_size=recipe.batch_size, device=CPU, augmentation=recipe.augmentation
    )
    held_out = Loader(data.held_out, data.preprocessing, batch_size=400, device=CPU)
    watched = Loader(data.train, data.preprocessing, batch_size=60, device=CPU) if recipe.early_stopping else None
    torch.manual_seed(1)
    epochs = []
    for epoch in fit(model, train, held_out, recipe, seed=3, arithmetic=arithmetic, stopping=watched, **more):
        kept = {name: value.clone() for name, value in epoch.model.state_dict().items()}
        epochs.append(dataclasses.replace(epoch, model=kept))  # type: ignore[arg-type]
    return model, epochs


class KilledError(Exception):
    """Stands for a kill: nothing happens after it."""


class StoppedAt(Keeping):
    """Writes a checkpoint at every step, and stops after one of them."""

    def __init__(self, run: Path, step: int) -> None:
        super().__init__(run, 0.0)
        self.at = step

    def _keep(self, work: Any, place: Any, pace: Pace, *, due: bool) -> None:
        super()._keep(work, place, pace, due=due)
        if pace.step == self.at:
            raise KilledError


def assert_same(ours: tuple[ImageClassifier, list[Epoch]], theirs: tuple[ImageClassifier, list[Epoch]]) -> None:
    for name, value in theirs[0].state_dict().items():
        assert torch.equal(ours[0].state_dict()[name], value), name
    for one, other in zip(ours[1][::-1], theirs[1][::-1], strict=False):
        assert (one.number, one.steps, one.images, one.lr) == (other.number, other.steps, other.images, other.lr)
        assert one.losses == other.losses
        assert one.best == other.best
        assert one.held_out.figures() == other.held_out.figures()
        for name, value in other.model.items():  # type: ignore[attr-defined]
            assert torch.equal(one.model[name], value), name  # type: ignore[index]


@pytest.mark.parametrize(
    "values",
    [
        EVERYTHING,
        {"optimizer": "sgd", "nesterov": True, "lr": 0.05},
        {"optimizer": "sgd", "momentum": 0, "early_stopping": 2},
        {"optimizer": "rmsprop", "eps": 0.1, "cutmix": 1.0, "sampling": "balanced"},
        {"optimizer": "sdlm", "lr": 1e-3, "schedule": "exponential", "decay": 0.5},
        {"unfreeze": 0.7, "layer_decay": 0.7, "ema": 0.9},
    ],
    ids=["everything", "sgd", "no momentum", "rmsprop", "sdlm", "unfreezing"],
)
@pytest.mark.parametrize("step", [1, 3, 5])
def test_from_any_step_on_training_is_the_same(
    values: dict[str, Any], step: int, data: TrainingData, tmp_path: Path
) -> None:
    recipe = made(**values)
    whole = run(data, recipe)
    with pytest.raises(KilledError):
        run(data, recipe, keeping=StoppedAt(tmp_path, step))
    found, wrong = last_checkpoint(tmp_path)
    assert wrong == {}
    assert found is not None
    assert found.step == step
    assert_same(run(data, recipe, resumed=found), whole)


def test_in_bfloat16_too(data: TrainingData, tmp_path: Path) -> None:
    recipe, way = made(), Arithmetic(bfloat16=True, channels_last=False)
    with pytest.raises(KilledError):
        run(data, recipe, way, keeping=StoppedAt(tmp_path, 4))
    assert_same(run(data, recipe, way, resumed=last_checkpoint(tmp_path)[0]), run(data, recipe, way))


def test_checkpoints_come_when_they_are_due_and_after_every_epoch(data: TrainingData, tmp_path: Path) -> None:
    run(data, made(), keeping=Keeping(tmp_path, minutes=60))
    assert [read_checkpoint(path).step for path in checkpoint_files(tmp_path)] == [6, 9]


def test_a_stop_comes_after_a_checkpoint(data: TrainingData, tmp_path: Path) -> None:
    keeping = Keeping(tmp_path, minutes=60)
    keeping.stop = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        run(data, made(), keeping=keeping)
    assert [read_checkpoint(path).step for path in checkpoint_files(tmp_path)] == [1]


def test_a_checkpoint_of_another_training_is_refused(data: TrainingData, tmp_path: Path) -> None:
    with pytest.raises(KilledError):
        run(data, made(), keeping=StoppedAt(tmp_path, 2))
    found, _ = last_checkpoint(tmp_path)
    with pytest.raises(UserError, match="the checkpoint of step 2 does not fit"):
        run(data, made(ema=0.9), resumed=found)


def test_augmentation_is_drawn_by_number() -> None:
    assert made(**EVERYTHING).augmentation == Augmentation(crop="pad", padding=2, mixup=0.2)
