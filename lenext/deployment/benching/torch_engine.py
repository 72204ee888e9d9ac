"""PyTorch as an engine among others: a classifier as it is, or compiled."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lenext.classifier import Classifier
from lenext.engines.engine import EngineName
from lenext.engines.exported import LOGITS, PROBABILITIES


class PyTorch:
    """A classifier that answers as the engines of exported files do."""

    def __init__(self, classifier: Classifier, *, compiled: bool = False) -> None:
        self.name: EngineName = "compiled" if compiled else "pytorch"
        self.classifier = classifier.compiled() if compiled else classifier

    def answer(self, pixels: NDArray[np.uint8], output: str = PROBABILITIES) -> NDArray[np.float32]:
        """Return probabilities or logits, (N, classes), for images uint8 (N, H, W, C)."""
        return self.classifier.logits(pixels) if output == LOGITS else self.classifier.probabilities(pixels)
