"""Ctrl-C and SIGTERM while training: the step under way ends, and a checkpoint is written, before the process does."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from lenext.errors import Terminated
from lenext.progress import Progress
from lenext.training.keeping import Keeping

RAISED: dict[signal.Signals, type[BaseException]] = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: Terminated}


@contextlib.contextmanager
def checkpoint_on_signal(keeping: Keeping, progress: Progress) -> Iterator[None]:
    """Let the first signal ask for a checkpoint while training steps are under way; a second one stops at once.

    Where a signal finds nothing that can be asked, it is raised: SIGINT as KeyboardInterrupt, SIGTERM as Terminated. A
    program that leaves SIGTERM to the system is ended by it, after the checkpoint.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ask(number: int, _frame: FrameType | None) -> None:
        error = RAISED[signal.Signals(number)]()
        if not keeping.patient or keeping.stop is not None:
            raise error
        keeping.stop = error
        with contextlib.suppress(RuntimeError):  # it came while a line was being written
            progress.note("stopping as soon as what is under way is written; the same again stops at once")

    before = {each: signal.getsignal(each) for each in RAISED}
    asked = {each: handler for each, handler in before.items() if handler is not signal.SIG_IGN}
    for each in asked:
        signal.signal(each, ask)
    try:
        yield
    finally:
        for each, handler in asked.items():
            signal.signal(each, handler)
        if isinstance(keeping.stop, Terminated) and before[signal.SIGTERM] is signal.SIG_DFL:
            os.kill(os.getpid(), signal.SIGTERM)
