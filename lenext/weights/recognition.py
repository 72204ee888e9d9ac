"""Recognition: which architectures of the registry a checkpoint fits, told by the names and shapes of its tensors."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from lenext.errors import UserError
from lenext.models import ImageClassifier, list_models, lookup
from lenext.models.skeleton import Skeleton
from lenext.registry import Entry
from lenext.weights.adapting import CLASSIFIER
from lenext.weights.foreign import known_layouts
from lenext.weights.loading import answering

ALIKE = 2.0  # how many times more or fewer parameters a model may have that is looked at
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
MOST = 4
COUNTED = 2  # how many times more or fewer tensors a file may have that is compared: some count batches, some do not


def models_that_fit(tensors: Mapping[str, Tensor], but: str = "") -> list[str]:
    """Return the architectures that have these tensors, as `name (library)`, whatever the classes and channels.

    The one called `but` is not looked at.
    """
    count = sum(tensor.numel() for name, tensor in tensors.items() if not name.endswith(STATISTICS))
    entries = [lookup(name) for name in list_models() if name != but]
    near = [entry for entry in entries if count and 1 / ALIKE < entry.facts.params / count < ALIKE]
    near.sort(key=lambda entry: abs(entry.facts.params - count))
    found = []
    for entry in near:
        library = _library(entry, tensors)
        if library is not None:
            found.append(f"{entry.name} ({library})")
        if len(found) == MOST:
            break
    return found


def _library(entry: Entry, tensors: Mapping[str, Tensor]) -> str | None:
    """Return the library in whose layout the tensors are those of the architecture, or None."""
    facts = entry.facts
    size = {"size": (facts.size, facts.size)} if facts.size_bound else {}
    with Skeleton():
        model: ImageClassifier = entry.build(classes=facts.classes, in_channels=facts.channels, **size)
    own, free = model.state_dict(), f"{model.first_convolution}.weight"
    needed = answering(model, own).keys()
    if not len(needed) / COUNTED <= len(tensors) <= len(own) * COUNTED:
        return None
    for library, layout in known_layouts(model).items():
        read = layout.read(model, tensors).tensors
        if not needed <= read.keys() <= own.keys():
            continue
        rows = {tensor.shape[:1] for name, tensor in read.items() if name.startswith(CLASSIFIER)}
        if len(rows) == 1 and all(_alike(read[name], own[name], name, free) for name in needed):
            return library
    return None


def _alike(found: Tensor, own: Tensor, name: str, free: str) -> bool:
    """Say whether two shapes agree, but for the classes of the classifier and the channels of the image."""
    first, second = list(found.shape), list(own.shape)
    if len(first) == len(second) and first:
        if name.startswith(CLASSIFIER):
            first[0] = second[0]
        if name == free and len(first) > 1:
            first[1] = second[1]
    return first == second


def refused(error: UserError, tensors: Mapping[str, Tensor], name: str) -> UserError:
    """Return the error of a checkpoint that does not fit the architecture `name`, with those that it does fit."""
    names = models_that_fit(tensors, but=name)
    return UserError(f"{error}; it fits {' or '.join(names)}") if names else error
