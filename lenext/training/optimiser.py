"""The optimiser of a recipe: torch's own, and that of LeCun et al. 1998."""

from __future__ import annotations

from typing import Any

from torch.optim import SGD, AdamW, Optimizer, RMSprop

from lenext.models import ImageClassifier
from lenext.training.freezing import rate_shares
from lenext.training.levenberg_marquardt import DiagonalLevenbergMarquardt
from lenext.training.recipes.recipe import Recipe

SQUARES = 0.9  # the share that RMSprop's mean of squares keeps, in the papers that use it


def make_optimiser(model: ImageClassifier, recipe: Recipe) -> Optimizer:
    """Return the recipe's optimiser for what is trained, now or later; norms and biases are not decayed.

    Each of its groups says in `share` at which share of the rate it is trained.
    """
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad or recipe.unfreeze]
    shares = rate_shares(model, recipe.layer_decay)
    groups: list[dict[str, Any]] = [
        {"params": [p for p in trainable if shares.get(p, 1.0) == share and (p.ndim > 1) == matrix], "share": share,
         "weight_decay": recipe.weight_decay if matrix else 0.0}
        for share in sorted({1.0, *shares.values()})
        for matrix in (True, False)
    ]  # fmt: skip
    groups = [group for group in groups if group["params"]]
    if recipe.optimizer == "adamw":
        return AdamW(groups, lr=recipe.lr, betas=(recipe.momentum, 0.999), fused=True)
    if recipe.optimizer == "rmsprop":
        return RMSprop(groups, lr=recipe.lr, alpha=SQUARES, eps=recipe.eps, momentum=recipe.momentum, foreach=True)
    if recipe.optimizer == "sdlm":
        return DiagonalLevenbergMarquardt(groups, lr=recipe.lr, damping=recipe.damping)
    nesterov = recipe.nesterov and recipe.momentum > 0
    return SGD(groups, lr=recipe.lr, momentum=recipe.momentum, nesterov=nesterov, foreach=True)
