"""Confident learning: Northcutt, Jiang and Chuang 2021, https://arxiv.org/abs/1911.00068, by the library cleanlab."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lenext.errors import UserError

FILTER = "prune_by_noise_rate"
SCORE = "normalized_margin"


@dataclass(frozen=True)
class Doubts:
    """Images whose label is in doubt: `rows` from the worst on, and the score of each, 0 to 1, small where bad.

    `noise` is the percentage of all labels that are estimated to be wrong.
    """

    rows: NDArray[np.int64]
    scores: NDArray[np.float64]
    noise: float


def require_cleanlab() -> None:
    """Raise UserError where the library is missing; asked before folds are trained."""
    try:
        import cleanlab.filter  # noqa: F401
    except ImportError as error:
        raise UserError("suspects needs the cleanlab library: pip install 'lenext[suspects]'") from error


def doubts(labels: NDArray[np.int64], probabilities: NDArray[np.float32]) -> Doubts:
    """Return which of the labels (N,) are probably wrong, by probabilities (N, classes) that were answered out of fold."""
    from cleanlab.count import compute_confident_joint, estimate_joint
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    joint = compute_confident_joint(labels, probabilities)
    rows = find_label_issues(
        labels, probabilities, filter_by=FILTER, return_indices_ranked_by=SCORE, confident_joint=joint, n_jobs=1
    )
    scores = get_label_quality_scores(labels, probabilities, method=SCORE)
    share = 1 - float(np.trace(estimate_joint(labels, probabilities, confident_joint=joint)))
    return Doubts(np.asarray(rows, np.int64), scores[rows].astype(np.float64), 100 * share)
