"""The catalog: weights that others published, where they are, what they were made for, and how well they do."""

from __future__ import annotations

import difflib
import functools
import json
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from lenext.errors import UserError
from lenext.registry import lookup
from lenext.weights.classes import ClassList, class_list

SHORTEST = 8  # digits of a SHA-256 that torchvision's file names give


@dataclass(frozen=True, kw_only=True)
class CatalogEntry:
    """Weights of the architecture `model`, asked for as `model:tag`; what nobody says of them is None or empty.

    `library` says whose names the tensors bear, `source` where all this was read. The file is at `url`, or in the
    repository `hub` of the Hub, which states its hash; `sha256` is that of the file, or its first digits. `top1` and
    `top5` are percentages by `protocol`.
    """

    model: str
    tag: str
    library: str
    source: str
    url: str | None
    hub: str | None
    sha256: str
    licence: str | None
    classes: str
    preprocessing: dict[str, Any]
    top1: float | None
    top5: float | None
    protocol: str | None

    @property
    def name(self) -> str:
        """What it is asked for by."""
        return f"{self.model}:{self.tag}"

    @property
    def class_list(self) -> ClassList:
        """Its classes, in the order of the logits."""
        return class_list(self.classes)


@functools.cache
def catalog() -> tuple[CatalogEntry, ...]:
    """Return every entry, by architecture in the order of the papers."""
    text = files("lenext.weights").joinpath("catalog.json").read_text(encoding="utf-8")
    return tuple(CatalogEntry(**entry) for entry in json.loads(text)["entries"])


def list_weights(model: str | None = None) -> list[str]:
    """Return what can be given as `weights` by name, of one architecture or of all.

    lenext.list_weights("resnet50")[0]    # "resnet50:torchvision-v1"
    """
    return [entry.name for entry in catalog() if model in (None, entry.model) and (entry.url or entry.hub)]


def is_tag(text: str) -> bool:
    """Say whether `text` has the form of a catalog's name, `model:tag`, of a model that the catalog has."""
    model, colon, tag = text.partition(":")
    return bool(colon and tag) and any(entry.model == model for entry in catalog())


def find_published(name: str) -> CatalogEntry:
    """Return the entry called `model:tag`.

    Raises:
        UserError: there is none; the message lists close ones.
    """
    entries = {entry.name: entry for entry in catalog()}
    if name in entries:
        return entries[name]
    model = name.partition(":")[0]
    close = difflib.get_close_matches(name, list_weights(model), n=4, cutoff=0.3)
    raise UserError(
        f"the catalog has no {name!r}; did you mean {' or '.join(close)}? `lenext weights {model}` lists them all"
    )


def recognise(sha256: str) -> CatalogEntry | None:
    """Return the entry whose file this is by its hash, or None."""
    return next((each for each in catalog() if len(each.sha256) >= SHORTEST and sha256.startswith(each.sha256)), None)


def usual(model: str, library: str, classes: int) -> CatalogEntry | None:
    """Return the entry that a file of `library` for so many classes is most likely like, or None.

    That is the first of the model itself, the library's own choice, or else of the same family and size; of
    the former, one of as many classes where there is any.
    """
    facts, family = lookup(model).facts, lookup(model).family
    of_library = [entry for entry in catalog() if entry.library == library]
    own = [entry for entry in of_library if entry.model == model]
    related = [
        entry
        for entry in of_library
        if lookup(entry.model).family == family and lookup(entry.model).facts.size == facts.size
    ]
    same = [entry for entry in (*own, *related) if len(entry.class_list) == classes]
    return next(iter([*same, *own, *related]), None)
