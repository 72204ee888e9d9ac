"""Heads on embeddings: logistic regression, nearest neighbours, nearest class mean; each chooses its own strength.

The strength is chosen on parts of the images that a head may learn from, never on those that it is judged by.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

HeadName = Literal["logistic", "knn", "mean"]
HEADS: tuple[HeadName, ...] = get_args(HeadName)
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)  # of logistic regression: the inverse of its penalty's
NEIGHBOURS = (1, 3, 5, 9, 15)
CHOOSING = 3_000  # images that a strength is chosen on at most
FOLDS = 5  # that it is chosen with
STEPS = 500  # of logistic regression at most
PRECISE = 1e-4  # where its gradient is that small, it ends


@dataclass(frozen=True)
class Head:
    """A head that was fitted, and the strength that it chose: C, or the number of neighbours; None of class means.

    `model` are two steps: what brings embeddings to the axes that are fitted on, and what is fitted.
    """

    name: HeadName
    model: Pipeline
    strength: float | None

    def predict(self, values: NDArray[np.float32]) -> NDArray[np.int64]:
        """Return the class of each embedding: (N, D) -> (N,)."""
        return np.asarray(self.model.predict(values), np.int64)


def fit_head(name: HeadName, values: NDArray[np.float32], labels: NDArray[np.int64], *, seed: int = 0) -> Head:
    """Fit a head to the embeddings of N images by V views, (N, V, D), and their labels, (N,)."""
    from sklearn.pipeline import make_pipeline
    from threadpoolctl import threadpool_limits

    views = values.shape[1] if name == "logistic" else 1  # the others compare with what an image is in the mean
    rows = values.reshape(-1, values.shape[2]) if views > 1 else values.mean(1)
    kept, axes = by_turns(labels, CHOOSING, seed), _axes(name, rows.shape)
    # Threads of a small matrix wait for each other longer than they work.
    with _patient(), threadpool_limits(1 if len(rows) <= CHOOSING else None):
        turned = axes.fit_transform(rows)
        mean = turned.reshape(len(labels), views, -1).mean(1)
        strength = _strength(name, mean[kept], labels[kept], seed)
        # C weighs the sum over all rows, of which each image has `views`.
        model = _MAKE[name](strength / views if name == "logistic" and strength else strength)
        model.fit(turned, labels.repeat(views))
    return Head(name, make_pipeline(axes, model), strength)


def _strength(name: HeadName, values: NDArray[np.float32], labels: NDArray[np.int64], seed: int) -> float | None:
    """Return the strength that does best on images that a head was not fitted to: by loss, or by right answers."""
    from sklearn.model_selection import StratifiedKFold, cross_val_score

    options = {"logistic": STRENGTHS, "knn": NEIGHBOURS, "mean": (None,)}[name]
    if len(options) == 1:
        return None
    kept = np.bincount(labels)[labels] >= 2  # a class of one image leaves nothing to choose by
    values, labels = values[kept], labels[kept]
    if len(np.unique(labels)) < 2:
        return options[0] if name == "knn" else options[len(options) // 2]
    folds = max(2, min(FOLDS, int(np.bincount(labels)[np.unique(labels)].min())))
    parts = list(StratifiedKFold(folds, shuffle=True, random_state=seed).split(values, labels))
    fewest = min(len(rest) for rest, _ in parts)
    able = [each for each in options if name != "knn" or (each is not None and each <= fewest)]
    scoring = "neg_log_loss" if name == "logistic" else "accuracy"
    scores = [cross_val_score(_MAKE[name](each), values, labels, cv=parts, scoring=scoring).mean() for each in able]
    return able[int(np.argmax(scores))]


def by_turns(labels: NDArray[np.int64], most: int, seed: int) -> NDArray[np.int64]:
    """Return the indices of at most so many images, in order: one of each class in turn, as the seed draws them."""
    if len(labels) <= most:
        return np.arange(len(labels))
    order = np.random.default_rng(seed).permutation(len(labels))
    rank = np.empty(len(labels), np.int64)  # of each image within its class, in the order that was drawn
    for label in np.unique(labels):
        own = order[labels[order] == label]
        rank[own] = np.arange(len(own))
    place = np.empty(len(labels), np.int64)
    place[order] = np.arange(len(labels))
    return np.sort(np.lexsort((place, rank))[:most])


def _axes(name: HeadName, shape: tuple[int, ...]) -> Any:
    """Return what brings embeddings, of this shape, to the axes that a head is fitted on."""
    from sklearn.decomposition import PCA
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import Normalizer, StandardScaler

    if name != "logistic":
        return make_pipeline(Normalizer())
    # Fewer images than dimensions span a space of their own, in which the solution lies; all axes of it are kept.
    return make_pipeline(StandardScaler(), *([PCA(svd_solver="full")] if shape[0] < shape[1] else []))


def _logistic(strength: Any) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=strength, max_iter=STEPS, tol=PRECISE)


def _knn(neighbours: Any) -> Any:
    from sklearn.neighbors import KNeighborsClassifier

    return KNeighborsClassifier(int(neighbours), metric="cosine", weights="distance", algorithm="brute")


def _mean(_strength: Any) -> Any:
    from sklearn.neighbors import NearestCentroid

    return NearestCentroid()


_MAKE: dict[HeadName, Callable[[Any], Any]] = {"logistic": _logistic, "knn": _knn, "mean": _mean}


@contextmanager
def _patient() -> Iterator[None]:
    """Let what is inside end where its steps do, when the answers hardly change any more, and say nothing of it."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=ConvergenceWarning)
        # The deviations within classes, which no distance here needs, may be zero or none.
        warnings.filterwarnings("ignore", "self.within_class_std_dev_", UserWarning)
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        warnings.filterwarnings("ignore", "invalid value", RuntimeWarning, "sklearn.neighbors")
        yield


def linear_layer(head: Head, classes: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return a logistic head as the weight, (classes, D), and bias, (classes,), of one dense layer on embeddings."""
    assert head.name == "logistic"
    axes, regression = head.model.steps[0][1], head.model.steps[1][1]
    scaler, *rotation = [step for _, step in axes.steps]
    weight, bias = regression.coef_, regression.intercept_
    if len(weight) == 1:  # of two classes sklearn keeps the difference
        weight, bias = np.concatenate([-weight / 2, weight / 2]), np.concatenate([-bias / 2, bias / 2])
    for turned in rotation:
        weight = weight @ turned.components_
        bias = bias - weight @ turned.mean_
    weight = weight / scaler.scale_
    bias = bias - weight @ scaler.mean_
    whole, shift = np.zeros((classes, weight.shape[1])), np.full(classes, float(bias.min()) - ABSENT)
    whole[regression.classes_], shift[regression.classes_] = weight, bias
    return whole, shift


ABSENT = 20.0  # nats below the others: the bias of a class that had no image
