"""Building: an architecture of the registry with what it may have, and nothing else."""

from __future__ import annotations

import inspect
import math
import re
import sys
from typing import Any

from lenext.errors import UserError, one_line
from lenext.models import Facts, ImageClassifier, Spec
from lenext.models.truncation import DROP, drop_stages
from lenext.registry import Entry


def build(
    entry: Entry, classes: int, in_channels: int, size: tuple[int, int], options: dict[str, Any]
) -> ImageClassifier:
    """Build the architecture of `entry`, with its `spec`.

    Raises:
        UserError: an option that it does not have, or a value that it cannot have.
    """
    bound = {"size": size} if entry.facts.size_bound else {}
    own = {key: value for key, value in options.items() if key != DROP}
    _require_kinds(entry, own)
    try:
        model: ImageClassifier = entry.build(classes=classes, in_channels=in_channels, **{**bound, **own})
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
    model.spec = Spec(entry.name, classes, in_channels, size, options)
    if DROP in options:
        able = size if entry.facts.size_bound else as_size(entry.facts.smallest)
        drop_stages(model, options[DROP], classes=classes, in_channels=in_channels, size=able)
    return model


QUOTES = "'\""
WANTED = {"bool": "true or false", "int": "a whole number", "float": "a number", "str": "a word"}


def _require_kinds(entry: Entry, options: dict[str, Any]) -> None:
    """Raise UserError where an option is not of the kind that the family's constructor says."""
    family = inspect.signature(entry.build).return_annotation
    if isinstance(family, str):  # as annotations are with `from __future__ import annotations`
        family = vars(sys.modules[entry.build.__module__]).get(family)
    if not inspect.isclass(family):
        return
    for key, parameter in inspect.signature(family.__init__).parameters.items():
        kind = inspect.formatannotation(parameter.annotation).strip(QUOTES)
        kind = "str" if kind.startswith(("Literal", "Init")) else kind
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


def positive(what: str, value: int | None, default: int) -> int:
    """Return a count, or the default where none is given; anything but a whole number above zero is a UserError."""
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise UserError(f"{what} {value!r} is not a whole number above zero")
    return value
