from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lenext.errors import UserError
from lenext.training.recipes import RECIPES, Recipe, make_recipe


@pytest.mark.parametrize("name", RECIPES)
@given(images=st.integers(1, 2_000_000))
def test_every_recipe_suits_any_number_of_images(name: str, images: int) -> None:
    recipe = make_recipe(name, images, {})
    assert recipe.name == name
    assert 1 <= recipe.epochs <= 100
    assert 1 <= recipe.batch_size <= max(2, images)


def test_recipes_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        make_recipe("default", 100, {}).lr = 1.0  # type: ignore[misc]


def test_small_sets_get_more_epochs() -> None:
    assert make_recipe("default", 60_000, {}).epochs == 5
    small = make_recipe("default", 100, {})
    assert make_recipe("default", 100, {}, lr_scale=0.1).lr == pytest.approx(small.lr / 10)
    assert make_recipe("default", 100, {"lr": 0.5}, lr_scale=0.1).lr == 0.5
    assert small.epochs * (100 / small.batch_size) >= 600


def test_overrides_are_read_as_the_fields_type() -> None:
    recipe = make_recipe("default", 100, {"epochs": "3", "lr": "1e-2", "optimizer": "sgd", "batch_size": 7})
    assert (recipe.epochs, recipe.lr, recipe.optimizer, recipe.batch_size) == (3, 0.01, "sgd", 7)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"learning_rate": 1}, "a recipe has no 'learning_rate'"),
        ({"epoch": 1}, "did you mean epochs?"),
        ({"name": "mine"}, "a recipe has no 'name'"),
        ({"epochs": "many"}, "epochs 'many' is not a whole number"),
        ({"epochs": 1.5}, "epochs 1.5 is not a whole number"),
        ({"epochs": True}, "epochs True is not a whole number"),
        ({"epochs": 0}, "epochs 0 cannot be: give at least 1"),
        ({"batch_size": -1}, "batch_size -1 cannot be"),
        ({"lr": "fast"}, "lr 'fast' is not a number"),
        ({"lr": "nan"}, "lr nan cannot be"),
        ({"lr": float("inf")}, "lr inf cannot be"),
        ({"momentum": 1}, "momentum 1.0 cannot be"),
        ({"optimizer": "adam"}, "optimizer 'adam' cannot be: give adamw or sgd"),
        ({"schedule": "step"}, "schedule 'step' cannot be"),
        ({"label_smoothing": 1.0}, "label_smoothing 1.0 cannot be"),
    ],
)
def test_unknown_keys_and_wrong_values_fail(overrides: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        make_recipe("default", 100, overrides)


def test_an_unknown_recipe_lists_those_there_are() -> None:
    with pytest.raises(UserError, match="no recipe is called 'best'; there are default, sgd"):
        make_recipe("best", 100, {})


def test_the_recipe_has_no_field_without_an_effect() -> None:
    """Every field but the two words is read by the optimiser, the schedule or the loop."""
    from pathlib import Path

    import lenext.training.loop as loop

    folder = Path(str(loop.__file__)).parent
    code = "".join((folder / name).read_text() for name in ("loop.py", "optimiser.py", "run.py"))
    for field in dataclasses.fields(Recipe):
        assert f"recipe.{field.name}" in code, field.name
