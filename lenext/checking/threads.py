"""Threads that end at once when what they work for is broken off."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager


@contextmanager
def hurried(pool: ThreadPoolExecutor) -> Iterator[ThreadPoolExecutor]:
    """Give the pool, and drop what waits in it where an error or Ctrl-C ends the work."""
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()
