"""`grow`: a deeper VGG that starts from the weights of a shallower one.

Simonyan and Zisserman 2014 (https://arxiv.org/abs/1409.1556, section 3.1) could not train their deeper
configurations from random weights, and started them from the trained configuration A.
"""

from __future__ import annotations

from typing import Literal, cast, get_args

import torch
from torch import nn

from lenext.creation import create
from lenext.errors import UserError
from lenext.models import ImageClassifier, lookup
from lenext.models.vgg import VGG

How = Literal["paper", "identity"]
COPIED = 4  # convolutions that the paper copies


def require_how(how: str) -> None:
    """Raise UserError where there is no such way to grow."""
    if how not in get_args(How):
        raise UserError(f"nothing grows by {how!r}; give {' or '.join(get_args(How))}")


@torch.no_grad()
def grow(model: ImageClassifier, to: str, *, how: How = "paper") -> ImageClassifier:
    """Return the deeper VGG `to` with weights of `model`, which stays as it is.

        shallow = lenext.create("vgg11", classes=10, size=32)
        deep = lenext.grow(shallow, "vgg13", how="identity")

    `paper` copies the first four convolutions, with their norms, and the dense layers; the others are drawn as
    `lenext.create` draws them. `identity` copies every layer; a convolution that is added stands after those of its
    stage and starts as the identity, which the ReLU before it makes exact: `to` answers as `model` does. Classes,
    channels, size and options are those of `model`, as are device, kind of number and mode.

    Raises:
        UserError: no such way; no VGG that `lenext.create` built; a `to` that is no deeper VGG, or has other norms or
            kernels; batch normalisation with `identity`.
    """
    require_how(how)
    spec = model.spec if isinstance(model, ImageClassifier) else None
    if not isinstance(model, VGG) or spec is None:
        name = spec.name if spec else f"{type(model).__name__} that was built by hand"
        raise UserError(f"a {name} cannot grow; give a VGG that lenext.create or lenext.load built")
    if lookup(to).family != lookup(spec.name).family:
        raise UserError(f"{spec.name} cannot grow into {to}; give a deeper VGG, such as vgg19")
    grown = cast(VGG, create(to, classes=spec.classes, in_channels=spec.in_channels, size=spec.size, **spec.options))
    _require_growable(model, spec.name, grown, to, how)
    grown.to(next(model.parameters()))  # the same device and kind of number, before anything is copied
    copied = 0
    for ours, theirs in zip(model.convolutions(), grown.convolutions(), strict=True):
        for number, layer in enumerate(theirs):
            if number < len(ours) and (how == "identity" or copied < COPIED):
                layer.load_state_dict(ours[number].state_dict())
                copied += 1
            elif how == "identity":
                nn.init.dirac_(layer.conv.weight)
                nn.init.zeros_(cast(nn.Parameter, layer.conv.bias))
    grown.head.load_state_dict(model.head.state_dict())
    return grown.train(model.training)


def _require_growable(model: VGG, name: str, grown: VGG, to: str, how: How) -> None:
    if model.norm != grown.norm:
        raise UserError(f"{name} and {to} differ in their norms; grow {name} into a deeper model of its own kind")
    if model.norm == "batch" and how == "identity":
        raise UserError(
            f"{name} is batch-normalised: in training an added layer would change what it passes on; grow it by 'paper'"
        )
    pairs = list(zip(model.kernels, grown.kernels, strict=True))
    more = [len(theirs) - len(ours) for ours, theirs in pairs]
    if min(more) < 0 or not any(more):
        raise UserError(f"{to} is not deeper than {name}; give a deeper VGG, such as vgg19")
    kept = [side for stage in pairs for side in zip(*stage, strict=False)]
    if how == "paper":
        kept = kept[:COPIED]
    if any(ours != theirs for ours, theirs in kept):
        raise UserError(
            f"{name} and {to} differ in the kernels of layers that both have; grow by 'paper', or start anew"
        )
