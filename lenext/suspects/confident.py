"""Confident learning: Northcutt, Jiang and Chuang 2021, https://arxiv.org/abs/1911.00068, by the library cleanlab.

A class's threshold is the mean probability that images of that label were given for it. An image above the threshold
of another class counts as one of that class; how many of each label do, brought to the number of images, estimates the
joint distribution of labels and true classes, and what lies beside its diagonal how many labels are wrong.

Two things are not as in the paper; docs/suspects.md says what they bring. Where many images of one class have the
label of another, they lower the mean of that label, and its own images are then counted more readily than they: so the
joint is also estimated with the median of those images of the label that were answered so, and the larger count holds.
And the images of which the label is the least probable are not always the wrong ones: a network that learned that fours
are often called nines gives each four some probability of a nine. So the probability of the label is held against what
it usually is for images that are answered alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lenext.errors import UserError

FLOOR = 0.01  # of probabilities that are compared: far below it, their ratio says nothing


@dataclass(frozen=True)
class Doubts:
    """Images whose label is in doubt: `rows`, the worst first, with the score of each, 0 to 1, low where in doubt.

    A score of 0.5 says that the label is as improbable as it usually is for images that are answered as this one is.
    `noise` is the estimated percentage of wrong labels among all.
    """

    rows: NDArray[np.int64]
    scores: NDArray[np.float64]
    noise: float


def require_cleanlab() -> None:
    """Raise UserError where the library is missing, before hours are spent on folds."""
    try:
        import cleanlab.count  # noqa: F401
    except ImportError as error:
        raise UserError("suspects needs the cleanlab library: pip install 'lenext[suspects]'") from error


def doubts(labels: NDArray[np.int64], probabilities: NDArray[np.float32]) -> Doubts:
    """Return which labels (N,) are probably wrong, by probabilities (N, classes) that were answered out of fold.

    They are as many as are estimated to be wrong, of those that were not answered.
    """
    answered = probabilities.argmax(1)
    share = max(_wrong(labels, probabilities, each) for each in (None, _medians(labels, answered, probabilities)))
    scores = _scores(labels, answered, probabilities)
    rows = np.flatnonzero(answered != labels)
    rows = rows[np.argsort(scores[rows], kind="stable")][: round(share * len(labels))]
    return Doubts(rows, scores[rows], 100 * share)


def _wrong(
    labels: NDArray[np.int64], probabilities: NDArray[np.float32], thresholds: NDArray[np.float64] | None
) -> float:
    """Return the estimated share of wrong labels, by these thresholds or those of the paper."""
    from cleanlab.count import compute_confident_joint, estimate_joint

    joint = compute_confident_joint(labels, probabilities, thresholds=thresholds)
    return max(0.0, 1 - float(np.trace(estimate_joint(labels, probabilities, confident_joint=joint))))


def _medians(
    labels: NDArray[np.int64], answered: NDArray[np.int64], probabilities: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Return the median probability of each class, (classes,), over images of that label that were answered so.

    Where none was, it is the mean over all of that label; of a class without images, more than there can be.
    """
    found = np.full(probabilities.shape[1], np.inf)
    for label in np.unique(labels).tolist():
        own = labels == label
        sure = own & (answered == label)
        found[label] = np.median(probabilities[sure, label]) if sure.any() else probabilities[own, label].mean()
    return found


def _scores(
    labels: NDArray[np.int64], answered: NDArray[np.int64], probabilities: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Return how usual the probability of each label is, (N,), against the median for images that are answered alike.

    The median is over those whose answer is their label, or over all where there are none.
    """
    usual = np.empty(len(labels))
    for answer in np.unique(answered).tolist():
        alike = answered == answer
        right = alike & (labels == answer)
        usual[alike] = np.median(probabilities[right if right.any() else alike], axis=0)[labels[alike]]
    own = np.take_along_axis(probabilities, labels[:, None], axis=1)[:, 0].astype(np.float64)
    scores: NDArray[np.float64] = (own + FLOOR) / (own + usual + 2 * FLOOR)
    return scores
