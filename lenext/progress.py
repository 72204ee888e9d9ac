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


def duration(seconds: float) -> str:
    """Return a time as it is read: 1.2 s, 12 s, 3 min 20 s, 1 h 05 min, 2 d 4 h."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"
