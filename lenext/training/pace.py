"""How far training has come, and how many steps are left: counted, or planned from the time that there is."""

from __future__ import annotations

import time
from dataclasses import dataclass

LONGEST = 1_000_000_000  # steps, before there is a plan
JUDGED = 1 / 3  # of the time that a step takes for as many images, until judging was timed


@dataclass
class Pace:
    """The steps of a training run.

    `steps` are planned, `step` of them done; `done` is the share of the way, which the schedule follows. `epoch` steps
    make an epoch, after which as many images are judged as `judged` steps have. With a `deadline`, an instant of the
    performance counter, the steps follow from the time that steps have taken so far, and are planned anew at each one.
    """

    steps: int
    epoch: int
    judged: float = 0.0
    deadline: float | None = None
    step: int = 0
    done: float = 0.0
    after: float | None = None  # seconds that judging and saving an epoch take
    timed: float = 0.0  # seconds of all steps but the first, which also allocates and compiles
    last: float = 0.0  # the instant at which the last step ended

    @property
    def finished(self) -> bool:
        """Whether no step is left."""
        return self.step >= self.steps

    @property
    def epochs(self) -> int:
        """How many epochs are planned, the last of which may be a part of one."""
        return -(-self.steps // self.epoch)

    @property
    def planned(self) -> bool:
        """Whether it is known how many steps there will be."""
        return self.steps < LONGEST

    def begin(self) -> float:
        """Note that an epoch begins, and return the instant."""
        self.last = time.perf_counter()
        return self.last

    def advance(self) -> None:
        """Count a step."""
        self.done = min(1.0, self.done + (1 - self.done) / max(1, self.steps - self.step))
        self.step += 1
        now = time.perf_counter()
        self.timed += now - self.last if self.step > 1 else 0.0
        self.last = now
        self._plan(now)

    def judge(self) -> None:
        """Note that the epoch was judged and saved."""
        now = time.perf_counter()
        self.after = now - self.last
        self._plan(now)

    def _plan(self, now: float) -> None:
        """Set the number of steps by the time that is left; judging and saving take their time once an epoch."""
        if self.deadline is None or self.finished:
            return
        if self.step == 1:  # which says nothing of the others, except when there is no time for them
            self.steps = self.steps if now < self.deadline else 1
            return
        seconds = max(self.timed / (self.step - 1), 1e-9)
        after = self.after if self.after is not None else JUDGED * self.judged * seconds
        behind = self.step % self.epoch  # steps that this epoch has made
        epochs, rest = divmod(max(0.0, self.deadline - now + behind * seconds), self.epoch * seconds + after)
        more = int(max(0.0, rest - after) / seconds)
        self.steps = max(self.step, self.step - behind + int(epochs) * self.epoch + more)
