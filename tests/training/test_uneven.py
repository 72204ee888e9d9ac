"""Classes of which one has a fiftieth of the images: weights and sampling let the network learn it all the same."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

import lenext
from lenext.data.decode import ImageForm
from lenext.data.loader import Loader
from lenext.data.opening import open_source
from lenext.data.training_data import TrainingData, read_training_data
from lenext.data.training_loader import TrainingLoader
from lenext.training.loop import fit
from lenext.training.recipes import Situation, make_recipe

RARE = 8

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def uneven() -> TrainingData:
    """The digits with three eights to train on, and about 150 of every other."""
    whole = read_training_data(open_source("digits"), ImageForm(size=(12, 12)))
    is_rare = whole.train.labels == RARE
    kept = np.concatenate([np.flatnonzero(~is_rare), np.flatnonzero(is_rare)[:3]])
    counts = np.bincount(whole.train.labels[kept])
    assert counts[RARE] * 45 < np.delete(counts, RARE).min()
    return dataclasses.replace(whole, train=whole.train.take(np.sort(kept)))


def recall(data: TrainingData, **values: Any) -> float:
    """Return the share of the rare class's images that are found, over two seeds."""
    found = []
    for seed in range(2):
        recipe = make_recipe("default", Situation(train_images=1000, grey=True), {"epochs": 4, **values})
        torch.manual_seed(seed)
        model, cpu = lenext.create("lenet5", size=12), torch.device("cpu")
        train = TrainingLoader(
            data.train, data.preprocessing, batch_size=recipe.batch_size, device=cpu, sampling=recipe.sampling
        )
        held_out = Loader(data.held_out, data.preprocessing, batch_size=400, device=cpu)
        *_, last = fit(model, train, held_out, recipe, seed=seed)
        rare = last.held_out.labels == RARE
        found.append(np.mean(last.held_out.logits[rare].argmax(1) == RARE))
    return float(np.mean(found))


def test_class_weights_and_balanced_sampling_raise_the_recall_of_the_rare_class(uneven: TrainingData) -> None:
    neither = recall(uneven)
    assert recall(uneven, class_weights="balanced") > neither + 0.3
    assert recall(uneven, sampling="balanced") > neither + 0.05
