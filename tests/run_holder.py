"""A run folder that another process is at work on."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Holds a run folder as a training does, beats its pulse once, says so, and waits to be told to end.
HOLDER = """
import sys
from pathlib import Path
import filelock
from lenext.training.folder.pulse import PulseFile
run = Path(sys.argv[1])
with filelock.FileLock(run / ".lock"):
    file = PulseFile(run)
    for name, value in dict(executed=120, step=120, steps=460, epoch=3, epochs=10, loss=0.4321, lr=0.00213,
                            images_per_second=1234.0, left=83.0).items():
        setattr(file.pulse, name, value)
    file.beat()
    print("held", flush=True)
    sys.stdin.read()
    (run / ".lock").unlink()
"""


@contextmanager
def held(run: Path) -> Iterator[subprocess.Popen[str]]:
    """Let another process be at work on a run folder."""
    words = [sys.executable, "-c", HOLDER, str(run)]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.stdin.close()
        process.wait(timeout=10)
        process.stdout.close()
