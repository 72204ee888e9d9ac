"""Frozen parts: which a recipe freezes at the start, and which of them are free again after a share of the training.

Gradual unfreezing, from the head down to the stem, is that of Howard and Ruder 2018, https://arxiv.org/abs/1801.06146.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from lenext.errors import UserError
from lenext.models import ImageClassifier
from lenext.models.parts import CLASSIFIER, parts_of
from lenext.training.recipes.recipe import Recipe

AT_FIRST = "all but head"  # what gradual unfreezing begins with where nothing else is said
ROUNDING = 1e-9  # of shares, which are sums of many


def freeze_at_start(model: ImageClassifier, recipe: Recipe) -> None:
    """Freeze the parts that the recipe says.

    Raises:
        UserError: the model has no such part, or nothing would be left to train.
    """
    if recipe.unfreeze and not recipe.freeze and not model.stages:
        raise UserError(f"unfreeze {recipe.unfreeze:g} has nothing to free: {model.name} is all head; leave it out")
    parts = recipe.freeze or (AT_FIRST if recipe.unfreeze else "")
    if parts:
        model.freeze(parts)


def parts_free_again(frozen: Sequence[str], recipe: Recipe, done: float) -> int:
    """Return how many of the parts `frozen` at the start are free again once the share `done` of the training is."""
    if not recipe.unfreeze:
        return 0
    return min(len(frozen), int(len(frozen) * done / recipe.unfreeze + ROUNDING))


def is_head_alone(model: ImageClassifier) -> bool:
    """Say whether nothing but the last layer is trained."""
    last = {id(weight) for weight in model.head.classifier.parameters()}
    return all(id(weight) in last for weight in model.parameters() if weight.requires_grad)


def never_trained(model: ImageClassifier) -> list[str]:
    """Return the paths of the modules before the first weight that is trained, which no gradient reaches."""
    paths: list[str] = []
    names = {module: name for name, module in model.named_modules()}
    for modules in parts_of(model).values():
        if any(weight.requires_grad for module in modules for weight in module.parameters()):
            break
        paths += [names[module] for module in modules]
    return paths


def rate_shares(model: ImageClassifier, decay: float) -> dict[nn.Parameter, float]:
    """Return the share of the rate that each weight is trained at: `decay` times that of the part after it.

    The head is trained at the whole rate, the last stage at `decay` of it, and so on to the stem: Howard and Ruder
    2018, whose layers are parts here.
    """
    shares: dict[nn.Parameter, float] = {}
    parts = parts_of(model)
    backbone = [part for part in parts if part not in ("head", CLASSIFIER, "auxiliary")]
    for part, modules in parts.items():
        share = decay ** (len(backbone) - backbone.index(part)) if part in backbone else 1.0
        shares |= {weight: share for module in modules for weight in module.parameters()}
    return shares
