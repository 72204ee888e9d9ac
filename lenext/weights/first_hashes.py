"""The hash that each published file had when it was first downloaded, to compare every later one with."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lenext.errors import LenextError, UserError
from lenext.files import parse_stamped, stamped, to_json, user_cache, write_text


def record_path() -> Path:
    """Return where the record is: in the user's cache."""
    return user_cache() / "first-hashes.json"


def require_first_hash(name: str, sha256: str) -> None:
    """Record the hash of the file called `name` where none is; a record that cannot be written is done without.

    Raises:
        LenextError: another one was recorded.
        UserError: the record is damaged.
    """
    path = record_path()
    record = _read(path)
    first = record["files"].get(name)
    if first is None:
        today = datetime.now(UTC).date().isoformat()
        record["files"][name] = {"sha256": sha256, "date": today}
        with contextlib.suppress(LenextError, OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_text(path, to_json(record, indent=2) + "\n")
    elif first["sha256"] != sha256:
        raise LenextError(
            f"{name} is not the file of the first download on {first['date']}: its SHA-256 was {first['sha256']} "
            f"and is {sha256}; where that is wanted, take its entry out of {path}"
        )


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return stamped({"files": {}})
    try:
        record = parse_stamped(path.read_text(encoding="utf-8", errors="replace"), str(path))
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    files = record.get("files")
    entries = files.values() if isinstance(files, dict) else [None]
    if not all(isinstance(entry, dict) and {"sha256", "date"} <= entry.keys() for entry in entries):
        raise UserError(f"{path} is damaged: it is no record of hashes; move it away, and it is begun anew")
    return record
