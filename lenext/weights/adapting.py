"""Adapting weights: a new head for other classes, a first convolution for other channels. Nothing else gives way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from lenext.errors import UserError
from lenext.models import ImageClassifier
from lenext.weights.classes import ClassList

CLASSIFIER = "head.classifier."


def classes_of(model: ImageClassifier, tensors: Mapping[str, Tensor]) -> int | None:
    """Return how many classes the tensors of `model` tell apart, or None where its classifier is not among them."""
    rows = [tensors[name].shape[0] for name in _classifier(model) if name in tensors and tensors[name].ndim]
    return rows[0] if rows else None


def channels_of(model: ImageClassifier, tensors: Mapping[str, Tensor]) -> int | None:
    """Return how many channels the images have that the tensors of `model` are for, or None where that is not told."""
    first = _first_weight(model)
    return tensors[first].shape[1] if first in tensors and tensors[first].ndim > 1 else None


def adapt(
    model: ImageClassifier, tensors: Mapping[str, Tensor], kept: Sequence[int | None] | None
) -> dict[str, Tensor]:
    """Return `tensors` as `model` takes them, which differs from their own model in classes and channels alone.

    Row i of the new head is row `kept[i]` of the old one, or as the model has it where that is None; where `kept` is
    None, the head stays. A grey image sees the sum over the old channels; more channels repeat the old ones, each
    scaled by old over new, so that a grey image in all of them answers as before. What only training uses is left as
    the model has it where the classes differ.

    Raises:
        UserError: other channels, and no convolution that sees them.
    """
    own = model.state_dict()
    adapted = dict(tensors)
    first = _first_weight(model)
    if first in adapted and adapted[first].shape[1] != own[first].shape[1]:
        adapted[first] = with_channels(adapted[first], own[first].shape[1])
    if kept is None:
        return adapted
    aside = tuple(f"{path}." for path in model.training_only)
    adapted = {name: tensor for name, tensor in adapted.items() if not (aside and name.startswith(aside))}
    rows = torch.tensor([new for new, old in enumerate(kept) if old is not None], dtype=torch.long)
    sources = torch.tensor([old for old in kept if old is not None], dtype=torch.long)
    for name in _classifier(model):
        head = own[name].clone()
        head[rows] = adapted[name][sources].to(head)
        adapted[name] = head
    return adapted


def without_dropped(model: ImageClassifier, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return `tensors` of the whole network as `model` takes them, which lacks its last stages and has a new head."""
    own = model.state_dict()
    return {
        **{name: tensor for name, tensor in own.items() if name.startswith("head.")},
        **{name: tensor for name, tensor in tensors.items() if name in own and not name.startswith("head.")},
    }


def rows_kept(count: int, old: ClassList | None, new: Sequence[str] | int) -> list[int | None] | None:
    """Return which row of an old head of `count` classes each of the `new` ones keeps; None where all stays as it is.

    They are told by name; where the `old` ones are unknown, or the new ones a mere number, no row is kept unless the
    classes are the same number of unnamed ones.
    """
    if isinstance(new, int):
        return None if count == new else [None] * new
    found = [old.place_or_none(name) if old else None for name in new]
    return None if found == list(range(count)) else found


def with_channels(weight: Tensor, channels: int) -> Tensor:
    """Return a convolution's weight, (maps, channels, height, width), for another number of channels."""
    before = weight.shape[1]
    if channels == 1:
        return weight.sum(1, keepdim=True)
    return weight.repeat(1, -(-channels // before), 1, 1)[:, :channels] * (before / channels)


def require_adaptable(model: ImageClassifier, where: str, found: int, wanted: int) -> None:
    """Raise UserError where `model` has no convolution that sees the image's channels."""
    if found != wanted and model.first_convolution is None:
        raise UserError(f"{where} is for {found} channels, not {wanted}, and its model has no convolution to adapt")


def _classifier(model: ImageClassifier) -> list[str]:
    return [name for name in model.state_dict() if name.startswith(CLASSIFIER)]


def _first_weight(model: ImageClassifier) -> str:
    return f"{model.first_convolution}.weight"
