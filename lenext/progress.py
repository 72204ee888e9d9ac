"""What long work asks of a progress display; who shows it decides how."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

T = TypeVar("T")


class Progress(Protocol):
    """A display of long work."""

    def track(self, items: Iterable[T], what: str, total: int, count: Callable[[T], int]) -> Iterator[T]:
        """Yield `items` while showing how many of `total` images are done; `count` says how many an item holds."""
        ...


class Silent:
    """Shows nothing."""

    def track(self, items: Iterable[T], what: str, total: int, count: Callable[[T], int]) -> Iterator[T]:
        """Yield `items`."""
        yield from items


SILENT = Silent()
