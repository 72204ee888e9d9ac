"""Recipes: how to train, as functions that return frozen values. A variant is another recipe."""

import lenext.training.recipes.early
import lenext.training.recipes.efficient
import lenext.training.recipes.general
import lenext.training.recipes.residual  # noqa: F401
from lenext.training.recipes.making import (
    TINY_FORM,
    About,
    Reached,
    about,
    description,
    make_recipe,
    recipe_names,
    remarks,
)
from lenext.training.recipes.recipe import Recipe
from lenext.training.recipes.situation import Situation

__all__ = [
    "TINY_FORM",
    "About",
    "Reached",
    "Recipe",
    "Situation",
    "about",
    "description",
    "make_recipe",
    "recipe_names",
    "remarks",
]
