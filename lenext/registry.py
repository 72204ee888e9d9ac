"""The registry: one dict of every architecture, filled by one decorator. It imports no model."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from lenext.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Published:
    """An error rate that was published, in percent, with the protocol that it was measured by.

    `source` is where it stands, if that is not the architecture's own paper.
    """

    top1: float | None = None
    top5: float | None = None
    protocol: str
    dataset: str = "ImageNet"
    source: str = ""


@dataclass(frozen=True)
class Claim:
    """A published count, `params` or `macs`, and why ours differs where it does by more than its rounding.

    `gap` is how much more ours is, in percent.
    """

    figure: Literal["params", "macs"]
    published: float
    gap: float = 0.0
    why: str = ""

    def rounds(self, count: float) -> bool:
        """Return whether `count`, rounded to the digits that were published, is what was published."""
        digits = len(f"{self.published:.12e}".partition("e")[0].rstrip("0").replace(".", ""))
        return float(f"{count:.{digits - 1}e}") == self.published


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known of an architecture at its native input; a test holds every figure against the model.

    `macs` are multiply-adds of convolutions and linear layers for one image. `smallest` is the smallest input side
    that reaches the head. A `size_bound` model has dense layers that fit one input size, and takes that size when
    it is built. `params` and `macs` are those of the network that answers, without what only training uses.
    `lr_scale` is how much of a general recipe's learning rate the network bears: of deep ones without batch
    normalisation less than all of it. `strides` are the input pixels between neighbouring places of each stage's
    map. `errors` are published, the first being the one to compare by; `claims` are published counts.
    """

    paper: str
    year: int
    params: int
    macs: int
    size: int
    smallest: int
    strides: tuple[int, ...]
    channels: int = 3
    classes: int = 1000
    size_bound: bool = False
    lr_scale: float = 1.0
    errors: tuple[Published, ...] = ()
    claims: tuple[Claim, ...] = ()

    @property
    def paper_url(self) -> str:
        """The paper's address."""
        return paper_address(self.paper)


def paper_address(paper: str) -> str:
    """Return the address of a paper, which is an arXiv number or a DOI."""
    site = "https://doi.org/" if paper.startswith("10.") else "https://arxiv.org/abs/"
    return site + paper


@dataclass(frozen=True)
class Entry:
    """A registered architecture: its name, the file that holds it, its facts, and what builds it."""

    name: str
    family: str
    facts: Facts
    build: Callable[..., Any]


# What every architecture is built with; commands have options of their own for it.
COMMON = frozenset({"name", "model", "classes", "in_channels", "size", "batch", "weights"})

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


SORTS: dict[str, Callable[[Entry], Any]] = {
    "name": lambda entry: entry.name,
    "family": lambda entry: entry.family,
    "year": lambda entry: entry.facts.year,
    "params": lambda entry: entry.facts.params,
    "macs": lambda entry: entry.facts.macs,
    "size": lambda entry: entry.facts.size,
}


def list_models(
    *,
    family: str | None = None,
    year: int | tuple[int, int] | None = None,
    max_params: float | None = None,
    max_macs: float | None = None,
    sort: str | None = None,
) -> list[str]:
    """Return the names of the models that fit, in the order of their papers, or by `sort`, the smallest first.

        lenext.list_models(year=(2012, 2014), max_params=10e6, sort="macs")

    `year` is one, or the first and the last; `sort` is name, family, year, params, macs or size.

    Raises:
        UserError: no such family or order.
    """
    families = dict.fromkeys(entry.family for entry in _ENTRIES.values())
    if family is not None and family not in families:
        raise UserError(f"no family is called {family!r}; there are {', '.join(families)}")
    if sort is not None and sort not in SORTS:
        raise UserError(f"models cannot be sorted by {sort!r}; give {', '.join(SORTS)}")
    first, last = (year, year) if isinstance(year, int) else year or (0, 9999)
    found = [
        entry
        for entry in _ENTRIES.values()
        if family in (None, entry.family)
        and first <= entry.facts.year <= last
        and (max_params is None or entry.facts.params <= max_params)
        and (max_macs is None or entry.facts.macs <= max_macs)
    ]
    if sort is not None:
        found.sort(key=SORTS[sort])
    return [entry.name for entry in found]
