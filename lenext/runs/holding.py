"""Whether a living process has a run folder."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

from lenext.training.folder.names import LOCK


def is_held(run: Path) -> bool | None:
    """Say whether a living process has the run folder; None where that cannot be told.

    Nothing is made or written. Those who ask share the lock, so that none of them takes another for a training.
    """
    path = run / LOCK
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return None
        return _is_locked(path)
    except FileNotFoundError:
        return False
    except OSError:
        return None


if sys.platform == "win32":

    def _is_locked(path: Path) -> bool:
        import filelock

        try:
            with filelock.FileLock(path, timeout=0):
                return False
        except filelock.Timeout:
            return True

else:

    def _is_locked(path: Path) -> bool:
        import fcntl

        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(handle)  # which gives the lock back
        return False
