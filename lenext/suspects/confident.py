"""Confident learning: Northcutt, Jiang and Chuang 2021, https://arxiv.org/abs/1911.00068, by the library cleanlab.

A class's threshold is the mean probability that images of that label were given for it. An image above the threshold
of another class counts as one of that class; how many of each label do, brought to the number of images, estimates the
joint distribution of labels and true classes. The paper's two prunings take as many images as that counts as wrong: of
each class those whose label has the least probability, or of each pair of classes those with the largest margin.

Two things are not as in the paper, and docs/suspects.md says what each brings. Of a label's images, the threshold goes
by those that were answered so: the paper's mean over all falls with the wrong ones among them, most where all come from
one other class, whose own images then count by halves. And suspects are those that either pruning takes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lenext.errors import UserError

PRUNINGS = ("prune_by_class", "prune_by_noise_rate")
SCORE = "normalized_margin"


@dataclass(frozen=True)
class Doubts:
    """Images whose label is in doubt: `rows`, the worst first, with the score of each, 0 to 1, low where in doubt.

    The score is the probability of the label less that of the most probable other class, brought to 0 to 1. `noise` is
    the estimated percentage of wrong labels among all.
    """

    rows: NDArray[np.int64]
    scores: NDArray[np.float64]
    noise: float


def require_cleanlab() -> None:
    """Raise UserError where the library is missing, before hours are spent on folds."""
    try:
        import cleanlab.filter  # noqa: F401
    except ImportError as error:
        raise UserError("suspects needs the cleanlab library: pip install 'lenext[suspects]'") from error


def doubts(labels: NDArray[np.int64], probabilities: NDArray[np.float32]) -> Doubts:
    """Return which labels (N,) are probably wrong, by probabilities (N, classes) that were answered out of fold.

    None of them is the most probable class of its image.
    """
    from cleanlab.count import compute_confident_joint, estimate_joint
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    joint = compute_confident_joint(labels, probabilities, thresholds=_thresholds(labels, probabilities))
    either = np.zeros(len(labels), bool)
    for pruning in PRUNINGS:
        either |= find_label_issues(labels, probabilities, filter_by=pruning, confident_joint=joint, n_jobs=1)
    scores = get_label_quality_scores(labels, probabilities, method=SCORE).astype(np.float64)
    rows = np.flatnonzero(either)
    rows = rows[np.argsort(scores[rows], kind="stable")]
    right = float(np.trace(estimate_joint(labels, probabilities, confident_joint=joint)))
    return Doubts(rows, scores[rows], 100 * max(0.0, 1 - right))


def _thresholds(labels: NDArray[np.int64], probabilities: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the mean probability of each class, (classes,), over images of that label that were answered so.

    Where none was, over all of that label; of a class without images, more than there can be.
    """
    found = np.full(probabilities.shape[1], np.inf)
    answered = probabilities.argmax(1) == labels
    for label in np.unique(labels).tolist():
        own = labels == label
        sure = own & answered
        found[label] = probabilities[sure if sure.any() else own, label].mean(dtype=np.float64)
    return found
