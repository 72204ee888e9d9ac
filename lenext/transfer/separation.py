"""Separation: after which stage a network's features tell the classes of new images apart best.

Where that is the last one, what the network has learned fits the new images. Where an earlier one does better, its last
stages know too much of the old images: the tasks are dissimilar. Yosinski et al. 2014, https://arxiv.org/abs/1411.1792.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from lenext.classifier import Classifier
from lenext.data.loader import Loader
from lenext.data.reading import Reading
from lenext.evaluation.crosswise import crosswise
from lenext.evaluation.significance import holm, of_same_images
from lenext.models.truncation import DROP
from lenext.transfer.embedding import stage_embedding
from lenext.transfer.heads import by_turns, fit_head

LOOKED_AT = 400  # images
BATCH = 32
MUCH = 10.0  # percentage points; by less, what is cut off brings more, once it is trained, than it costs


@dataclass(frozen=True)
class Separation:
    """How many percent of some images logistic heads got right after each stage, crosswise; the last with all of it.

    `before` is how many stages the network had lost already.
    `drop` is how many stages are better cut off: 0 unless an earlier one does much better, by more than chance brings.
    """

    top1: tuple[float, ...]
    drop: int
    before: int = 0

    @property
    def similar(self) -> bool:
        """Whether what the network has learned fits these images."""
        return self.drop == 0

    @property
    def words(self) -> str:
        """What was measured, in words."""
        if len(self.top1) < 2:
            return "the network has one stage"
        rates = ", ".join(f"{rate:.0f}" for rate in self.top1)
        verdict = (
            f"the best is stage {len(self.top1) - 1 - self.drop}" if self.drop else "no earlier stage is much better"
        )
        return f"heads on its stages tell {rates} % of some images apart, and {verdict}"


def separation(classifier: Classifier, reading: Reading, *, seed: int = 0) -> Separation | None:
    """Measure on some images of `reading` after which stage their classes are told apart best; None where they are few.

    The head of the network, cut after each stage but the last, is what looks at its maps; after the last it is the
    whole embedding.
    """
    chosen = _some(reading.labels, seed)
    labels = reading.labels[chosen]
    parts = crosswise(labels, seed=seed)
    if not parts or not len(classifier.model.stages):
        return None
    if any(len(np.unique(labels[fitted])) < 2 for fitted, _ in parts):
        return None
    right = []
    for values in _by_stage(classifier, reading.take(chosen)):
        answers = np.zeros(len(labels), bool)
        for fitted, judged in parts:
            head = fit_head("logistic", values[fitted, None], labels[fitted], seed=seed)
            answers[judged] = head.predict(values[judged]) == labels[judged]
        right.append(answers)
    rates = tuple(100 * float(each.mean()) for each in right)
    best = int(np.argmax(rates))
    earlier = holm([of_same_images(right[-1], each) for each in right[:-1]])
    much = best < len(rates) - 1 and rates[best] - rates[-1] >= MUCH and not earlier[best].by_chance
    spec = classifier.model.spec
    before = spec.options.get(DROP, 0) if spec else 0
    return Separation(rates, len(rates) - 1 - best if much else 0, before)


@torch.inference_mode()
def _by_stage(classifier: Classifier, reading: Reading) -> list[NDArray[np.float32]]:
    """Return the embeddings after each stage, each (N, D_k)."""
    model = classifier.model.eval()
    found: list[list[torch.Tensor]] = [[] for _ in model.stages]
    loader = Loader(reading, classifier.preprocessing, batch_size=BATCH, device=classifier.device)
    for batch in loader.in_order():
        maps = model.features(batch.images)
        last = model.head.embed(maps[-1])
        for stage, values in enumerate([*(stage_embedding(model, each) for each in maps[:-1]), last]):
            found[stage].append(values.float().cpu())
    return [torch.cat(each).numpy() for each in found]


def _some(labels: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Return the indices of some images of classes that have two or more, about as many of each, in order."""
    counts = np.bincount(labels)
    able = np.flatnonzero(counts[labels] >= 2) if len(labels) else np.arange(0)
    return able[by_turns(labels[able], LOOKED_AT, seed)]
