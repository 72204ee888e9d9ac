"""Following a run while it trains, by nothing but what it writes into its folder."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lenext.errors import UserError
from lenext.runs.run import DAMAGED, Run, read_rows, read_run

EVERY = 1.0  # seconds


@dataclass(frozen=True)
class Sight:
    """A run at an instant, and its epochs so far, each a line of its metrics."""

    run: Run
    rows: list[dict[str, Any]]


def look(path: Path) -> Sight:
    """Return how a run stands now.

    Raises:
        UserError: no run folder, or one whose record is damaged.
    """
    run = read_run(path)
    if run.state == DAMAGED:
        raise UserError(str(run.problem))
    return Sight(run, read_rows(path))


def follow(path: Path) -> Iterator[Sight]:
    """Yield how a run stands, each second, until no process is at work on it; the last one is how it ended.

    Raises:
        UserError: no run folder, one whose record is damaged, or one that is taken away meanwhile.
    """
    while True:
        sight = look(path)
        yield sight
        if not sight.run.under_way:
            return
        time.sleep(EVERY)
