"""Where the arithmetic is done: the device, and how many threads."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
from collections.abc import Iterator

import torch

from lenext.errors import UserError

TRIM_THRESHOLD, MMAP_MAX = -1, -4  # what glibc's mallopt calls them


def choose_device(name: str = "auto") -> torch.device:
    """Return the device called `name`; `auto` is a GPU where there is one.

    Raises:
        UserError: no such device here.
    """
    if name == "auto":
        return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    try:
        device = torch.device(name)
        (torch.ones(1, device=device) + 1).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UserError(f"the device {name!r} cannot be used here; give cpu, or auto") from error
    return device


def set_threads(threads: int | None) -> None:
    """Let PyTorch use so many threads; None keeps its own choice.

    Raises:
        UserError: less than one, or far more than there are cores.
    """
    if threads is None:
        return
    most = max(64, 4 * (os.cpu_count() or 1))
    if not 1 <= threads <= most:
        raise UserError(f"threads {threads} cannot be; give 1 to {most}")
    torch.set_num_threads(threads)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Let PyTorch use one thread for what is inside."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def keep_memory() -> None:
    """Let the C library keep the memory that tensors give back, so that it need not be asked for at every step.

    Images and activations are beyond what it keeps by itself, and fresh pages cost as much as normalising what goes
    into them. The process does not shrink any more; this is for one that trains.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    library = ctypes.CDLL(None)
    library.mallopt(MMAP_MAX, 0)
    library.mallopt(TRIM_THRESHOLD, 2**31 - 1)
