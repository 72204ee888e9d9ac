"""What commands print: JSON or tables on standard output, progress and notes on standard error."""

from __future__ import annotations

import contextlib
import gc
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

T = TypeVar("T")
STARTED = time.perf_counter()
SCHEMA = 1
WIDTH = 140  # of tables that go to a file or a pipe
SKIPPED = 10  # files that are told one by one
LONGEST = 2000  # characters of a message


def elapsed() -> float:
    """Return the seconds since the command began."""
    return time.perf_counter() - STARTED


def print_json(value: Any) -> None:
    """Print `value` as one JSON value; every object at the top carries the schema number."""
    from lenext.files import to_json

    rows = [{"schema": SCHEMA, **row} for row in value] if isinstance(value, list) else {"schema": SCHEMA, **value}
    print(to_json(rows, indent=2))


def print_table(table: Table, width: int = WIDTH) -> None:
    """Print a table, as wide as the terminal, or as `width` where there is none."""
    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else width).print(table)


def room() -> int:
    """Return how many characters a line of a table may have."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDTH


def plain_table(*columns: str | Text, right: Iterable[str] = ()) -> Table:
    """Return an empty table without lines; the columns named in `right` are set flush right."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column in columns:
        table.add_column(column, justify="right" if str(column) in right else "left", overflow="fold")
    return table


def short(count: float) -> str:
    """Return a count in millions or billions, such as 0.417 M or 15.470 G."""
    return f"{count / 1e9:,.3f} G" if count >= 1e9 else f"{count / 1e6:.3f} M"


def mebibytes(count: int) -> str:
    """Return bytes as MiB, 2^20 bytes."""
    return f"{count / 2**20:,.1f} MiB"


def printable(text: str) -> str:
    """Return the text with what is no visible character written out, so that no file name can steer a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def cell(text: str | None) -> Text:
    """Return the text for a cell of a table as it is, square brackets included; None is empty."""
    from rich.text import Text

    return Text(printable(text or ""))


def say(text: str) -> None:
    """Print a line on standard error; what a file puts into it may be long."""
    told = printable(text)
    with contextlib.suppress(OSError, ValueError):  # nobody listens any more, which is no reason to end
        print(told if len(told) <= LONGEST else f"{told[:LONGEST]}...", file=sys.stderr, flush=True)


def say_skipped(files: Sequence[tuple[str, str]]) -> None:
    """Tell the first files that could not be read, each with the reason, and how many more there are."""
    for path, reason in files[:SKIPPED]:
        say(f"skipped {path}: {reason}")
    if len(files) > SKIPPED:
        say(f"skipped {len(files) - SKIPPED} more; --json lists them")


def refuse_hostile(*weights: str | None) -> None:
    """Look at files of weights before torch is loaded, which takes longer than refusing them.

    Raises:
        UserError: a file that is damaged, or not safe to load.
    """
    from pathlib import Path

    from lenext.files import exists, is_folder
    from lenext.weights.inspection import inspect

    for given in weights:
        if given and exists(given) and not is_folder(given):
            inspect(Path(given))


def refuse_unusable(*targets: str) -> None:
    """Look at targets that are to answer images before torch is loaded: exported files, or others as weights.

    Raises:
        UserError: a file that is damaged, not safe to load, or not written by lenext.
    """
    from lenext.engines.exported import is_exported, read_exported

    for target in targets:
        if is_exported(target):
            read_exported(target)
        else:
            refuse_hostile(target)


@contextlib.contextmanager
def interrupts_held() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM wait; torch aborts the process when one comes while it is being imported."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def garbage_kept() -> Iterator[None]:
    """Let no garbage be collected: a command that soon ends makes little, and spends a third of its time looking."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class TerminalProgress:
    """Bars with speed and time left on standard error; only notes where that is no terminal."""

    def track(self, items: Iterable[T], what: str, total: int, count: Callable[[T], int]) -> Iterator[T]:
        """Yield `items` while the bar shows how many of `total` images are done."""
        if not sys.stderr.isatty():
            yield from items
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("{task.description:<18}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=Console(stderr=True), transient=True) as display:
            task = display.add_task(what, total=total, speed="")
            for item in items:
                yield item
                display.update(task, advance=count(item))
                speed = display.tasks[0].speed
                display.update(task, speed=f"{speed:,.0f} images/s" if speed else "")

    def note(self, text: str) -> None:
        """Print a line on standard error."""
        say(text)
