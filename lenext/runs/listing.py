"""Which runs there are below a folder."""

from __future__ import annotations

import contextlib
import os
from datetime import UTC, datetime
from pathlib import Path

from lenext.errors import UserError
from lenext.files import is_folder
from lenext.runs.run import Run, read_run
from lenext.training.folder.names import RECORD


def find_runs(folder: Path) -> list[Run]:
    """Return the runs below `folder`, or that one where it is a run folder itself, the newest first.

    Folders whose names begin with a dot are passed over, and links are followed only to run folders.

    Raises:
        UserError: there is no such folder, or it cannot be read.
    """
    if not is_folder(folder):
        raise UserError(f"there is no folder {folder}; give one that holds runs, or a run folder")
    try:
        os.scandir(folder).close()
    except OSError as error:
        raise UserError(f"{folder} cannot be read: {error.strerror}") from error
    return sorted((read_run(path) for path in _run_folders(folder)), key=_when, reverse=True)


def is_run(folder: Path) -> bool:
    """Say whether `folder` is that of a run, be it damaged."""
    return is_folder(folder) and os.path.lexists(folder / RECORD)


def _run_folders(folder: Path) -> list[Path]:
    found = []
    for root, folders, _ in os.walk(folder):
        here = Path(root)
        if is_run(here):
            found.append(here)
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [here / name for name in folders if (here / name).is_symlink() and is_run(here / name)]
    return found


def _when(run: Run) -> tuple[float, str]:
    """Return when a run began, or where it does not say, when its record was written."""
    with contextlib.suppress(ValueError):
        began = datetime.fromisoformat(run.started or "")
        return (began if began.tzinfo else began.replace(tzinfo=UTC)).timestamp(), run.run
    with contextlib.suppress(OSError):
        return (Path(run.run) / RECORD).lstat().st_mtime, run.run
    return 0.0, run.run
