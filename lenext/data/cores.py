"""How many cores this process may use; without joblib, whose import takes longer than naming an image."""

from __future__ import annotations

import contextlib
import math
import os
from pathlib import Path

# Where Linux tells how much time a container has on its cores: that and the length of a period, in either version.
QUOTAS = (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"))


def available_cores(controls: Path = Path("/sys/fs/cgroup")) -> int:
    """Return how many cores this process may use, of the machine's or of what its container leaves it."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    given = os.environ.get("LOKY_MAX_CPU_COUNT", "")  # which joblib heeds too
    limits = [int(given)] if given.isdecimal() else []
    for names in QUOTAS:
        with contextlib.suppress(OSError, ValueError):  # no container, or none with a limit
            quota, period = (float(part) for name in names for part in (controls / name).read_text().split())
            if quota > 0 and period > 0:
                limits.append(math.ceil(quota / period))
    return max(1, min([cores, *limits]))
