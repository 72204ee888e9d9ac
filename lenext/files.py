"""Writing files so that nothing is ever half there, and reading JSON that carries a format number."""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lenext.errors import LenextError, UserError, one_line

FORMAT = 1


def exists(path: str | Path) -> bool:
    """Say whether something is there; a name that no file can have is not there, where Path.exists would raise."""
    return os.path.exists(path)  # noqa: PTH110


def is_folder(path: str | Path) -> bool:
    """Say whether a folder is there; see `exists`."""
    return os.path.isdir(path)  # noqa: PTH112


def user_cache() -> Path:
    """Return the folder of lenext in the user's cache."""
    given = os.environ.get("XDG_CACHE_HOME")
    return (Path(given) if given else Path.home() / ".cache") / "lenext"


def require_suffix(path: Path, suffixes: tuple[str, ...], what: str) -> None:
    """Raise UserError where the name of a file does not say that it holds `what`."""
    if path.suffix.lower() not in suffixes:
        raise UserError(f"{path} cannot hold {what}; give a name that ends in {' or '.join(suffixes)}")


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a file beside `path`, flush it to disk, and rename it to `path`.

    Where any step fails, whatever stood at `path` is untouched and nothing is left beside it.

    Raises:
        LenextError: the write failed (disk full, no permission).
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write(beside)
        with beside.open("rb+") as file:
            os.fsync(file.fileno())
        beside.replace(path)
        _flush_folder(path.parent)
    except BaseException as error:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        if isinstance(error, Exception):
            raise LenextError(f"cannot write {path}: {_reason(error)}; what was there before is untouched") from error
        raise


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, beside and renamed; see `write_atomically`."""
    # A file name that is no UTF-8 reaches here with lone surrogates.
    write_atomically(path, lambda beside: beside.write_text(text, encoding="utf-8", errors="backslashreplace"))


def create_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 to a new file, which is there whole or not at all.

    Raises:
        FileExistsError: something is there already.
        OSError: the write failed.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with beside.open("w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        try:
            path.hardlink_to(beside)
        except FileExistsError:
            raise
        except OSError:  # a file system without links
            with path.open("x", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
    finally:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)


def to_json(value: Any, *, indent: int | None = None) -> str:
    """Return `value` as JSON, readable where it can be, and valid always (no NaN)."""
    text = json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        text = json.dumps(value, indent=indent, allow_nan=False)
    return text


def stamped(value: dict[str, Any]) -> dict[str, Any]:
    """Return `value` led by the format number and the version that writes it."""
    return {"format": FORMAT, "lenext_version": version("lenext"), **value}


def parse_stamped(text: str, where: str) -> dict[str, Any]:
    """Return the JSON object in `text` whose format this version knows.

    Raises:
        UserError: not JSON, not an object, or of a format that this version does not know.
    """
    try:
        value = json.loads(text, parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{where} is damaged: {one_line(error)}") from error
    if not isinstance(value, dict) or "format" not in value:
        raise UserError(f"{where} is damaged: it carries no format number")
    if value["format"] != FORMAT:
        writer = value.get("lenext_version", "an unknown version")
        raise UserError(
            f"{where} has format {value['format']!r}, written by lenext {writer}; this is lenext "
            f"{version('lenext')}, which reads format {FORMAT}: use the version that wrote it"
        )
    return value


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is beyond what a number can be")
    return value


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number of JSON")


def _reason(error: Exception) -> str:
    return error.strerror or one_line(error) if isinstance(error, OSError) else one_line(error)


def _flush_folder(folder: Path) -> None:
    if os.name == "nt":  # a folder cannot be opened there
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
