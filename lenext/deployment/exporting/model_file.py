"""The safetensors file: the weights as lenext reads them again, with all that is needed to use them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lenext.classifier import Classifier, load
from lenext.data.decode import decode
from lenext.deployment.proof import Proof, compared
from lenext.weights.model_file import write_model_file

LEFT_OUT = (
    "format",
    "lenext_version",
    "preprocessing_inside",
    "digests",
    "precision",
)  # said elsewhere


def write_safetensors(classifier: Classifier, metadata: dict[str, Any], path: Path) -> None:
    """Write the weights by our own names; norms stay what they are, so that they can be trained further."""
    told = {key: value for key, value in metadata.items() if key not in LEFT_OUT}
    write_model_file(path, classifier.model.state_dict(), told, classifier.trained_on)


def prove_weights(classifier: Classifier, path: Path, items: Sequence[Any]) -> Proof:
    """Return how the classifier that is read from the file answers.

    Raises:
        NotProvedError: it answers something else.
    """
    again, form = load(path, device="cpu"), classifier.preprocessing.form
    pixels = [decode(item, form)[None] for item in items]
    expected, found = (np.concatenate([each.probabilities(one) for one in pixels]) for each in (classifier, again))
    return compared("pytorch", [found], expected)
