"""Batching: images of all clients wait in one bounded line, and threads answer those of one model together."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from lenext.serving.refusal import RefusalError

WINDOW = 0.002  # seconds that a first image waits for others
MOST = 8  # images that are answered together; more are no faster on a CPU

Answer = Callable[[Sequence[Any]], Sequence[Any]]


@dataclass
class _Asked:
    """An image that waits: whose it is, what it is, and what becomes of it."""

    answer: Answer
    image: Any
    future: Future[Any] = field(default_factory=Future)


class Line:
    """Images that wait for their turn, and the threads that answer them.

    line = Line(threads=2, waiting=256)
    line.ask(answer, [image])[0].result()    # answer([image])[0]
    line.close()

    Each thread takes the first image and those of the same `answer` that have come since; where none has, it waits for
    `WINDOW` seconds. An exception that `answer` raises is that of each of its images.
    """

    def __init__(self, *, threads: int, waiting: int) -> None:
        self.bound = waiting
        self._waiting: deque[_Asked] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._taken = 0.1  # seconds an image, lately
        self._threads = [
            threading.Thread(target=self._work, name=f"answers-{number}", daemon=True) for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def is_open(self) -> bool:
        """Whether an image that came now would be taken."""
        return not self._closed and len(self._waiting) < self.bound

    def ask(self, answer: Answer, images: Sequence[Any]) -> list[Future[Any]]:
        """Put images in the line, all or none of them.

        Raises:
            RefusalError: there is no room for so many, or the line is closed.
        """
        asked = [_Asked(answer, image) for image in images]
        with self._changed:
            if self._closed:
                raise RefusalError(503, "the server is about to end; ask another one", {"Retry-After": "5"})
            if len(self._waiting) + len(asked) > self.bound:
                seconds = max(1, round(len(self._waiting) * self._taken / len(self._threads)))
                raise RefusalError(
                    503,
                    f"{len(self._waiting)} images wait already; ask again in {seconds} s",
                    {"Retry-After": f"{seconds}"},
                )
            self._waiting.extend(asked)
            self._changed.notify(len(asked))
        return [each.future for each in asked]

    def drop(self, futures: Sequence[Future[Any]]) -> None:
        """Take out of the line what still waits of these."""
        if sum(future.cancel() for future in futures):
            with self._changed:
                self._waiting = deque(each for each in self._waiting if not each.future.cancelled())

    def close(self) -> None:
        """Answer what waits, and end the threads."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while (together := self._next()) is not None:
            began = time.perf_counter()
            try:
                answers = together[0].answer([each.image for each in together])
                for each, found in zip(together, answers, strict=True):
                    each.future.set_result(found)
            except Exception as error:
                for each in together:
                    if not each.future.done():
                        each.future.set_exception(error)
            took = (time.perf_counter() - began) / len(together)
            self._taken += 0.1 * (took - self._taken)

    def _next(self) -> list[_Asked] | None:
        """Return the images to answer next, those whose clients have gone left out; None when there will be no more."""
        with self._changed:
            while True:
                while not self._waiting and not self._closed:
                    self._changed.wait()
                if not self._waiting:
                    return None
                first = self._waiting.popleft()
                if not self._waiting and not self._closed:
                    self._changed.wait(WINDOW)
                together = [first]
                while self._waiting and len(together) < MOST and self._waiting[0].answer == first.answer:
                    together.append(self._waiting.popleft())
                if self._waiting:  # the call that announced them may have woken this thread, which leaves them
                    self._changed.notify()
                wanted = [each for each in together if each.future.set_running_or_notify_cancel()]
                if wanted:
                    return wanted
