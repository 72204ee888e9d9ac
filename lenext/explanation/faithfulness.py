"""How far a map is to be believed: whether it depends on the weights, and whether what it names carries the answer."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lenext.building import build
from lenext.classifier import Classifier
from lenext.explanation.heat_map import HeatMap
from lenext.explanation.methods import Explainer
from lenext.explanation.sight import Sight
from lenext.models import ImageClassifier, lookup
from lenext.models.modes import evaluating

DRAWS = 3  # of all weights
ALIKE = 0.5  # rank correlation from which on two maps are taken for the same
GRID = 14  # places a side that are deleted, each the same share of what the network sees
ORDERS = 5  # random ones
SEED = 0
BATCH = 32


@dataclass(frozen=True)
class Randomised:
    """How a map changes as the weights are drawn anew: Adebayo et al. 2018, https://arxiv.org/abs/1810.03292

    `cascade` holds, for the head, then with the last stage too, and so on to the stem, Spearman's rank correlation of
    the map with the one of the trained weights; `correlation` is the median of its size over several draws of all
    weights. Where it is below 0.5, the map `depends_on_weights`; else it shows the image more than what was learned.
    """

    cascade: tuple[tuple[str, float], ...]
    correlation: float

    @property
    def depends_on_weights(self) -> bool:
        """Whether the map is another one with random weights."""
        return self.correlation < ALIKE

    def fields(self) -> dict[str, Any]:
        """Return the figures in the command's JSON."""
        return {
            "cascade": [{"part": part, "correlation": round(value, 4)} for part, value in self.cascade],
            "correlation": round(self.correlation, 4),
            "depends_on_weights": self.depends_on_weights,
        }


@dataclass(frozen=True)
class Deletion:
    """The probability of a class as places are deleted: Petsiuk et al. 2018, https://arxiv.org/abs/1806.07421

    `deleted` are shares from 0 to 1 of what the network sees, `by_map` the probabilities with the hottest places gone,
    `at_random` the mean over random orders; the areas are those under the two.
    """

    deleted: tuple[float, ...]
    by_map: tuple[float, ...]
    at_random: tuple[float, ...]

    @property
    def area(self) -> float:
        """The mean probability while the places go in the order of the map, 0 to 1: the less, the more faithful."""
        return float(np.trapezoid(self.by_map, self.deleted))

    @property
    def random_area(self) -> float:
        """The mean probability while the places go in random order, 0 to 1."""
        return float(np.trapezoid(self.at_random, self.deleted))

    @property
    def faster(self) -> bool:
        """Whether the probability falls faster than in random order."""
        return self.area < self.random_area

    def fields(self) -> dict[str, Any]:
        """Return the figures in the command's JSON."""
        curves = {name: [round(value, 6) for value in values] for name, values in asdict(self).items()}
        areas = {"area": round(self.area, 6), "random_area": round(self.random_area, 6), "faster": self.faster}
        return {**curves, **areas}


@dataclass(frozen=True)
class Check:
    """What is to be known of a map before it is believed."""

    randomised: Randomised
    deletion: Deletion

    def fields(self) -> dict[str, Any]:
        """Return the figures in the command's JSON."""
        return {"randomised": self.randomised.fields(), "deletion": self.deletion.fields()}


def check(explainer: Explainer, sight: Sight, index: int, found: HeatMap) -> Check:
    """Return how far the map `found`, of an image and the class `index`, is to be believed."""
    return Check(randomised(explainer, sight, index, found), deletion(explainer.classifier, sight, index, found))


def randomised(explainer: Explainer, sight: Sight, index: int, found: HeatMap) -> Randomised:
    """Return how the map changes as the weights are drawn anew, as the architecture draws them."""
    classifier = explainer.classifier

    def correlation(model: ImageClassifier) -> float:
        other = explainer.map(sight, index, replace(classifier, model=model))
        return rank_correlation(found.values, other.values)

    cascade = [(part, correlation(model)) for part, model in _cascade(classifier, SEED)]
    draws = [abs(correlation(_fresh(classifier, SEED + draw))) for draw in range(1, DRAWS + 1)]
    return Randomised(tuple(cascade), float(np.median(draws)))


def rank_correlation(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Return Spearman's rank correlation of two maps, -1 to 1; 0 where one of them is the same everywhere."""
    from scipy.stats import spearmanr

    if not np.ptp(a) or not np.ptp(b):
        return 0.0
    return float(spearmanr(a.ravel(), b.ravel()).statistic)


def deletion(classifier: Classifier, sight: Sight, index: int, found: HeatMap) -> Deletion:
    """Return the probability of a class as places of the image take the mean colour, zero after normalisation.

    What the network sees is divided into a grid of 14 x 14 places (fewer, of fewer pixels). A map of single pixels thus
    competes with random places of the same size, not with single pixels, whose noise alone misleads a network.
    """
    height, width = sight.size
    rows, columns = min(GRID, height), min(GRID, width)
    heat = found.drawn(sight.part, sight.size)
    cells = (np.arange(height) * rows // height)[:, None] * columns + np.arange(width) * columns // width  # (H, W)
    mean = np.bincount(cells.ravel(), heat.ravel()) / np.bincount(cells.ravel())
    draws = np.random.default_rng(SEED)
    count = rows * columns
    shuffled = draws.permutation(count)  # so that places of equal heat have no order
    by_map = shuffled[np.argsort(-mean[shuffled], kind="stable")]
    steps = np.linspace(0, count, min(count, GRID) + 1).round().astype(np.int64)
    ranks = [np.argsort(order) for order in (by_map, *(draws.permutation(count) for _ in range(ORDERS)))]
    gone = np.stack([rank[cells] < step for rank in ranks for step in steps])  # (orders * steps, H, W)
    curves = _probabilities(classifier, sight, index, gone).reshape(len(ranks), len(steps))
    return Deletion(*(tuple(values.tolist()) for values in (steps / count, curves[0], curves[1:].mean(0))))


@torch.inference_mode()
def _probabilities(classifier: Classifier, sight: Sight, index: int, gone: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the probability of a class without the places that are gone: (N, H, W) -> (N,)."""
    x = sight.tensor(classifier)
    found = []
    with evaluating(classifier.model):
        for start in range(0, len(gone), BATCH):
            kept = torch.from_numpy(~gone[start : start + BATCH, None]).to(x.device)  # (n, 1, H, W)
            found.append(classifier.model(x * kept).float().softmax(1)[:, index].cpu())
    return torch.cat(found).double().numpy()


def _fresh(classifier: Classifier, seed: int) -> ImageClassifier:
    """Return the architecture with weights drawn anew."""
    spec = classifier.model.spec
    assert spec is not None
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = build(lookup(spec.name), spec.classes, spec.in_channels, spec.size, spec.options)
    model.drop_training_only()
    return model.eval().to(classifier.device)


def _cascade(classifier: Classifier, seed: int) -> Iterator[tuple[str, ImageClassifier]]:
    """Yield the trained model with its head drawn anew, then with the last stage too, and so on to the stem."""
    model, fresh = copy.deepcopy(classifier.model), _fresh(classifier, seed)
    count = len(model.stages)
    parts = ["head", *(f"stages.{number}" for number in range(count - 1, -1, -1)), "stem"]
    for path in parts:
        part = model.get_submodule(path)
        if next(part.parameters(), None) is None:  # nothing to draw
            continue
        part.load_state_dict(fresh.get_submodule(path).state_dict())
        yield path.replace("stages.", "stage "), model
