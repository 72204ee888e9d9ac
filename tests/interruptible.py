"""Commands that a test interrupts: they hear SIGINT even where the tests' own parent ignores it, as nohup does."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def interruptible(*words: object, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Yield a command under way, its stderr to be read; whatever happens, it is gone afterwards."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # what is ignored is ignored in a child, too
    try:
        started = subprocess.Popen(
            [sys.executable, "-m", "lenext", *map(str, words)], stderr=subprocess.PIPE, text=True, **options
        )
    finally:
        signal.signal(signal.SIGINT, before)
    try:
        yield started
    finally:
        started.kill()
        started.communicate()
