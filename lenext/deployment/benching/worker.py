"""The process of one engine: it reads lines of JSON that say what to do, answers with others, and ends with its parent.

When the parent is gone, however it went, reading meets the end; then this process ends at once, with any that it has
started, such as a compiler.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any, TextIO

Request = dict[str, Any]


class Asked:
    """An engine that is asked by another process."""

    def __init__(self) -> None:
        self.engine: Any = None
        self.form: Any = None
        self.pixels: dict[int, Any] = {}

    def open(self, request: Request) -> Request:
        """Load the engine; what it takes, its library included, is timed."""
        began = time.perf_counter()
        accelerator = False
        name, threads = request["engine"], request["threads"]
        if request["file"] is None:
            import torch

            from lenext.classifier import load
            from lenext.deployment.benching.torch_engine import PyTorch

            torch.set_num_threads(threads)
            classifier = load(request["target"], weights=request["weights"], device="cpu")
            self.engine, self.form = PyTorch(classifier, compiled=name == "compiled"), classifier.form
            accelerator = torch.accelerator.is_available()
        else:
            from lenext.engines.exported import read_exported
            from lenext.engines.opening import open_engine

            file = read_exported(request["file"])
            self.engine, self.form = open_engine(file, name, threads=threads), file.given
        return {"seconds": time.perf_counter() - began, "accelerator": accelerator}

    def logits(self, request: Request) -> Request:
        """Answer pictures, so many at once."""
        from lenext.engines.exported import LOGITS

        pixels, batch = self._pictures(request["pictures"]), request["batch"]
        parts = [self.engine.answer(pixels[at : at + batch], LOGITS) for at in range(0, len(pixels), batch)]
        return {"logits": [row.tolist() for part in parts for row in part]}

    def time(self, request: Request) -> Request:
        """Ask about the same pictures so often, and return how long each time took, in milliseconds."""
        pixels, taken = self._pictures(request["batch"]), []
        for _ in range(request["calls"]):
            began = time.perf_counter()
            self.engine.answer(pixels)
            taken.append(1000 * (time.perf_counter() - began))
        return {"ms": taken}

    def memory(self, _request: Request) -> Request:
        """Return the most memory that the process has had."""
        return {"bytes": peak_memory()}

    def _pictures(self, count: int) -> Any:
        from lenext.deployment.benching.pictures import pixels_of

        if count not in self.pixels:
            self.pixels[count] = pixels_of(count, self.form)
        return self.pixels[count]


def peak_memory() -> int:
    """Return the most memory that this process has had, in bytes."""
    try:
        with open("/proc/self/status", encoding="ascii") as status:  # noqa: PTH123
            told = next(line for line in status if line.startswith("VmHWM"))
        return int(told.split()[1]) * 1024
    except (OSError, StopIteration):  # not Linux
        try:
            import resource
        except ImportError:
            return 0
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def requests() -> Iterator[Request]:
    """Yield what the parent asks; a thread of its own reads it, so that the end is noticed in the middle of work."""
    waiting: queue.SimpleQueue[Request] = queue.SimpleQueue()

    def read() -> None:
        for line in sys.stdin:
            waiting.put(json.loads(line))
        if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
            os.killpg(os.getpid(), signal.SIGKILL)
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    while True:
        yield waiting.get()


def own_output() -> TextIO:
    """Return the pipe to the parent; whatever else is printed goes to standard error from here on."""
    pipe = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return pipe


def main() -> None:
    """Do what is asked until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    asked, output = Asked(), own_output()
    for request in requests():
        try:
            answer = getattr(asked, request["do"])(request)
        except Exception as error:
            from lenext.errors import one_line

            answer = {"error": one_line(error)}
        output.write(json.dumps(answer) + "\n")
        output.flush()


if __name__ == "__main__":
    main()
