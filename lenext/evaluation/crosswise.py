"""Images in parts, so that what is fitted on some of them is judged on the others."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

FOLDS = 5


def crosswise(
    labels: NDArray[np.int64], *, folds: int = FOLDS, seed: int = 0
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Return, for each of `folds` parts, the indices to fit on and those to judge, from the labels (N,).

        for fit, judged in crosswise(labels): ...

    Every image is judged exactly once, and never by what was fitted on it. Each part has its share of every class that
    has enough images for that. The list is empty where there are fewer than two images a part. The same labels and
    seed give the same parts.
    """
    from sklearn.model_selection import KFold, StratifiedKFold

    if len(labels) < 2 * folds:
        return []
    if np.unique(labels, return_counts=True)[1].max() < folds:
        return list(KFold(folds, shuffle=True, random_state=seed).split(labels))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class")  # is spread as far as it reaches
        return list(StratifiedKFold(folds, shuffle=True, random_state=seed).split(labels, labels))
