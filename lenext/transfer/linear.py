"""A classifier of a frozen backbone and a logistic head on all images, as one model file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lenext.classifier import Classifier
from lenext.creation import create
from lenext.errors import UserError
from lenext.models import ImageClassifier
from lenext.transfer.embedding import Embedded
from lenext.transfer.heads import fit_head, linear_layer
from lenext.weights.classes import ClassList
from lenext.weights.model_file import model_metadata, write_model_file


def require_linear(classifier: Classifier) -> None:
    """Raise UserError where the network's last layer is not one dense layer on its embedding."""
    if classifier.model.head.linear is None:
        raise UserError(
            f"{classifier.name} does not end in a dense layer on its embedding, so that no head can take its place; "
            "leave --out away, or train it: lenext train --freeze all-but-head"
        )


def write_linear(
    path: Path,
    classifier: Classifier,
    embedded: Embedded,
    labels: NDArray[np.int64],
    digests: NDArray[np.uint64],
    class_names: tuple[str, ...],
    *,
    figures: dict[str, Any],
    data: str,
    seed: int = 0,
) -> None:
    """Write `path`: the backbone with a logistic head that was fitted to all of the embeddings, with these labels.

    `digests` are those of the images.

    Raises:
        UserError: the network's last layer is another one.
        LenextError: the write failed.
    """
    require_linear(classifier)
    head = fit_head("logistic", embedded.values, labels, seed=seed)
    weight, bias = linear_layer(head, len(class_names))
    model = _with_classes(classifier, class_names)
    last = model.head.linear
    assert last is not None
    with torch.no_grad():
        last.weight.copy_(torch.from_numpy(weight))
        last.bias.copy_(torch.from_numpy(bias))
    assert model.spec is not None
    model.drop_training_only()
    metadata = model_metadata(
        model.spec,
        classifier.classes.called(class_names) if not classifier.unnamed else ClassList(class_names),
        classifier.preprocessing.to_json(),
        figures=figures,
        trained_on={"location": data, "images": len(labels), "head": "logistic", "strength": head.strength},
    )
    write_model_file(path, model.state_dict(), metadata, np.union1d(digests, classifier.trained_on))


def _with_classes(classifier: Classifier, class_names: tuple[str, ...]) -> ImageClassifier:
    """Return a network like the classifier's, with its weights, and a new last layer for these classes."""
    spec = classifier.model.spec
    assert spec is not None
    model = create(spec.name, classes=class_names, in_channels=spec.in_channels, size=spec.size, **spec.options)
    model.drop_training_only()
    kept = {k: v for k, v in classifier.model.state_dict().items() if not k.startswith("head.classifier.")}
    model.load_state_dict({**model.state_dict(), **kept})
    return model
