from __future__ import annotations

import random

import pytest

from lenext.training import pace as module
from lenext.training.pace import LONGEST, Pace


class Clock:
    """Stands in for `time`: its instants are set by the test."""

    def __init__(self) -> None:
        self.now = 100.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    fake = Clock()
    monkeypatch.setattr(module, "time", fake)
    return fake


def train(
    pace: Pace, clock: Clock, *, first: float = 0.0, step: float, judging: float, jitter: float = 0.0
) -> tuple[int, list[float]]:
    """Go through a training as the loop does; return the epochs that were made, and the shares of the way."""
    generator, epochs, shares = random.Random(0), 0, list[float]()
    while not pace.finished:
        pace.begin()
        epochs += 1
        for _ in range(pace.epoch):
            shares.append(pace.done)
            clock.now += step * generator.uniform(1 - jitter, 1 + jitter) + (first if not pace.step else 0)
            pace.advance()
            if pace.finished:
                break
        clock.now += judging
        pace.judge()
        assert epochs < 10_000
    return epochs, [*shares, pace.done]


def test_without_a_deadline_the_steps_are_counted(clock: Clock) -> None:
    pace = Pace(30, 10)
    epochs, shares = train(pace, clock, step=1, judging=1)
    assert (epochs, pace.step, pace.epochs) == (3, 30, 3)
    assert shares == pytest.approx([k / 30 for k in range(31)])


@pytest.mark.parametrize("step", [0.01, 0.1, 1.0])
@pytest.mark.parametrize("an_epoch", [1, 7, 46, 10_000])
@pytest.mark.parametrize(("first", "jitter"), [(0.0, 0.0), (15.0, 0.9)])
def test_the_deadline_is_kept_and_the_time_is_used(
    clock: Clock, step: float, an_epoch: int, first: float, jitter: float
) -> None:
    judging = 0.3 * step
    pace = Pace(LONGEST, an_epoch, judged=1, deadline=clock.now + 60)
    began = clock.now
    _, shares = train(pace, clock, first=first, step=step, judging=judging, jitter=jitter)
    took = clock.now - began
    assert took <= 60 + 2 * step
    assert took >= 57 - 3 * step
    assert shares == sorted(shares)
    assert all(0 <= share <= 1 for share in shares)
    assert shares[-1] == pytest.approx(1, abs=0.02 if jitter else 1e-9)


def test_a_slow_first_step_spoils_no_plan(clock: Clock) -> None:
    pace = Pace(LONGEST, 50, deadline=clock.now + 100)
    _, shares = train(pace, clock, first=30, step=0.1, judging=0.5)
    assert shares[40] < 0.1, "the way is not taken for shorter than it is"
    assert pace.step > 500


def test_the_way_follows_when_steps_become_slow(clock: Clock) -> None:
    began, pace, shares = clock.now, Pace(LONGEST, 1000, deadline=clock.now + 100), list[float]()
    pace.begin()
    while not pace.finished:
        shares.append(pace.done)
        clock.now += 0.1 if clock.now < began + 50 else 0.2
        pace.advance()
    assert clock.now - began < 101
    assert shares == sorted(shares)
    assert shares[-1] > 0.9


@pytest.mark.parametrize(("step", "most"), [(70.0, 1), (40.0, 2)])
def test_where_there_is_time_for_next_to_nothing(clock: Clock, step: float, most: int) -> None:
    pace = Pace(LONGEST, 100, judged=1, deadline=clock.now + 60)
    assert train(pace, clock, step=step, judging=5)[0] == 1
    assert 1 <= pace.step <= most


def test_judging_that_takes_long_leaves_fewer_epochs(clock: Clock) -> None:
    began, pace = clock.now, Pace(LONGEST, 10, judged=1, deadline=clock.now + 100)
    epochs, _ = train(pace, clock, step=0.1, judging=20)
    assert epochs <= 5
    assert clock.now - began <= 121
