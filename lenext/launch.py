"""What torchrun tells the processes that it starts, by their environment."""

from __future__ import annotations

import os


def launched() -> dict[str, str] | None:
    """Return what tells this launch by torchrun from others, the same after it restarts its processes, or None."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return None
    names = ("TORCHELASTIC_RUN_ID", "MASTER_ADDR")
    agent = {} if os.environ.get("GROUP_WORLD_SIZE", "1") != "1" else {"agent": str(os.getppid())}
    return {**{name.lower(): os.environ.get(name, "") for name in names}, **agent}


def local_processes() -> int:
    """Return how many processes of this launch share this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def restarted() -> bool:
    """Say whether torchrun has started its processes again, as some had failed."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0
