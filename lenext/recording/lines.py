"""Lines: a file of one row an image that grows line by line, each of which is there whole or is mended away."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lenext.errors import LenextError, UserError, one_line
from lenext.files import to_json
from lenext.recording.columns import ERROR, IMAGE, LOW_CONFIDENCE, Columns


def as_text(name: str) -> str:
    """Return a name as UTF-8 can hold it: what is no character in a file's name is written out."""
    return name.encode(errors="backslashreplace").decode()


class Lines(ABC):
    """A file that is open to be added to; `first` is a line that it begins with, or nothing.

    Every line is with the system before `append` returns, so that it outlives the process.
    """

    def __init__(self, path: Path, first: bytes = b"") -> None:
        """Open the file, or begin it; a last line that was broken off is cut away.

        Raises:
            UserError: another process is at it.
            LenextError: it cannot be opened.
        """
        self.path = path
        try:
            self._file = path.open("ab+")
            self._hold()
            end = self._whole()
            self._file.truncate(end)
            if not end and first:
                self._write(first)
        except OSError as error:
            raise LenextError(f"cannot write {path}: {error.strerror or one_line(error)}") from error

    def _hold(self) -> None:
        """Let no other process write the file."""
        with contextlib.suppress(ImportError):
            import fcntl

            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._file.close()
                raise UserError(f"another process is writing {self.path}; wait until it ends") from None

    @abstractmethod
    def _whole(self) -> int:
        """Return after how many bytes the last whole line ends."""

    @abstractmethod
    def _line(self, entry: Mapping[str, Any]) -> bytes:
        """Return an entry as a line."""

    @abstractmethod
    def entries(self) -> Iterator[dict[str, Any]]:
        """Yield what is there: of each entry at least image, error and low_confidence, those that it has.

        Raises:
            UserError: a line that cannot be read.
        """

    def append(self, entry: Mapping[str, Any]) -> None:
        """Add an entry.

        Raises:
            LenextError: the write failed.
        """
        try:
            self._write(self._line(entry))
        except OSError as error:
            raise LenextError(
                f"cannot write {self.path}: {error.strerror or one_line(error)}; what is there stays, and --resume "
                "goes on from it"
            ) from error

    def _write(self, line: bytes) -> None:
        self._file.write(line)
        self._file.flush()

    def close(self) -> None:
        """Bring all lines to the disk."""
        with contextlib.suppress(OSError):  # of which each line's own write has told
            os.fsync(self._file.fileno())
        self._file.close()

    def _damaged(self, line: int, error: object) -> UserError:
        return UserError(f"line {line} of {self.path} cannot be read: {error}; give another name, or mend the line")


class JsonLines(Lines):
    """One JSON object a line: the entry of `lenext predict --json`, its names such as UTF-8 can hold."""

    def _whole(self) -> int:
        self._file.seek(0)
        return sum(len(line) for line in self._file if line.endswith(b"\n"))

    def _line(self, entry: Mapping[str, Any]) -> bytes:
        told = {key: as_text(value) if isinstance(value, str) else value for key, value in entry.items()}
        return to_json(told).encode() + b"\n"

    def entries(self) -> Iterator[dict[str, Any]]:
        """Yield every entry.

        Raises:
            UserError: a line that cannot be read.
        """
        with self.path.open("rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    entry = json.loads(line)
                    if not isinstance(entry, dict) or not isinstance(entry.get(IMAGE), str):
                        raise ValueError("it names no image")
                except (ValueError, RecursionError) as error:
                    raise self._damaged(number, one_line(error)) from None
                yield entry


class CsvLines(Lines):
    """One row an entry, led by the names of the columns."""

    def __init__(self, path: Path, columns: Columns) -> None:
        """Open the file; see `Lines`."""
        self.columns = columns
        super().__init__(path, _csv_line(columns.names))

    def _whole(self) -> int:
        end = position = quotes = 0
        self._file.seek(0)
        for line in self._file:
            position += len(line)
            quotes += line.count(b'"')
            if line.endswith(b"\n") and not quotes % 2:  # within quotes, a line's end belongs to a name
                end = position
        return end

    def _line(self, entry: Mapping[str, Any]) -> bytes:
        return _csv_line([_told(value) for value in self.columns.row(entry).values()])

    def entries(self) -> Iterator[dict[str, Any]]:
        """Yield image, error and low_confidence of every row.

        Raises:
            UserError: a row that cannot be read, or other columns.
        """
        with self.path.open(encoding="utf-8", newline="") as file:
            rows = csv.reader(file, strict=True)
            try:
                names = next(rows, [])
                if names == self.columns.names:
                    yield from (self._named(row) for row in rows)
                    return
            except (csv.Error, ValueError) as error:
                raise self._damaged(rows.line_num, one_line(error)) from None
        raise UserError(f"{self.path} has other columns than those to write: {', '.join(names)[:200]}")

    def _named(self, row: list[str]) -> dict[str, Any]:
        names = self.columns.names
        if len(row) != len(names):
            raise ValueError(f"{len(row)} values in {len(names)} columns")
        found = dict(zip(names, row, strict=True))
        error = {ERROR: found[ERROR]} if found[ERROR] else {}
        return {IMAGE: found[IMAGE], **error, LOW_CONFIDENCE: found[LOW_CONFIDENCE] == "true"}


def _csv_line(values: list[str]) -> bytes:
    text = io.StringIO()
    # Of what ends a line elsewhere, csv does not quote by itself what ends none here.
    odd = any("\r" in value for value in values)
    csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL if odd else csv.QUOTE_MINIMAL).writerow(values)
    return text.getvalue().encode(errors="backslashreplace")


def _told(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.7g}" if isinstance(value, float) else str(value)
