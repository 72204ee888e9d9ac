"""`Bench`: what a bench found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lenext.engines.engine import EngineName
from lenext.engines.remembered import Row


@dataclass(frozen=True)
class Bench:
    """How fast each engine answers for a model on a machine.

    `skipped` says why an engine is not among the rows. `compared_with` is the engine whose logits the others are
    compared with. `remembered` is the folder in which `--engine auto` finds all this, if there is one.
    """

    model: str
    rows: tuple[Row, ...]
    skipped: Mapping[EngineName, str]
    compared_with: EngineName
    machine: str
    versions: Mapping[EngineName, str]
    remembered: Path | None

    @property
    def fastest(self) -> EngineName | None:
        """The engine that answers the smallest batch soonest, of those that agree."""
        least = min((row.batch for row in self.rows), default=0)
        able = [row for row in self.rows if row.agrees and row.batch == least]
        best = min(able, key=lambda row: row.p50_ms, default=None)
        return None if best is None else best.engine

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object that `lenext bench --json` prints, without its schema number."""
        return {
            "model": self.model,
            "rows": [asdict(row) for row in self.rows],
            "fastest": self.fastest,
            "compared_with": self.compared_with,
            "skipped": [{"engine": engine, "reason": reason} for engine, reason in self.skipped.items()],
            "machine": self.machine,
            "versions": dict(self.versions),
            "remembered": None if self.remembered is None else str(self.remembered),
        }
