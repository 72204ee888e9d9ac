"""How much a new task is like the one that weights were trained for, measured on images to train on."""

from __future__ import annotations

import numpy as np
import torch

from lenext.classifier import Classifier
from lenext.creation import Pretrained
from lenext.data.holdout import HELD_OUT_SHARE
from lenext.data.preprocessing import Preprocessing
from lenext.data.reading import read_split
from lenext.data.source import Source
from lenext.progress import Progress
from lenext.training.recipes.situation import training_split
from lenext.transfer.separation import LOOKED_AT, Separation, separation

READ = 2 * LOOKED_AT  # images, for some may be held out


def measured_separation(
    start: Pretrained, stored: Preprocessing, source: Source, device: torch.device, seed: int, progress: Progress
) -> Separation | None:
    """Return which stage of the weights tells the classes of some training images apart best; of few images, None."""
    split, _ = training_split(source)
    if split is None:
        return None
    chosen = np.random.default_rng(seed).permutation(len(split))[:READ]
    reading = read_split(split.take(np.sort(chosen)), stored.form, what="comparing the tasks", progress=progress)
    if not {"val", "test"} & source.splits.keys():
        # Of a draw, the rule for classes of few images would say something else than of all images.
        reading = reading.take(np.flatnonzero(reading.digests >= np.uint64(HELD_OUT_SHARE * 2**64)))
    model, training = start.model, start.model.training
    model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    classifier = Classifier(model, stored, start.classes, start.metadata, start.trained_on, device)
    found = separation(classifier, reading, seed=seed)
    model.train(training)
    return found
