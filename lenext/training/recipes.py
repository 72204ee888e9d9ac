"""Recipes: how to train, as functions that return frozen values. A variant is another recipe."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_type_hints

from lenext.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How to train; `warmup` is the share of the steps in which the rate rises."""

    name: str
    epochs: int
    batch_size: int
    optimizer: Literal["adamw", "sgd"]
    lr: float
    weight_decay: float
    momentum: float
    schedule: Literal["onecycle", "cosine"]
    warmup: float
    label_smoothing: float

    def __post_init__(self) -> None:
        """Refuse what cannot be trained with."""
        self._require(self.epochs >= 1, "epochs", "at least 1")
        self._require(self.batch_size >= 1, "batch_size", "at least 1")
        self._require(0 < self.lr < float("inf"), "lr", "above 0")
        self._require(0 <= self.weight_decay < float("inf"), "weight_decay", "at least 0")
        self._require(0 <= self.momentum < 1, "momentum", "from 0 up to, not including, 1")
        self._require(0 <= self.warmup < 1, "warmup", "from 0 up to, not including, 1")
        self._require(0 <= self.label_smoothing < 1, "label_smoothing", "from 0 up to, not including, 1")
        self._require(self.optimizer in ("adamw", "sgd"), "optimizer", "adamw or sgd")
        self._require(self.schedule in ("onecycle", "cosine"), "schedule", "onecycle or cosine")

    def _require(self, sound: bool, field: str, wanted: str) -> None:
        if not sound:
            raise UserError(f"{field} {getattr(self, field)!r} cannot be: give {wanted}")


def default(train_images: int) -> Recipe:
    """AdamW, one cycle (Smith and Topin 2017, https://arxiv.org/abs/1708.07120).

    `lenext train mnist --model lenet5 --epochs 1`: figures measured here stand in docs/LOG.md.
    """
    batch_size = 32 if train_images >= 320 else max(2, train_images // 10)
    steps_an_epoch = -(-train_images // batch_size)
    epochs = min(max(5, -(-600 // steps_an_epoch)), 100)
    return Recipe(
        name="default",
        epochs=epochs,
        batch_size=batch_size,
        optimizer="adamw",
        lr=3e-3,
        weight_decay=0.01,
        momentum=0.9,
        schedule="onecycle",
        warmup=0.3,
        label_smoothing=0.1,
    )


def sgd(train_images: int) -> Recipe:
    """SGD with Nesterov momentum and a cosine (Loshchilov and Hutter 2016, https://arxiv.org/abs/1608.03983)."""
    return dataclasses.replace(
        default(train_images),
        name="sgd",
        optimizer="sgd",
        lr=0.05,
        weight_decay=5e-4,
        schedule="cosine",
        warmup=0.05,
        label_smoothing=0.0,
    )


RECIPES: dict[str, Callable[[int], Recipe]] = {"default": default, "sgd": sgd}


def make_recipe(name: str, train_images: int, overrides: Mapping[str, Any], *, lr_scale: float = 1.0) -> Recipe:
    """Return the recipe `name` for so many training images, with `overrides` in place of its own values.

    `lr_scale` is how much of the recipe's learning rate the network bears; a rate in `overrides` is taken as it is.

    Overrides given as text, as on the command line, are read as the field's type.

    Raises:
        UserError: no such recipe or field, or a value of the wrong type or out of range.
    """
    if name not in RECIPES:
        raise UserError(f"no recipe is called {name!r}; there are {', '.join(RECIPES)}")
    kinds = get_type_hints(Recipe)
    settable = [field.name for field in dataclasses.fields(Recipe) if field.name != "name"]
    values = {}
    for key, value in overrides.items():
        if key not in settable:
            close = difflib.get_close_matches(key, settable, n=2)
            hint = f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(settable)}"
            raise UserError(f"a recipe has no {key!r}; {hint}")
        values[key] = _as_kind(key, value, kinds[key])
    recipe = RECIPES[name](train_images)
    return dataclasses.replace(recipe, **{"lr": recipe.lr * lr_scale, **values})


def _as_kind(key: str, value: Any, kind: Any) -> Any:
    wanted = {int: "a whole number", float: "a number"}.get(kind, "a word")
    try:
        if isinstance(value, bool):
            raise ValueError
        if kind is int:
            return int(value) if isinstance(value, str) else _whole(value)
        if kind is float:
            return float(value)
    except (TypeError, ValueError) as error:
        raise UserError(f"{key} {value!r} is not {wanted}") from error
    return value


def _whole(value: Any) -> int:
    if value != int(value):
        raise ValueError
    return int(value)
