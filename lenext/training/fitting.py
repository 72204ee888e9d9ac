"""What is fitted to the images before the first step of a training from given weights: norms, and a new last layer.

The weights stay known as they were before, for a run that goes on, or is trained again on other images, begins from
these: what was fitted to images knows their labels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lenext.creation import Pretrained
from lenext.data.loader import Loader
from lenext.data.training_data import TrainingData, as_evaluated, kept_form
from lenext.models import ImageClassifier
from lenext.models.parts import CLASSIFIER
from lenext.processes import Group
from lenext.progress import Progress
from lenext.training.fitted_head import fit_last_layer
from lenext.training.folded_norms import has_folded_norms, unfold_norms
from lenext.training.recipes import Recipe
from lenext.training.settings import Settings
from lenext.transfer.heads import CHOOSING, by_turns

BatchesOf = Callable[[NDArray[np.int64]], Loader]  # of the images to train on that have these numbers
STATISTICS = 256  # images that norms get theirs from


@dataclass(frozen=True)
class Beginning:
    """What weights were before they were fitted to images: `before` are tensors that may have changed since, by name.

    `new_head` says that no row of the last layer was the weights'.
    """

    before: Mapping[str, Tensor]
    new_head: bool


def head_can_be_fitted(start: Pretrained) -> bool:
    """Say whether the last layer is one dense layer for classes of which the weights know none."""
    return start.new_head and start.model.head.linear is not None


def fit_to_images(
    model: ImageClassifier,
    start: Pretrained,
    data: TrainingData,
    recipe: Recipe,
    device: torch.device,
    settings: Settings,
    group: Group,
    progress: Progress,
) -> tuple[Beginning, list[str]]:
    """Fit what the recipe says to some of the images, and return what the model was before, and notes of it."""
    state = model.state_dict()
    kept = {name: tensor.clone() for name, tensor in state.items() if tensor.ndim < 2 or name.startswith(CLASSIFIER)}
    notes, batches_of = [], partial(_as_judged, data, recipe, device, settings)
    if recipe.fit_norms or has_folded_norms(model):
        notes += _fit_norms(model, recipe, len(data.train.images), settings.seed, batches_of)
    if recipe.fit_head and head_can_be_fitted(start):
        notes += _fit_head(model, data.train.labels, settings.seed, batches_of, group, progress)
    return Beginning(kept, start.new_head), notes


def _fit_norms(model: ImageClassifier, recipe: Recipe, images: int, seed: int, batches_of: BatchesOf) -> list[str]:
    """Give the norms that are trained, now or later, statistics of some images; or those alone that were folded."""
    frozen, were_folded = model.frozen, has_folded_norms(model)
    if recipe.unfreeze:
        model.freeze_exactly(())
    count = min(STATISTICS, images)
    loader = batches_of(np.random.default_rng(seed).permutation(images)[:count])
    changed = unfold_norms(model, (batch.images for batch in loader.in_order()), every=recipe.fit_norms)
    model.freeze_exactly(frozen)
    if changed and were_folded:
        return [f"note: the weights came with folded norms, which got the statistics of {count} images"]
    return [f"note: the norms start with the statistics of {count} of the images"] if changed else []


def _fit_head(
    model: ImageClassifier,
    labels: NDArray[np.int64],
    seed: int,
    batches_of: BatchesOf,
    group: Group,
    progress: Progress,
) -> list[str]:
    """Let the last layer start as a head that was fitted to some of the images, each process embedding its part."""
    chosen = by_turns(labels, CHOOSING, seed)
    labels = labels[chosen]
    if len(np.unique(labels)) < 2 or not all(weight.requires_grad for weight in model.head.classifier.parameters()):
        return []
    loader = batches_of(chosen[group.own(len(chosen))])
    batches = progress.track(loader.in_order(), "fitting the last layer", len(loader), len)
    if not fit_last_layer(model, (batch.images for batch in batches), labels, seed, group):
        return []
    return [f"note: the last layer starts as the logistic regression on {len(chosen):,} images"]


def _as_judged(
    data: TrainingData, recipe: Recipe, device: torch.device, settings: Settings, chosen: NDArray[np.int64]
) -> Loader:
    """Return batches of some of the images to train on, as those to judge by are seen."""
    form = data.preprocessing.form
    some = as_evaluated(data.train.take(chosen), kept_form(recipe.augmentation, form), form, settings.loading)
    return Loader(some, data.preprocessing, batch_size=32, device=device)
