"""`Record`: a .jsonl, .csv or .parquet file of predictions that is written as they come and can be gone on with."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from lenext.errors import LenextError, UserError
from lenext.files import parse_stamped, stamped, to_json, write_text
from lenext.recording.columns import ERROR, IMAGE, LOW_CONFIDENCE, Columns
from lenext.recording.lines import CsvLines, JsonLines, Lines, as_text

KINDS = (".jsonl", ".csv", ".parquet")
META, PART = ".meta.json", ".part.jsonl"  # what ends the names of the files beside it


@dataclass(frozen=True)
class Making:
    """How predictions are made; a file holds those of one making alone.

    `model` is the architecture's name and `fingerprint` that of its weights, classes and preprocessing.
    """

    model: str
    fingerprint: str
    top: int
    ids: bool
    low_confidence: float | None

    @property
    def columns(self) -> Columns:
        """The columns of a table of them."""
        return Columns(self.top, self.ids)

    def require_same(self, told: Mapping[str, Any], where: Path) -> None:
        """Raise UserError where a file says of its predictions that they were made otherwise."""
        own = asdict(self)
        other = next((each.name for each in fields(self) if told.get(each.name) != own[each.name]), None)
        if other in ("model", "fingerprint"):
            raise UserError(
                f"{where} holds the answers of {told.get('model')} ({str(told.get('fingerprint'))[:8]}), and this is "
                f"{self.model} ({self.fingerprint[:8]}); give the same target, or another name"
            )
        if other is not None:
            word = other.replace("_", "-")
            raise UserError(
                f"{where} was written with {word} {told.get(other)}, and now it is {own[other]}; give the same, or "
                "another name"
            )


@dataclass
class Tally:
    """How many images a file has answers to; of these, how many could not be read, and how many are of low confidence.

    `before` were there already when it was gone on with.
    """

    images: int = 0
    before: int = 0
    unreadable: int = 0
    low_confidence: int = 0

    def count(self, entry: Mapping[str, Any]) -> None:
        """Count an entry."""
        self.images += 1
        self.unreadable += ERROR in entry
        self.low_confidence += entry.get(LOW_CONFIDENCE) is True


def require_startable(out: Path, *, resume: bool) -> None:
    """Raise UserError where predictions cannot be written to `out`; nothing is written over.

    With `resume`, a file that is there is gone on with.
    """
    if out.suffix.lower() not in KINDS:
        raise UserError(f"{out} cannot hold predictions; give a name that ends in .jsonl, .csv or .parquet")
    if not out.parent.is_dir():
        raise UserError(f"there is no folder {out.parent} to write {out.name} into")
    if not os.access(out.parent, os.W_OK):
        raise UserError(f"nothing can be written into {out.parent}; give a folder of your own")
    there = next((each for each in (out, _part(out), _meta(out)) if each.exists()), None)
    if there is not None and (there.is_dir() or not resume):
        hint = "" if there.is_dir() else "--resume to go on with it, "
        raise UserError(f"{there} is there already; give {hint}another name, or remove it first")


class Record:
    """Predictions in a file, each there as soon as it is appended; `answered` are those that were there.

    with Record(Path("answers.csv"), making, resume=True) as record:
        record.append({"image": "a.png", "predictions": [...]})

    How they were made stands in `answers.csv.meta.json`. A .parquet file is written at the end, of lines that grow
    beside it until then.
    """

    def __init__(self, out: Path, making: Making, *, resume: bool = False) -> None:
        """Begin the file, or go on with it.

        Raises:
            UserError: it is there and is not to be gone on with, or was made otherwise, or is damaged.
            LenextError: it cannot be written.
        """
        require_startable(out, resume=resume)
        self.out, self.making, self.tally = out, making, Tally()
        self.answered = Counter[str]()
        self._table = out.suffix.lower() == ".parquet"
        if self._table and out.exists() and not _part(out).exists():
            _unfold(out, making)
        self._lines = self._opened()
        try:
            for entry in self._lines.entries():
                self.tally.count(entry)
                self.answered[as_text(entry[IMAGE])] += 1
        except BaseException:
            self._lines.close()
            raise
        self.tally.before = self.tally.images

    def _opened(self) -> Lines:
        """Return the lines, once it is certain that they are of the same making."""
        path, meta = _part(self.out) if self._table else self.out, _meta(self.out)
        if meta.exists():
            told = parse_stamped(meta.read_text(encoding="utf-8", errors="replace"), str(meta))
            self.making.require_same(told, self.out)
        elif path.exists():
            raise UserError(f"nobody knows how {path} was made, for there is no {meta}; give another name")
        else:
            write_text(meta, to_json(stamped(asdict(self.making)), indent=2))
        return CsvLines(path, self.making.columns) if path.suffix.lower() == ".csv" else JsonLines(path)

    def is_new(self, image: str) -> bool:
        """Say whether an image of this name is yet to be answered; one that was answered counts once."""
        name = as_text(image)
        if self.answered[name] <= 0:
            return True
        self.answered[name] -= 1
        return False

    def append(self, entry: Mapping[str, Any]) -> None:
        """Add an entry of `Predictor.predict`.

        Raises:
            LenextError: the write failed.
        """
        self._lines.append(entry)
        self.tally.count(entry)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, _error: object, _trace: TracebackType | None) -> None:
        """Close the file; a table is made of its lines where nothing went wrong."""
        try:
            if kind is None and self._table:
                self._fold()
        finally:
            self._lines.close()
            if not self.tally.images:  # what holds no answer is in the way of the next try
                self._remove(self._lines.path, _meta(self.out))

    def _fold(self) -> None:
        from lenext.recording.tables import write_table

        if not self.out.exists() or self.tally.images > self.tally.before:
            write_table(self.out, self._lines.entries(), self.making.columns, stamped(asdict(self.making)))
        self._remove(_part(self.out), _meta(self.out))

    @staticmethod
    def _remove(*paths: Path) -> None:
        for path in paths:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)


def _unfold(out: Path, making: Making) -> None:
    """Bring a table that is to be gone on with back into lines."""
    from lenext.recording.tables import read_table

    told, entries = read_table(out, making.columns)
    making.require_same(told, out)
    write_text(_meta(out), to_json(stamped(asdict(making)), indent=2))
    beside = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        lines = JsonLines(beside)
        for entry in entries:
            lines.append(entry)
        lines.close()
        beside.replace(_part(out))
    except OSError as error:
        raise LenextError(f"cannot write {_part(out)}: {error.strerror or error}; {out} is untouched") from error
    finally:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)


def _meta(out: Path) -> Path:
    return out.with_name(out.name + META)


def _part(out: Path) -> Path:
    return out.with_name(out.name + PART)
