"""VGG's names in torchvision and in timm, which agree on the convolutions and differ on the dense layers.

timm's dense layers are convolutions, the first with a kernel as large as the map that ours flattens.
"""

from __future__ import annotations

from lenext.models.heads import DenseHead
from lenext.models.vgg import VGG
from lenext.weights.keymaps.layout import Layout, numbered

HIDDEN = 4096


def layouts(model: VGG) -> tuple[Layout, ...]:
    """Return the layouts of torchvision and of timm, with and without batch normalisation."""
    head = model.head
    assert isinstance(head, DenseHead)
    features = numbered("features", ("stages", model.stages))
    torchvision = {"head.dense.0": "classifier.0", "head.dense.1": "classifier.3", "head.classifier": "classifier.6"}
    timm = {"head.dense.0": "pre_logits.fc1", "head.dense.1": "pre_logits.fc2", "head.classifier": "head.fc"}
    shapes = {
        "head.dense.0.weight": (HIDDEN, head.channels, *head.size),
        "head.dense.1.weight": (HIDDEN, HIDDEN, 1, 1),
    }
    return (
        Layout(library="torchvision", paths={**features, **torchvision}),
        Layout(library="timm", paths={**features, **timm}, shapes=shapes),
    )
