"""`OneByOne`: work in a thread, one piece at a time, for which only a few may wait."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from anyio import CapacityLimiter, to_thread

from lenext.serving.refusal import RefusalError

T = TypeVar("T")

MOST = 16  # pieces of work that wait


class OneByOne:
    """Does work in a thread, one piece after another."""

    def __init__(self) -> None:
        self._turn = CapacityLimiter(1)
        self._asked = 0  # pieces that wait, and the one that is done

    async def run(self, work: Callable[..., T], *arguments: Any) -> T:
        """Return what `work` returns, once its turn has come.

        Raises:
            RefusalError: too many wait already.
        """
        if self._asked > MOST:
            raise RefusalError(503, f"{MOST} others wait for this already; ask again in a second", {"Retry-After": "1"})
        self._asked += 1
        try:
            return await to_thread.run_sync(work, *arguments, limiter=self._turn)
        finally:
            self._asked -= 1
