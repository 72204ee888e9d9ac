"""What long work asks of a display; who shows it decides how."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

T = TypeVar("T")


class Progress(Protocol):
    """A display of long work."""

    def track(self, items: Iterable[T], what: str, total: int, count: Callable[[T], int]) -> Iterator[T]:
        """Yield `items` while showing how many of `total` images are done; `count` says how many an item holds."""
        ...

    def note(self, text: str) -> None:
        """Show a line that stays."""
        ...


class Silent:
    """Shows nothing."""

    def track(self, items: Iterable[T], what: str, total: int, count: Callable[[T], int]) -> Iterator[T]:
        """Yield `items`."""
        yield from items

    def note(self, text: str) -> None:
        """Show nothing."""


SILENT = Silent()
