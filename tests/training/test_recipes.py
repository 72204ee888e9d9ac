from __future__ import annotations

import dataclasses
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lenext.errors import UserError
from lenext.training.recipes import Recipe, Situation, make_recipe, recipe_names, remarks


@pytest.mark.parametrize("name", recipe_names())
@given(
    images=st.integers(1, 2_000_000),
    size=st.tuples(st.integers(1, 4000), st.integers(1, 4000)),
    grey=st.booleans(),
    pretrained=st.booleans(),
)
def test_every_recipe_suits_any_situation(
    name: str, images: int, size: tuple[int, int], grey: bool, pretrained: bool
) -> None:
    situation = Situation(train_images=images, size=size, grey=grey, pretrained=pretrained)
    recipe = make_recipe(name, situation, {})
    assert recipe.name == name
    assert recipe.epochs >= 1
    assert recipe.batch_size >= 1


def test_recipes_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        make_recipe("default", Situation(train_images=100), {}).lr = 1.0  # type: ignore[misc]


def test_small_sets_get_more_epochs() -> None:
    assert make_recipe("default", Situation(train_images=60_000), {}).epochs == 5
    small = make_recipe("default", Situation(train_images=100, grey=True), {})
    delicate = Situation(train_images=100, lr_scale=0.1, grey=True)
    assert make_recipe("default", delicate, {}).lr == pytest.approx(small.lr / 10)
    assert make_recipe("default", delicate, {"lr": 0.5}).lr == 0.5
    assert small.epochs * (100 / small.batch_size) >= 600


def test_overrides_are_read_as_the_fields_type() -> None:
    recipe = make_recipe(
        "default", Situation(train_images=100), {"epochs": "3", "lr": "1e-2", "optimizer": "sgd", "batch_size": 7}
    )
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
        ({"optimizer": "adam"}, "optimizer 'adam' cannot be: give adamw, sgd, rmsprop or sdlm"),
        ({"schedule": "steps"}, "schedule 'steps' cannot be"),
        ({"schedule": "step"}, "schedule 'step' has no step to take: give milestones"),
        ({"label_smoothing": 1.0}, "label_smoothing 1.0 cannot be"),
        ({"damping": 0}, "damping 0.0 cannot be: give above 0"),
    ],
)
def test_unknown_keys_and_wrong_values_fail(overrides: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        make_recipe("default", Situation(train_images=100), overrides)


def test_the_rate_follows_the_images_that_a_step_has() -> None:
    many, few = Situation(train_images=100_000), Situation(train_images=1_024)
    assert make_recipe("convnext", many, {}).lr == pytest.approx(4e-3)
    assert make_recipe("convnext", many, {"batch_size": 512}).lr == pytest.approx(5e-4)
    assert make_recipe("convnext", few, {}).lr == pytest.approx(1e-3)
    assert make_recipe("convnext", few, {"batch_size": 10**400}).lr == pytest.approx(1e-3)
    assert make_recipe("resnet", few, {}).lr == make_recipe("resnet", many, {}).lr, "which scales with nothing"


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        ({}, []),
        ({"milestones": "0.5", "factors": "0.1", "schedule": "step", "optimizer": "sgd", "nesterov": "yes"}, []),
        ({"nesterov": "yes"}, ["nesterov does nothing with optimizer adamw; optimizer sgd would use it"]),
        ({"padding": 3}, ["padding does nothing with crop inception; crop pad or translate would use it"]),
        ({"magnitude": 5}, ["magnitude does nothing without randaugment"]),
        ({"magnitude": 5, "randaugment": 1}, []),
        ({"eps": 1, "optimizer": "rmsprop"}, []),
        ({"class_weights": "balanced", "sampling": "balanced"}, [
            "class_weights and sampling are both balanced, which makes up twice for what a class lacks"
        ]),
        ({"momentum": 0.5, "optimizer": "sdlm"}, [
            "momentum does nothing with optimizer sdlm; optimizer sgd or adamw or rmsprop would use it"
        ]),
    ],
)  # fmt: skip
def test_values_that_do_nothing_are_told(overrides: dict[str, Any], told: list[str]) -> None:
    assert remarks(make_recipe("default", Situation(train_images=5000), overrides), overrides) == told


def test_an_unknown_recipe_lists_those_there_are() -> None:
    with pytest.raises(UserError, match="no recipe is called 'xyz'; there are default, sgd, cifar_fast"):
        make_recipe("xyz", Situation(train_images=100), {})


def test_the_recipe_has_no_field_without_an_effect() -> None:
    """Every field is read by the training's own modules, not only by the recipes."""
    from pathlib import Path

    import lenext.training.loop as loop

    code = "".join(path.read_text() for path in Path(str(loop.__file__)).parent.rglob("*.py"))
    for field in dataclasses.fields(Recipe):
        assert re.search(rf"(recipe|made)\.{field.name}\b", code), field.name
