"""The registry: one dict of every architecture, filled by one decorator. It imports no model."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lenext.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known of an architecture at its native input; a test holds every figure against the model.

    `macs` are multiply-adds of convolutions and linear layers for one image. `smallest` is the smallest
    input side that reaches the head. A `size_bound` model has dense layers that fit one input size, and
    takes that size when it is built.
    """

    paper: str
    year: int
    params: int
    macs: int
    size: int
    smallest: int
    channels: int = 3
    classes: int = 1000
    size_bound: bool = False

    @property
    def paper_url(self) -> str:
        """The paper's address: `paper` is an arXiv number or a DOI."""
        site = "https://doi.org/" if self.paper.startswith("10.") else "https://arxiv.org/abs/"
        return site + self.paper


@dataclass(frozen=True)
class Entry:
    """A registered architecture: its name, the file that holds it, its facts, and what builds it."""

    name: str
    family: str
    facts: Facts
    build: Callable[..., Any]


_ENTRIES: dict[str, Entry] = {}


def register(facts: Facts) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a builder under its own name; the family is the file that it stands in."""

    def add(build: Callable[..., Any]) -> Callable[..., Any]:
        name, family = build.__name__, build.__module__.rpartition(".")[2]
        if name in _ENTRIES:
            raise ValueError(f"{name} is registered twice: in {_ENTRIES[name].family} and in {family}")
        _ENTRIES[name] = Entry(name, family, facts, build)
        return build

    return add


def lookup(name: str) -> Entry:
    """Return the entry of `name`.

    Raises:
        UserError: no such model; the message lists close matches.
    """
    if name in _ENTRIES:
        return _ENTRIES[name]
    close = difflib.get_close_matches(name.lower(), _ENTRIES, n=4, cutoff=0.6)
    hint = f"did you mean {' or '.join(close)}?" if close else "see `lenext models`"
    raise UserError(f"no model is called {name!r}; {hint}")


def list_models(*, family: str | None = None) -> list[str]:
    """Return the names of all models, or of one family, in the order of their papers."""
    return [entry.name for entry in _ENTRIES.values() if family in (None, entry.family)]
