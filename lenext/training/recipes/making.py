"""The register of recipes, and how one is made for a situation with some of its values replaced."""

from __future__ import annotations

import dataclasses
import difflib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

from lenext.data.augmentation.augmentation import Augmentation
from lenext.errors import UserError
from lenext.models import lookup
from lenext.registry import paper_address
from lenext.training.recipes.recipe import Recipe
from lenext.training.recipes.situation import Situation

Make = Callable[[Situation], Recipe]
TINY = ":tiny"  # ends the name of a recipe's small form
PAPER = "paper"  # the recipe of the paper that the model is from


@dataclass(frozen=True, kw_only=True)
class Reached:
    """What was reached with a recipe: the top-1 accuracy in percent, of which model on which data."""

    top1: float
    model: str
    data: str
    source: Literal["published", "measured here"]
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class About:
    """What is known of a recipe: its paper, the command that follows it, what came of it, and its small form.

    `models` are those that the paper trained by it. `tiny` are the values of the small form, which `tiny_command`
    trains on two cores in a minute. A `general` recipe is for any network, and takes the share of its rate that each
    one bears. One that `compares` depends on how much the task is like that of the weights to start from.
    """

    title: str
    paper: str = ""
    models: tuple[str, ...] = ()
    command: str
    reached: tuple[Reached, ...] = ()
    tiny: Mapping[str, Any]
    tiny_command: str
    general: bool = False
    compares: bool = False

    @property
    def paper_url(self) -> str:
        """The paper's address."""
        return paper_address(self.paper)


TINY_FORM = "tiny form"  # the note of figures that say nothing of the recipe's own


def tiny_form(model: str, top1: float) -> Reached:
    """Return what the small form of a recipe reached here, by its command, on the digits held out."""
    return Reached(top1=top1, model=model, data="digits", source="measured here", note=TINY_FORM)


_RECIPES: dict[str, tuple[About, Make]] = {}


def recipe(about: About) -> Callable[[Make], Make]:
    """Register a recipe under the name of its function."""

    def add(make: Make) -> Make:
        name = make.__name__
        if name in _RECIPES:
            raise ValueError(f"the recipe {name} is registered twice")
        _RECIPES[name] = (about, make)
        return make

    return add


def recipe_names() -> list[str]:
    """Return the names of all recipes, those for any network first."""
    return sorted(_RECIPES, key=lambda name: not _RECIPES[name][0].general)


def about(name: str) -> About:
    """Return what is known of a recipe, by its name or that of its small form.

    Raises:
        UserError: no such recipe.
    """
    return _lookup(name)[0]


def description(name: str) -> str:
    """Return what a recipe does, in words."""
    return inspect.cleandoc(_lookup(name)[1].__doc__ or "")


def make_recipe(name: str, situation: Situation, overrides: Mapping[str, Any]) -> Recipe:
    """Return the recipe `name` for a situation, with `overrides` in place of its own values.

    `name` may end in `:tiny`, and `paper` is the recipe of the paper that the model is from. Overrides given as text,
    as on the command line, are read as the field's type.

    Raises:
        UserError: no such recipe or field, or a value of the wrong type or out of range.
    """
    if name.removesuffix(TINY) == PAPER:
        name = name.replace(PAPER, _of_paper(situation.model), 1)
    known, make = _lookup(name)
    values = {key: _as_kind(key, value, KINDS[_settable(key)]) for key, value in overrides.items()}
    made = make(situation)
    small = dict(known.tiny) if name.endswith(TINY) else {}
    if "freeze" in values:  # what a user freezes stays so, whatever the recipe would have done
        values.setdefault("unfreeze", 0.0)
    made = _replaced(dataclasses.replace(made, name=name), {**small, **values})
    if made.why and (given := [key for key in WAYS if key in overrides]):
        made = dataclasses.replace(made, why=f"{made.why}; but {' and '.join(given)} as given")
    if "lr" in {**small, **values}:
        return made
    borne = situation.lr_scale if known.general else 1.0
    step = min(made.batch_size, max(1, situation.train_images))  # images that a step has
    scale = borne * (step / made.lr_batch if made.lr_batch else 1.0)
    why = f"{made.why}; at {borne:g} of its rate, for {situation.model} bears no more" if borne != 1 else made.why
    return dataclasses.replace(made, lr=made.lr * scale, why=why.removeprefix("; "))


WAYS = ("freeze", "unfreeze", "drop_stages", "layer_decay")  # what a recipe may choose by the weights it starts from

# What values of a recipe another one has to be for them to do anything.
NEEDS: dict[str, tuple[str, tuple[Any, ...]]] = {
    "milestones": ("schedule", ("step",)),
    "factors": ("schedule", ("step",)),
    "decay": ("schedule", ("exponential",)),
    "decay_epochs": ("schedule", ("exponential",)),
    "warmup_start": ("schedule", ("constant", "cosine", "linear", "step", "exponential")),
    "warmup_shape": ("schedule", ("constant", "cosine", "linear", "step", "exponential")),
    "nesterov": ("optimizer", ("sgd",)),
    "momentum": ("optimizer", ("sgd", "adamw", "rmsprop")),
    "eps": ("optimizer", ("rmsprop",)),
    "damping": ("optimizer", ("sdlm",)),
    "padding": ("crop", ("pad", "translate")),
    "scale": ("crop", ("random",)),
    "area": ("crop", ("inception",)),
}
STRENGTHS = ("randaugment_probability", "magnitude", "magnitude_std")  # of RandAugment


def remarks(made: Recipe, overrides: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each value that was given and does nothing in the recipe, or too much."""
    values = {**vars(made.augmentation), **vars(made)}
    told = [
        f"{key} does nothing with {other} {values[other]}; {other} {' or '.join(wanted)} would use it"
        for key, (other, wanted) in NEEDS.items()
        if key in overrides and values[other] not in wanted
    ]
    strengths = STRENGTHS if not made.augmentation.randaugment else ()
    told += [f"{key} does nothing without randaugment" for key in strengths if key in overrides]
    if made.class_weights == made.sampling == "balanced":
        told.append("class_weights and sampling are both balanced, which makes up twice for what a class lacks")
    return told


def _of_paper(model: str) -> str:
    found = next((name for name, (about, _) in _RECIPES.items() if model in about.models), None)
    if found is None:
        if not model:
            raise UserError("which paper? Name its recipe, such as resnet, or give --model")
        family = lookup(model).family
        known = [each for about, _ in _RECIPES.values() for each in about.models if lookup(each).family == family]
        hint = f"of its family there are those of {', '.join(known)}; else " if known else ""
        raise UserError(f"no recipe here is of the paper of {model}; {hint}give one of `lenext recipes`, as default")
    return found


def _lookup(name: str) -> tuple[About, Make]:
    found = _RECIPES.get(name.removesuffix(TINY))
    if found is None:
        close = difflib.get_close_matches(name, _RECIPES, n=2)
        hint = f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(recipe_names())}"
        raise UserError(f"no recipe is called {name!r}; {hint}")
    return found


KINDS: dict[str, Any] = {
    **{key: kind for key, kind in get_type_hints(Recipe).items() if key not in ("name", "why", "augmentation")},
    **get_type_hints(Augmentation),
}


def _settable(key: str) -> str:
    if key not in KINDS:
        close = difflib.get_close_matches(key, KINDS, n=2)
        hint = f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(KINDS)}"
        raise UserError(f"a recipe has no {key!r}; {hint}")
    return key


def _replaced(made: Recipe, values: Mapping[str, Any]) -> Recipe:
    """Return the recipe with other values, those of its augmentation among them."""
    of_images = {field.name for field in dataclasses.fields(Augmentation)}
    augmentation = dataclasses.replace(made.augmentation, **{k: v for k, v in values.items() if k in of_images})
    rest = {k: v for k, v in values.items() if k not in of_images}
    return dataclasses.replace(made, augmentation=augmentation, **rest)


def _as_kind(key: str, value: Any, kind: Any) -> Any:
    """Return a value as the field's type."""
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            words = get_args(kind)
            raise UserError(f"{key} {value!r} cannot be: give {', '.join(words[:-1])} or {words[-1]}")
        return value
    if get_origin(kind) is tuple:
        parts = value.split(",") if isinstance(value, str) else value
        if not isinstance(parts, list | tuple):
            raise UserError(f"{key} {value!r} is not numbers with commas between them")
        return tuple(_as_kind(key, part, float) for part in parts if part != "")
    wanted = {int: "a whole number", float: "a number", bool: "true or false", str: "words"}[kind]
    try:
        return _CONVERSIONS[kind](value)
    except (TypeError, ValueError, OverflowError) as error:
        raise UserError(f"{key} {value!r} is not {wanted}") from error


def _whole(value: Any) -> int:
    if isinstance(value, bool) or (not isinstance(value, str) and value != int(value)):
        raise ValueError
    return int(value)


def _number(value: Any) -> float:
    if isinstance(value, bool):
        raise ValueError
    return float(value)


def _truth(value: Any) -> bool:
    words = {"true": True, "yes": True, "false": False, "no": False}
    if isinstance(value, bool):
        return value
    if not isinstance(value, str) or value.lower() not in words:
        raise ValueError
    return words[value.lower()]


def _words(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


_CONVERSIONS: dict[Any, Callable[[Any], Any]] = {int: _whole, float: _number, bool: _truth, str: _words}
