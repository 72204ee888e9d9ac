"""The learning rate in the course of training, as a share of its height."""

from __future__ import annotations

import math

from lenext.training.recipes.recipe import Recipe

CYCLE_START, CYCLE_END = 1 / 25, 1e-4 / 25  # of the height of one cycle
FIRST_STEPS = 2  # in which one cycle rises at least


def rate_share(recipe: Recipe, done: float, steps: int) -> float:
    """Return the share of the recipe's rate at a step before which the share `done` of about `steps` was done."""
    warmup = max(recipe.warmup, FIRST_STEPS / steps if recipe.schedule == "onecycle" else 0.0)
    if done < warmup:
        return _rising(recipe, done / warmup, warmup * steps)
    after = (done - warmup) / (1 - warmup) if warmup < 1 else 1.0
    if recipe.schedule == "onecycle":
        return CYCLE_END + (1 - CYCLE_END) * _cosine(after)
    if recipe.schedule == "cosine":
        return _cosine(after)
    if recipe.schedule == "linear":
        return 1 - after
    reached = done + 0.5 / steps  # a sum of shares may fall short of a milestone by its rounding
    if recipe.schedule == "exponential":
        return float(recipe.decay ** math.floor(reached * recipe.epochs / recipe.decay_epochs))
    if recipe.schedule == "step":
        passed = sum(reached >= at for at in recipe.milestones)
        return (1.0, *recipe.factors)[passed]
    return 1.0


def _rising(recipe: Recipe, done: float, steps: float) -> float:
    if recipe.schedule == "onecycle":
        return CYCLE_START + (1 - CYCLE_START) * (1 - _cosine(done))
    if recipe.warmup_shape == "constant":
        return recipe.warmup_start
    first = max(recipe.warmup_start, 1 / (steps + 1))  # a rate of nothing would make no step
    return first + (1 - first) * done


def _cosine(done: float) -> float:
    return 0.5 + 0.5 * math.cos(math.pi * done)
