"""Taking runs away: the files that lenext wrote into their folders, and nothing else."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

import filelock

from lenext.engines.remembered import FOLDER
from lenext.errors import LenextError, UserError
from lenext.files import is_folder
from lenext.runs.holding import is_held
from lenext.runs.run import Run, read_run
from lenext.training.folder.names import (
    ANSWERS,
    BESIDE,
    BOARD,
    CHECKPOINTS,
    IMAGES,
    LOCK,
    METRICS,
    MODEL,
    PULSE,
    RECORD,
    REPORT,
    START,
)
from lenext.training.folder.states import read_record

# What lenext writes into a run folder, in the order of removal: until the record goes, the folder is that of a run.
FILES = (MODEL, START, ANSWERS, REPORT, METRICS, IMAGES, PULSE, RECORD)
BELOW = {
    CHECKPOINTS: re.compile(r"step-\d+\.safetensors(\.damaged)?"),
    BOARD: re.compile(r"events\.out\.tfevents\..+"),
    FOLDER: re.compile(r"bench\.json|network\.(onnx|param|bin|json)"),
}
GRACE = 0.5  # seconds that a lock is waited for


@dataclass(frozen=True)
class Removal:
    """What taking a run away means: the files that go, of `size` bytes in all, and what `stays`, by its path."""

    run: Run
    files: list[Path]
    size: int
    stays: list[Path]


def plan_removal(path: Path) -> Removal:
    """Return what would be removed of the run folder at `path`; nothing is changed.

    Links are never followed: one that stands in the folder stays, as does anything that lenext does not write.

    Raises:
        UserError: no run folder, a link to one, one that a process has, or the folder that the command stands in.
    """
    if path.is_symlink():
        raise UserError(f"{path} is a link; to remove the run, give the folder that it leads to")
    if not is_folder(path):
        raise UserError(f"there is no run folder {path}")
    record = path / RECORD
    if record.is_symlink() or not record.is_file():
        raise UserError(f"{path} is not a run folder: it has no {RECORD}")
    try:
        read_record(path)
    except UserError as error:
        raise UserError(f"{error}; whether {path} is a run is not certain, so remove it by hand") from error
    here, there = Path.cwd().resolve(), path.resolve()
    if there == here or there in here.parents:
        raise UserError(f"{path} is the folder that you are in; go elsewhere to remove it")
    held = is_held(path)
    if held is None:
        raise UserError(f"whether a process is at work on {path} cannot be told by its {LOCK}; remove it by hand")
    if held:
        raise UserError(f"a process is at work on {path}; end it first")
    files, stays = _sorted_out(path)
    return Removal(read_run(path), files, sum(file.lstat().st_size for file in files), stays)


def remove(removal: Removal) -> list[Path]:
    """Remove the files of a run, and its folders where nothing else is in them; return what stays.

    Raises:
        UserError: a process has taken the run since.
        LenextError: a file cannot be removed.
    """
    path = Path(removal.run.run)
    lock = filelock.FileLock(path / LOCK)
    try:
        lock.acquire(timeout=GRACE)
    except filelock.Timeout:
        raise UserError(f"a process is at work on {path}; end it first") from None
    except OSError as error:
        raise LenextError(f"cannot remove {path}: {error.strerror}") from error
    try:
        files, stays = _sorted_out(path)
        for file in files:
            file.unlink()
        for folder in BELOW:
            if not (path / folder).is_symlink():
                with contextlib.suppress(OSError):  # it holds what stays, or is not there
                    (path / folder).rmdir()
    except OSError as error:
        raise LenextError(f"cannot remove {error.filename or path}: {error.strerror}") from error
    finally:
        with contextlib.suppress(OSError):
            (path / LOCK).unlink()
        lock.release()
    with contextlib.suppress(OSError):
        path.rmdir()
    return stays


def _sorted_out(path: Path) -> tuple[list[Path], list[Path]]:
    """Return the files in a run folder that lenext wrote, in the order of removal, and what else is there."""
    files: list[Path] = []
    stays: list[Path] = []
    try:
        with os.scandir(path) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
        for entry in listed:
            here = path / entry.name
            if entry.name == LOCK and _is_file(here):
                continue
            if entry.name in BELOW and entry.is_dir(follow_symlinks=False):
                for inner in sorted(here.iterdir()):
                    (files if _is_ours(inner, BELOW[entry.name]) else stays).append(inner)
            else:
                (files if _is_ours(here, None) else stays).append(here)
    except OSError as error:
        raise UserError(f"{error.filename} cannot be read: {error.strerror}") from error
    return sorted(files, key=lambda file: file.name == RECORD), stays


def _is_ours(path: Path, names: re.Pattern[str] | None) -> bool:
    """Say whether a path is a plain file, of a name that lenext gives."""
    beside = BESIDE.fullmatch(path.name)
    name = beside[1] if beside else path.name
    return _is_file(path) and bool(names.fullmatch(name) if names else name in FILES)


def _is_file(path: Path) -> bool:
    return stat.S_ISREG(path.lstat().st_mode)
