"""Classes: what a model or a set of images calls them, and which of two lists are the same, told by name."""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from lenext.errors import UserError

WORDNET_ID = re.compile(r"n\d{8}")
IMAGENET = "imagenet-1k"


@dataclass(frozen=True)
class ClassList:
    """The classes of a model in the order of its logits: `names`, and their WordNet `ids` where they have some.

        fish = ClassList(("tench", "goldfish"), ("n01440764", "n01443537"))
        fish.locate(["n01443537", "tench"])    # [1, 0]

    Names may be those of several classes, as two of ImageNet are called crane; ids may not.
    """

    names: tuple[str, ...]
    ids: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.names)

    def locate(self, wanted: Sequence[str]) -> list[int | None]:
        """Return the index of each class in `wanted`, or None where there is none like it.

        A class is the same where the name is, or the WordNet id, or where one is the id of what the other is called
        in ImageNet; an underscore stands for a space.

        Raises:
            UserError: a name that several classes have, or two names of one class.
        """
        found = [self.place(name) for name in wanted]
        owner: dict[int, str] = {}
        for name, index in zip(wanted, found, strict=True):
            if index is not None and owner.setdefault(index, name) != name:
                raise UserError(f"{owner[index]!r} and {name!r} are one class of the model; make them one in the data")
        return found

    @functools.cached_property
    def distinct(self) -> tuple[str, ...]:
        """The names, those of several classes with the WordNet id that tells them apart."""
        if not self.ids:
            return self.names
        several = {name for name, places in self._by_name.items() if len(places) > 1}
        return tuple(
            f"{name} ({id_})" if name in several else name for name, id_ in zip(self.names, self.ids, strict=True)
        )

    def order_of(self, other: ClassList) -> list[int | None]:
        """Return, for each class of another list, its index here, by its WordNet id or its name; None where none is."""
        keys = zip(other.ids or other.names, other.names, strict=True)
        found = [(self.place_or_none(id_), name) for id_, name in keys]
        return [self.place_or_none(name) if place is None else place for place, name in found]

    def called(self, names: Sequence[str]) -> ClassList:
        """Return classes called `names`, by the names and ids here where all of them are found and ids are known."""
        places = [self.place_or_none(name) for name in names] if self.ids else []
        if not self.ids or None in places or len(set(places)) < len(names):
            return ClassList(tuple(names))
        found = [place for place in places if place is not None]
        return ClassList(tuple(self.names[place] for place in found), tuple(self.ids[place] for place in found))

    def place_or_none(self, name: str) -> int | None:
        """Return the index of one class, or None where there is none, or several."""
        try:
            return self.place(name)
        except UserError:
            return None

    def place(self, name: str) -> int | None:
        """Return the index of one class; see `locate`."""
        for key, table in ((name, self._by_name), (name, self._by_id), (_spaced(name), self._by_spaced_name)):
            places = table.get(key, [])
            if len(places) > 1:
                known = f" ({', '.join(self.ids[place] for place in places)})" if self.ids else ""
                raise UserError(f"{len(places)} classes of the model are called {name!r}{known}; use WordNet ids")
            if places:
                return places[0]
        places = self._by_id.get(_wordnet_id(name) or "", [])
        return places[0] if len(places) == 1 else None

    @functools.cached_property
    def _by_name(self) -> dict[str, list[int]]:
        return _places(self.names)

    @functools.cached_property
    def _by_spaced_name(self) -> dict[str, list[int]]:
        return _places([_spaced(name) for name in self.names])

    @functools.cached_property
    def _by_id(self) -> dict[str, list[int]]:
        """The places of each WordNet id; a class without one has that of what it is called."""
        return _places(self.ids or [_wordnet_id(name) or f" {name}" for name in self.names])


@functools.cache
def class_list(name: str) -> ClassList:
    """Return a published list of classes, such as `imagenet-1k` or `cifar-10`; `class_lists` holds them."""
    rows = _rows(name)
    ids = tuple(row[0] for row in rows)
    return ClassList(tuple(row[1] for row in rows), ids if all(ids) else None)


@functools.cache
def wordnet_names() -> dict[str, str]:
    """Return what each class of the published lists is called, by its WordNet id."""
    return {row[0]: row[1] for name in ("imagenet-22k", IMAGENET) for row in _rows(name)}


def unnamed_classes(count: int) -> ClassList:
    """Return `count` classes of which nothing is known but their numbers."""
    return ClassList(tuple(str(number) for number in range(count)))


def _rows(name: str) -> list[list[str]]:
    text = files("lenext.weights").joinpath("class_lists", f"{name}.tsv").read_text(encoding="utf-8")
    return [line.split("\t") for line in text.splitlines()]


def _wordnet_id(name: str) -> str | None:
    """Return the WordNet id that a class of this name has, or None."""
    return name if WORDNET_ID.fullmatch(name) else _imagenet_names().get(_spaced(name))


@functools.cache
def _imagenet_names() -> dict[str, str]:
    """Return the WordNet id of every name that exactly one class of ImageNet has, and of its names with commas."""
    called = [(id_, name) for id_, *names in _rows(IMAGENET) for name in {*names, ", ".join(names)}]
    times = Counter(name for _, name in called)
    return {_spaced(name): id_ for id_, name in called if times[name] == 1}


def _places(keys: Sequence[str]) -> dict[str, list[int]]:
    places: dict[str, list[int]] = {}
    for index, key in enumerate(keys):
        places.setdefault(key, []).append(index)
    return places


def _spaced(name: str) -> str:
    return name.replace("_", " ")
