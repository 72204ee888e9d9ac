"""Key maps: what other libraries call the tensors of our models, one family a file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lenext.models import ImageClassifier
from lenext.models.alexnet import AlexNet
from lenext.models.googlenet import GoogLeNet
from lenext.models.vgg import VGG
from lenext.weights.keymaps import alexnet, googlenet, vgg
from lenext.weights.keymaps.layout import Layout

FAMILIES: dict[type[ImageClassifier], Callable[[Any], tuple[Layout, ...]]] = {
    AlexNet: alexnet.layouts,
    VGG: vgg.layouts,
    GoogLeNet: googlenet.layouts,
}


def layouts(model: ImageClassifier) -> tuple[Layout, ...]:
    """Return every other library's layout of this very model; none for a family that has no key map."""
    family = FAMILIES.get(type(model))
    return family(model) if family else ()
