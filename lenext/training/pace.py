"""How far training has come, and how many steps are left: counted, or planned from the time that there is."""

from __future__ import annotations

import time
from dataclasses import dataclass

FIRST_PLAN = 10  # steps after which the first plan of a time is made
LONGEST = 1_000_000_000  # steps, before there is a plan
JUDGED = 1 / 3  # of the time that a step takes for an image, until judging was timed


@dataclass
class Pace:
    """The steps of a training run.

    `steps` are planned, `step` of them done; `done` is the share of the way, which the schedule follows. With a
    `deadline`, an instant of the performance counter, the steps follow from the time that steps take, of which `epoch`
    make an epoch, after which `judged` images are judged.
    """

    steps: int
    epoch: int
    judged: int = 0
    deadline: float | None = None
    step: int = 0
    done: float = 0.0
    after: float | None = None  # seconds that judging and saving an epoch take

    @property
    def finished(self) -> bool:
        """Whether no step is left."""
        return self.step >= self.steps

    @property
    def epochs(self) -> int:
        """How many epochs are planned, the last of which may be a part of one."""
        return -(-self.steps // self.epoch)

    def advance(self) -> None:
        """Count a step."""
        self.done = min(1.0, self.done + (1 - self.done) / max(1, self.steps - self.step))
        self.step += 1

    def plan(self, seconds_a_step: float, images_a_step: int) -> None:
        """Set the number of steps by the time that is left; judging and saving take their time once an epoch."""
        if self.deadline is None:
            return
        after = self.after if self.after is not None else JUDGED * self.judged * seconds_a_step / images_a_step
        left = self.deadline - time.perf_counter()
        behind = self.step % self.epoch  # steps that this epoch has made
        whole = self.epoch * seconds_a_step + after
        epochs, rest = divmod(max(0.0, left + behind * seconds_a_step), whole)
        more = int(max(0.0, rest - after) / seconds_a_step)
        planned = int(epochs) * self.epoch + min(more, self.epoch)
        self.steps = max(self.step + 1, self.step - behind + planned)
