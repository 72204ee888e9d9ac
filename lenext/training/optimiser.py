"""The optimiser of a recipe: torch's own, and that of LeCun et al. 1998."""

from __future__ import annotations

from torch import nn
from torch.optim import SGD, AdamW, Optimizer, RMSprop

from lenext.training.levenberg_marquardt import DiagonalLevenbergMarquardt
from lenext.training.recipes.recipe import Recipe

SQUARES = 0.9  # the share that RMSprop's mean of squares keeps, in the papers that use it


def make_optimiser(model: nn.Module, recipe: Recipe) -> Optimizer:
    """Return the recipe's optimiser; norms and biases are not decayed."""
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trainable if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in trainable if p.ndim <= 1], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if recipe.optimizer == "adamw":
        return AdamW(groups, lr=recipe.lr, betas=(recipe.momentum, 0.999), fused=True)
    if recipe.optimizer == "rmsprop":
        return RMSprop(groups, lr=recipe.lr, alpha=SQUARES, eps=recipe.eps, momentum=recipe.momentum, foreach=True)
    if recipe.optimizer == "sdlm":
        return DiagonalLevenbergMarquardt(groups, lr=recipe.lr, damping=recipe.damping)
    nesterov = recipe.nesterov and recipe.momentum > 0
    return SGD(groups, lr=recipe.lr, momentum=recipe.momentum, nesterov=nesterov, foreach=True)
