"""The parts that every network has in common, by name: what is frozen, cut off, or trained at a rate of its own."""

from __future__ import annotations

import re
from typing import Protocol

from torch import nn

from lenext.errors import UserError
from lenext.models.heads import Head

CLASSIFIER = "head.classifier"
ALL_BUT = "all but "
STAGES = re.compile(r"stages(?:\.(\d{1,4})(?:-(\d{1,4}))?)?")


class Parted(Protocol):
    """What has parts: an `ImageClassifier`."""

    stem: nn.Module
    stages: nn.ModuleList
    head: Head

    @property
    def name(self) -> str: ...

    @property
    def training_only(self) -> tuple[str, ...]: ...

    def get_submodule(self, target: str) -> nn.Module: ...


def parts_of(model: Parted) -> dict[str, list[nn.Module]]:
    """Return the modules of each part, from the image to the logits.

    These are `stem`, `stages.0` and so on, `head`, which is what the head has before its last layer, `head.classifier`,
    that layer, and `auxiliary`, what only training uses, as far as it stands apart.
    """
    parts: dict[str, list[nn.Module]] = {"stem": [model.stem]}
    parts |= {f"stages.{number}": [stage] for number, stage in enumerate(model.stages)}
    parts["head"] = [part for name, part in model.head.named_children() if name != "classifier"]
    parts[CLASSIFIER] = [model.head.classifier]
    apart = [model.get_submodule(path) for path in model.training_only if path.partition(".")[0] not in OWN]
    return parts | ({"auxiliary": apart} if apart else {})


OWN = {"stem", "stages", "head"}


def select_parts(model: Parted, text: str) -> list[str]:
    """Return the names of the parts that `text` means, from the image to the logits.

    `text` is names with commas between them: `stem`, `stages` (all), `stages.1`, `stages.0-2`, `head` (all of it),
    `head.classifier`; or `all but` some of these, as `all but head` or `all-but-head`.

    Raises:
        UserError: the model has no such part, or none of these has weights.
    """
    parts = list(parts_of(model))
    said = text.strip().replace("all-but-", ALL_BUT)
    names = said.removeprefix(ALL_BUT)
    chosen = {part for name in names.split(",") for part in _meant(model, parts, name.strip())}
    if said.startswith(ALL_BUT):
        chosen = set(parts) - chosen
    found = [part for part in parts if part in chosen]
    if not any(_has_weights(model, part) for part in found):
        raise UserError(f"{model.name} has no weights in {text!r}; {_listed(model, parts)}")
    return found


def _meant(model: Parted, parts: list[str], name: str) -> list[str]:
    if name == "head":
        return ["head", CLASSIFIER]
    if name in parts:
        return [name]
    found = STAGES.fullmatch(name)
    count = len(model.stages)
    if found is None or not count:
        raise UserError(f"{model.name} has no part {name!r}; {_listed(model, parts)}")
    first = int(found[1] or 0)
    last = int(found[2]) if found[2] else (first if found[1] else count - 1)
    if not first <= last < count:
        raise UserError(f"{name!r} is out of range: the stages of {model.name} are stages.0 to stages.{count - 1}")
    return [f"stages.{number}" for number in range(first, last + 1)]


def _listed(model: Parted, parts: list[str]) -> str:
    able = [part for part in parts if _has_weights(model, part)]
    span = f", or several as stages.0-{len(model.stages) - 1}" if len(model.stages) > 1 else ""
    return f"its parts are {', '.join(able)}{span}; or say what stays free, as in 'all but head'"


def _has_weights(model: Parted, part: str) -> bool:
    return any(True for module in parts_of(model)[part] for _ in module.parameters())
