"""Images with labels that are planted wrong, so that a test knows which."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pictures import png
from pyarrow import parquet as pq
from sklearn.datasets import load_digits


def flipped(labels: NDArray[np.int64], share: float, classes: int, seed: int = 0) -> NDArray[np.int64]:
    """Return the labels, a share of them replaced by another class, each other one as often."""
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(labels))[: round(share * len(labels))]
    changed = labels.copy()
    changed[rows] = (labels[rows] + rng.integers(1, classes, len(rows))) % classes
    return changed


def noisy_digits(path: Path, share: float = 0.05, images: int | None = None) -> tuple[Path, set[str]]:
    """Write the built-in digits as a table with flipped labels; return it and the names of the flipped ones."""
    digits = load_digits()
    labels = digits.target[:images].astype(np.int64)
    changed = flipped(labels, share, 10)
    pixels = np.rint(digits.images[:images] * (255 / 16)).astype(np.uint8)
    pq.write_table(pa.table({"image": [png(each) for each in pixels], "label": changed.astype(str)}), path)
    return path, {f"all[{row}]" for row in np.flatnonzero(changed != labels)}
