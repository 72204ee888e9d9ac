"""What was seen of files, kept in the user's cache, so that files which have not changed are not looked at again."""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

from lenext.files import user_cache

if TYPE_CHECKING:
    from lenext.data.source import Item

DAYS = 90  # that what was seen of a folder is kept after the last check
WAIT = 5.0  # seconds for another check of the same folder


class Memory:
    """A file in the cache for each place that was checked, which maps keys of files to what was seen of them.

    It is a help alone: whatever is wrong with it, files are looked at anew. A file's key follows from its path, size
    and the time of its last change; of images that are no files nothing is kept.
    """

    def __init__(self, place: Path, version: int, size: int) -> None:
        """Open what is kept of `place`; entries of another version or another size than `size` bytes are forgotten."""
        self.size, self.place = size, place
        self.folder = user_cache() / "checks"
        self._database: sqlite3.Connection | None = None
        name = hashlib.blake2b(str(place.absolute()).encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
        path = self.folder / f"{name}.sqlite"
        for again in (False, True):
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                self._database = self._opened(path, version)
                return
            except sqlite3.DatabaseError:
                if again:
                    return
                with contextlib.suppress(OSError):  # damaged
                    path.unlink()
            except OSError:
                return

    def _opened(self, path: Path, version: int) -> sqlite3.Connection:
        database = sqlite3.connect(path, timeout=WAIT, isolation_level=None)
        try:
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("PRAGMA synchronous=OFF")  # what a power cut takes is looked at again
            if database.execute("PRAGMA user_version").fetchone()[0] != version:
                database.execute("DROP TABLE IF EXISTS looks")
                database.execute(f"PRAGMA user_version={version}")
            database.execute("CREATE TABLE IF NOT EXISTS looks (key BLOB PRIMARY KEY, value BLOB, seen REAL)")
        except BaseException:
            database.close()
            raise
        return database

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Forget what was not asked for in a long time, here and in other files."""
        old = time.time() - DAYS * 86400
        self._try(lambda database: database.execute("DELETE FROM looks WHERE seen < ?", [old]))
        if self._database is not None:
            self._database.close()
        with contextlib.suppress(OSError):
            for path in self.folder.glob("*.sqlite"):
                if path.stat().st_mtime < old:
                    path.unlink()

    def _try(self, work: Callable[[sqlite3.Connection], object]) -> None:
        """Work with the database, and do without it from the first error on."""
        if self._database is None:
            return
        try:
            work(self._database)
        except sqlite3.Error:
            self._database.close()
            self._database = None

    def key(self, item: Item) -> bytes | None:
        """Return the key of a file as it is now, or None for what is no file."""
        if self._database is None or not isinstance(item, Path):
            return None
        try:
            state = item.stat()
        except (OSError, ValueError):
            return None
        told = f"{item.absolute()}\0{state.st_size}\0{state.st_mtime_ns}"
        return hashlib.blake2b(told.encode("utf-8", "surrogateescape"), digest_size=16).digest()

    def recall(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return what is kept under these keys, whole and undamaged."""
        found: dict[bytes, bytes] = {}
        marks, now = ",".join("?" * len(keys)), time.time()

        def find(database: sqlite3.Connection) -> None:
            for key, value in database.execute(f"SELECT key, value FROM looks WHERE key IN ({marks})", keys):
                if isinstance(value, bytes) and len(value) == self.size + 4 and _checksum(value[4:]) == value[:4]:
                    found[bytes(key)] = value[4:]
            told = [now, now - 86400, *keys]
            database.execute(f"UPDATE looks SET seen = ? WHERE seen < ? AND key IN ({marks})", told)

        self._try(find)
        return found

    def keep(self, looks: Mapping[bytes, bytes]) -> None:
        """Keep what was seen under its keys."""
        rows = [(key, _checksum(value) + value, time.time()) for key, value in looks.items()]
        self._try(lambda database: database.executemany("INSERT OR REPLACE INTO looks VALUES (?, ?, ?)", rows))


def _checksum(value: bytes) -> bytes:
    return zlib.crc32(value).to_bytes(4, "little")
