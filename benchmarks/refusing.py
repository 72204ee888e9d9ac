"""How long `lenext predict` takes to refuse each hostile file, and how much memory it needs for it.

    python benchmarks/refusing.py

Each file is given to a process of its own; seconds and peak memory are those of the whole process, from its start.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from hostile import HOSTILE, MARK
from rounds import machine

MOST_SECONDS, MOST_BYTES = 2.0, 1 << 30


def main() -> int:
    """Print a line a file, and return how many were not refused in one line within the limits."""
    failed = 0
    rows = []
    for name, (suffix, _, write) in HOSTILE.items():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"weights{suffix}"
            write(path)
            code, seconds, memory, lines = refused(path)
            sound = code == 2 and len(lines) == 1 and seconds < MOST_SECONDS and memory < MOST_BYTES
            sound = sound and not (Path(folder) / MARK).exists()
        failed += not sound
        rows.append((seconds, memory))
        line = lines[0].replace(str(path), path.name)[:90] if lines else ""
        print(f"{'' if sound else 'FAILED '}{name}: {seconds:.2f} s, {memory >> 20} MiB, {line}", flush=True)
    slowest, largest = (max(figures) for figures in zip(*rows, strict=True))
    print(f"{len(HOSTILE)} files, {failed} failed; at most {slowest:.2f} s and {largest >> 20} MiB")
    print(machine())
    return failed


def refused(path: Path) -> tuple[int, float, int, list[str]]:
    """Return exit code, seconds, peak memory in bytes, and the lines of standard error."""
    command = [sys.executable, "-m", "lenext", "predict", "lenet5", "--weights", str(path), "a.png"]
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        lines = process.stderr.read().splitlines()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, time.perf_counter() - began, usage.ru_maxrss << 10, lines


if __name__ == "__main__":
    sys.exit(main() > 0)
