"""`create`: a model by name, of any number of classes and channels, with weights where they are given."""

from __future__ import annotations

import inspect
import math
import re
import sys
from pathlib import Path
from typing import Any

from torch import Tensor

from lenext.errors import UserError, one_line
from lenext.models import Facts, ImageClassifier, Spec, lookup
from lenext.models.skeleton import Skeleton
from lenext.registry import Entry
from lenext.weights.foreign import load_foreign
from lenext.weights.loading import load_strictly, require_fit
from lenext.weights.model_file import ModelFile, find_model_file, read_foreign_file, read_model_file


def create(
    name: str,
    *,
    classes: int | None = None,
    in_channels: int | None = None,
    size: int | tuple[int, int] | None = None,
    weights: str | Path | None = None,
    **options: Any,
) -> ImageClassifier:
    """Return the architecture `name`, in training mode.

        model = lenext.create("lenet5", classes=10)
        logits = model(torch.zeros(1, 1, 28, 28))    # (1, 10)

    `classes`, `in_channels` and `size` (pixels, a side or height and width) are the paper's where they are not
    given; `weights` is a file that lenext wrote, whose options hold where none are given, a run folder, or a
    `.safetensors` file of another library. `options` are those of the family.

    Raises:
        UserError: an unknown name or option, a count or size that the model cannot have, weights that do not fit.
    """
    entry = lookup(name)
    facts = entry.facts
    classes = _positive("classes", classes, facts.classes)
    in_channels = _positive("in_channels", in_channels, facts.channels)
    sides = as_size(size if size is not None else facts.size)
    check_size(name, facts, sides)
    file = _read(name, find_model_file(weights)) if weights is not None else None
    bound = {"size": sides} if facts.size_bound else {}
    if isinstance(file, ModelFile):
        options = {**file.metadata["options"], **options}
        with Skeleton():  # before memory is asked for that a mislabelled file would need
            require_fit(_build(entry, classes, in_channels, bound, options), file.tensors, where=str(weights))
    model = _build(entry, classes, in_channels, bound, options)
    model.spec = Spec(name, classes, in_channels, sides, options)
    if isinstance(file, ModelFile):
        load_strictly(model, file.tensors, where=str(weights))
    elif file is not None:
        load_foreign(model, file, where=str(weights))
    return model


def _read(name: str, path: Path) -> ModelFile | dict[str, Tensor]:
    """Return a file of ours, or the tensors of one that another library wrote."""
    foreign = read_foreign_file(path)
    if foreign is not None:
        return foreign
    file = read_model_file(path)
    file.require_model(name, str(path))
    return file


def _build(
    entry: Entry, classes: int, in_channels: int, size: dict[str, Any], options: dict[str, Any]
) -> ImageClassifier:
    """Build a model; what its options cannot be is a user's error."""
    _require_kinds(entry, options)
    try:
        model: ImageClassifier = entry.build(classes=classes, in_channels=in_channels, **{**size, **options})
    except TypeError as error:
        found = re.search(r"(?:keyword argument|multiple values for argument) '([^']*)'", str(error))
        if found is not None:
            hint = "docs/models.md lists those that it has"
            raise UserError(f"{entry.name} has no option {found[1]!r}; {hint}") from error
        if not options:
            raise
        given = ", ".join(f"{key}={value!r}" for key, value in options.items())
        raise UserError(f"{entry.name} cannot be built with {given}: {one_line(error)}") from error
    except (ValueError, RuntimeError, OverflowError) as error:  # a rate or a number that torch refuses
        raise UserError(f"{entry.name}: {one_line(error)}") from error
    return model


WANTED = {"bool": "true or false", "int": "a whole number", "float": "a number", "str": "a word"}


def _require_kinds(entry: Entry, options: dict[str, Any]) -> None:
    """Raise UserError where an option is not of the kind that the family's constructor says."""
    family = vars(sys.modules[entry.build.__module__])[inspect.signature(entry.build).return_annotation]
    for key, parameter in inspect.signature(family.__init__).parameters.items():
        kind = "str" if str(parameter.annotation).startswith(("Literal", "Init")) else parameter.annotation
        if key in options and kind in WANTED and not _is_of(kind, options[key]):
            raise UserError(f"{entry.name}: {key} {options[key]!r} cannot be; give {WANTED[kind]}")


def _is_of(kind: str, value: Any) -> bool:
    if isinstance(value, bool):
        return kind == "bool"
    if kind == "float":
        return isinstance(value, int | float) and abs(value) < math.inf
    return kind != "bool" and isinstance(value, {"int": int, "str": str}[kind])


LARGEST_SIDE = 16_384  # pixels; more is a slip of the finger


def as_size(size: int | tuple[int, int]) -> tuple[int, int]:
    """Return a side, or a height and a width, as (height, width) in pixels.

    Raises:
        UserError: not one or two whole numbers above zero.
    """
    sides = tuple(size) if isinstance(size, tuple | list) else (size, size)
    if len(sides) != 2 or any(not isinstance(side, int) or isinstance(side, bool) or side < 1 for side in sides):
        raise UserError(f"size {size!r} is not a side in pixels, or a height and a width; give 28 or (28, 40)")
    if max(sides) > LARGEST_SIDE:
        raise UserError(f"image side {max(sides):,} is above {LARGEST_SIDE:,}, the largest; give a smaller size")
    return sides[0], sides[1]


def check_size(name: str, facts: Facts, size: tuple[int, int]) -> None:
    """Raise UserError where an image of `size` is too small to reach the model's head."""
    if min(size) < facts.smallest:
        raise UserError(
            f"image side {min(size)} < {facts.smallest}, the smallest for {name}; "
            f"give a larger size, such as its own {facts.size}"
        )


def _positive(what: str, value: int | None, default: int) -> int:
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise UserError(f"{what} {value!r} is not a whole number above zero")
    return value
