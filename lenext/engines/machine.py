"""What a machine and a file are told by, so that what was learned on one is not believed of another."""

from __future__ import annotations

import contextlib
import functools
import platform
from pathlib import Path

from lenext.data.cores import available_cores


@functools.cache
def machine() -> str:
    """Return the processor's name and how many cores this process may use."""
    return f"{_processor()}, {available_cores()} cores"


def _processor() -> str:
    with contextlib.suppress(OSError):  # not Linux
        told: dict[str, str] = {}
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            key, colon, value = line.partition(":")
            if not colon:  # what follows is the next core
                break
            told[key.strip()] = value.strip()
        if "model name" in told:  # which of virtual machines may be vague
            known = [f"{key} {told[key]}" for key in ("cpu family", "model", "stepping") if key in told]
            return f"{told['model name']} ({', '.join(known)})"
    return platform.processor() or platform.machine()


def file_state(path: Path) -> list[int]:
    """Return size and time of the last change, which tell whether a file is still the same.

    Raises:
        OSError: it cannot be looked at.
    """
    state = path.stat()
    return [state.st_size, state.st_mtime_ns]
