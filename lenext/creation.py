"""`create`: a model by name, of any number of classes and channels, with weights where they are given."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from lenext.errors import UserError
from lenext.models import Facts, ImageClassifier, Spec, lookup
from lenext.weights.foreign import load_foreign
from lenext.weights.loading import load_strictly
from lenext.weights.model_file import find_model_file, read_foreign_file, read_model_file


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
    given; `weights` is a file that lenext wrote or a run folder. `options` are those of the family.

    Raises:
        UserError: an unknown name or option, a count or size that the model cannot have, weights that do not fit.
    """
    entry = lookup(name)
    facts = entry.facts
    classes = _positive("classes", classes, facts.classes)
    in_channels = _positive("in_channels", in_channels, facts.channels)
    sides = as_size(size if size is not None else facts.size)
    check_size(name, facts, sides)
    if facts.size_bound:
        options = {"size": sides, **options}
    try:
        model: ImageClassifier = entry.build(classes=classes, in_channels=in_channels, **options)
    except TypeError as error:
        found = re.search(r"(?:keyword argument|multiple values for argument) '(\w+)'", str(error))
        if found is None:
            raise
        raise UserError(f"{name} has no option {found[1]!r}; docs/models.md lists those that it has") from error
    except ValueError as error:  # a rate or a number that torch refuses
        raise UserError(f"{name}: {error}") from error
    options.pop("size", None)
    model.spec = Spec(name, classes, in_channels, sides, options)
    if weights is not None:
        _load(model, name, find_model_file(weights))
    return model


def _load(model: ImageClassifier, name: str, path: Path) -> None:
    foreign = read_foreign_file(path)
    if foreign is not None:
        load_foreign(model, foreign, where=str(path))
        return
    file = read_model_file(path)
    file.require_model(name, str(path))
    load_strictly(model, file.tensors, where=str(path))


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
