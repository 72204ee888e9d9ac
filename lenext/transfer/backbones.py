"""Backbones: the networks that are asked for by name, each with weights of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lenext.classifier import Classifier, load
from lenext.errors import UserError
from lenext.files import exists
from lenext.models import lookup
from lenext.weights.catalog import is_tag, list_weights


@dataclass(frozen=True)
class Backbone:
    """What a user called a network, and where it is loaded from: `load(target, weights=weights)`."""

    called: str
    target: str
    weights: str | None

    def load(self, device: str = "auto") -> Classifier:
        """Return the network with its weights.

        Raises:
            UserError: weights that cannot be read, or do not fit.
        """
        return load(self.target, weights=self.weights, device=device)


def find_backbones(names: Sequence[str], weights: str | Path | None = None) -> list[Backbone]:
    """Return the backbones of these names, each a run folder, a model file, MODEL, MODEL:TAG or MODEL=WEIGHTS.

    `weights` are those of the only one; a MODEL without any has the first that `lenext.list_weights` has of it.

    Raises:
        UserError: no name, one that is given twice or means nothing, or weights for several.
    """
    if not names:
        raise UserError("no backbone is given; name some, such as resnet18,mobilenet_v2")
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"the backbone {name!r} is given twice; give it once")
    if weights is not None and len(names) > 1:
        raise UserError(
            f"weights {weights} are those of one network, and here are {len(names)}; give them as {names[0]}={weights}"
        )
    return [_found(name, None if weights is None else str(weights)) for name in names]


def _found(name: str, weights: str | None) -> Backbone:
    model, sign, own = name.partition("=")
    if sign and not exists(name):
        lookup(model)
        if not own:
            raise UserError(f"{name} says no weights; give {model}=FILE")
        return Backbone(model, model, _there(own))
    if weights is not None:
        lookup(name)
        return Backbone(name, name, _there(weights))
    if exists(name) or is_tag(name) or name.startswith("hub:"):
        return Backbone(name, name, None)
    lookup(name)
    published = list_weights(name)
    if not published:
        raise UserError(f"the catalog has no weights of {name}; give a file of some as {name}=FILE")
    return Backbone(published[0], published[0], None)


def _there(weights: str) -> str:
    """Return the weights' name; of a file that is not there nobody learns after the first network was judged."""
    if exists(weights) or is_tag(weights) or weights.startswith("hub:"):
        return weights
    raise UserError(
        f"there are no weights at {weights!r}; give a file, a run folder, hub:owner/name or a catalog's name"
    )
