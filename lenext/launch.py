"""What torchrun tells the processes that it starts, by their environment."""

from __future__ import annotations

import os


def launch_name() -> str | None:
    """Return what torchrun's launch is called (`--rdzv-id`), or None where it has not started this process."""
    return os.environ.get("TORCHELASTIC_RUN_ID")


def leads() -> bool:
    """Say whether this process is the one that tells the user, the first of its launch."""
    return os.environ.get("RANK", "0") == "0"


def launch_began() -> float:
    """Return when the process that started this one began, in seconds since 1970."""
    import psutil

    return float(psutil.Process(os.getppid()).create_time())


def local_processes() -> int:
    """Return how many processes of this launch share this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def restarted() -> bool:
    """Say whether torchrun has started its processes again, as some had failed."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0
