"""AlexNet's names in torchvision: `features` counts every layer, `classifier` the dense ones and dropout."""

from __future__ import annotations

from lenext.models.alexnet import AlexNet
from lenext.weights.keymaps.layout import Layout, numbered


def layouts(model: AlexNet) -> tuple[Layout, ...]:
    """Return torchvision's layout."""
    features = numbered("features", ("stem", model.stem), ("stages", model.stages))
    dense = {"head.dense.0": "classifier.1", "head.dense.1": "classifier.4", "head.classifier": "classifier.6"}
    return (Layout(library="torchvision", paths={**features, **dense}),)
