"""The optimiser and the schedule of a recipe, from torch."""

from __future__ import annotations

import math

from torch import nn
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR

from lenext.training.recipes import Recipe

SHORTEST_CYCLE = 10  # steps; torch's cycle divides by zero below four, and a cosine does as well for so few


def make_optimiser(model: nn.Module, recipe: Recipe) -> Optimizer:
    """Return the recipe's optimiser; norms and biases are not decayed."""
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trainable if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in trainable if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if recipe.optimizer == "adamw":
        return AdamW(groups, lr=recipe.lr, betas=(recipe.momentum, 0.999), fused=True)
    return SGD(groups, lr=recipe.lr, momentum=recipe.momentum, nesterov=recipe.momentum > 0)


def make_schedule(optimiser: Optimizer, recipe: Recipe, steps: int) -> LRScheduler:
    """Return the schedule over `steps` steps: from a rise to `recipe.lr` down to nearly nothing."""
    if recipe.schedule == "onecycle" and steps >= SHORTEST_CYCLE:
        warmup = max(recipe.warmup, 2 / steps)
        return OneCycleLR(optimiser, recipe.lr, total_steps=steps, pct_start=warmup, cycle_momentum=False)
    rise = round(recipe.warmup * steps)

    def share(step: int) -> float:
        if step < rise:
            return (step + 1) / (rise + 1)
        return 0.5 + 0.5 * math.cos(math.pi * (step - rise) / (steps - rise))

    return LambdaLR(optimiser, share)
