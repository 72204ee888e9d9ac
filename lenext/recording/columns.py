"""Columns: a prediction as one row of a table, for .csv and .parquet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

IMAGE, ERROR, LOW_CONFIDENCE = "image", "error", "low_confidence"


@dataclass(frozen=True)
class Columns:
    """The columns of rows that name `ranks` classes, each with its WordNet id where `ids`.

    They are image, label, id, probability, then label_2, id_2, probability_2 and so on, error, low_confidence.
    """

    ranks: int
    ids: bool

    @property
    def names(self) -> list[str]:
        """What the columns are called, in order."""
        return [IMAGE, *(name for rank in range(self.ranks) for name in self._of(rank)), ERROR, LOW_CONFIDENCE]

    def _of(self, rank: int) -> list[str]:
        kinds = ("label", "id", "probability") if self.ids else ("label", "probability")
        return [kind if rank == 0 else f"{kind}_{rank + 1}" for kind in kinds]

    def row(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        """Return an entry of `Predictor.predict` by its columns; what it has not is None."""
        row: dict[str, Any] = dict.fromkeys(self.names)
        row |= {key: entry[key] for key in (IMAGE, ERROR, LOW_CONFIDENCE) if key in entry}
        for rank, prediction in enumerate(entry.get("predictions", ())[: self.ranks]):
            row |= {name: prediction.get(name.removesuffix(f"_{rank + 1}")) for name in self._of(rank)}
        return row

    def entry(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the entry that a row was made of."""
        entry: dict[str, Any] = {IMAGE: row[IMAGE]}
        if row[ERROR] is not None:
            return {**entry, ERROR: row[ERROR]}
        ranks = [{name.removesuffix(f"_{n + 1}"): row[name] for name in self._of(n)} for n in range(self.ranks)]
        entry["predictions"] = [rank for rank in ranks if rank["label"] is not None]
        return entry if row[LOW_CONFIDENCE] is None else {**entry, LOW_CONFIDENCE: row[LOW_CONFIDENCE]}
