from __future__ import annotations

import math
from typing import Any

import pytest

from lenext.training.pace import Pace
from lenext.training.recipes import Recipe, Situation, make_recipe
from lenext.training.schedule import rate_share


def recipe(**values: Any) -> Recipe:
    return make_recipe("sgd", Situation(train_images=100), {"warmup": 0, "warmup_start": 0, **values})


def rates(recipe: Recipe, steps: int) -> list[float]:
    """Return the shares of all steps, the way being added up as training does."""
    pace, found = Pace(steps, steps), []
    while not pace.finished:
        found.append(rate_share(recipe, pace.done, pace.steps))
        pace.advance()
    return found


@pytest.mark.parametrize("steps", [10, 90, 990])
def test_a_step_falls_at_its_milestone_and_not_a_step_late(steps: int) -> None:
    made = recipe(schedule="step", milestones=(0.3, 0.6, 0.8), factors=(0.2, 0.04, 0.008))
    expected = [1.0] * (steps * 3 // 10) + [0.2] * (steps * 3 // 10)
    expected += [0.04] * (steps * 2 // 10) + [0.008] * (steps * 2 // 10)
    assert rates(made, steps) == expected


@pytest.mark.parametrize("an_epoch", [1, 3, 7, 391])
def test_an_exponential_falls_after_so_many_epochs(an_epoch: int) -> None:
    made = recipe(schedule="exponential", epochs=10, decay=0.5, decay_epochs=4)
    assert rates(made, 10 * an_epoch) == [1.0] * 4 * an_epoch + [0.5] * 4 * an_epoch + [0.25] * 2 * an_epoch


def test_a_decay_more_than_once_an_epoch() -> None:
    made = recipe(schedule="exponential", epochs=2, decay=0.5, decay_epochs=0.5)
    assert rates(made, 8) == [1, 1, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125]


def test_the_line_and_the_constant_by_hand() -> None:
    assert rates(recipe(schedule="linear"), 4) == pytest.approx([1, 0.75, 0.5, 0.25])
    assert rates(recipe(schedule="constant"), 3) == [1, 1, 1]


def test_a_warmup_rises_in_equal_steps_from_where_it_starts() -> None:
    assert rates(recipe(schedule="constant", warmup=0.4), 10) == pytest.approx([0.2, 0.4, 0.6, 0.8] + [1.0] * 6)
    started = rates(recipe(schedule="constant", warmup=0.4, warmup_start=0.5), 10)
    assert started == pytest.approx([0.5, 0.625, 0.75, 0.875] + [1.0] * 6)


def test_a_constant_warmup_stays_where_it_starts() -> None:
    made = recipe(
        schedule="step", milestones=(0.5,), factors=(0.1,), warmup=0.2, warmup_start=0.1, warmup_shape="constant"
    )
    assert rates(made, 10) == [0.1] * 2 + [1.0] * 3 + [0.1] * 5


def test_one_cycle_by_hand() -> None:
    found = rates(recipe(schedule="onecycle", warmup=0.5), 8)
    rising = [1 / 25 + (24 / 25) * (0.5 - 0.5 * math.cos(math.pi * k / 4)) for k in range(4)]
    falling = [4e-6 + (1 - 4e-6) * (0.5 + 0.5 * math.cos(math.pi * k / 4)) for k in range(4)]
    assert found == pytest.approx(rising + falling)


def test_the_warmup_of_the_deep_residual_network() -> None:
    deep = make_recipe("resnet110_cifar", Situation(train_images=50_000), {})
    shares = rates(deep, 64_000)
    assert shares[:400] == [0.1] * 400
    assert shares[400:32_000] == [1.0] * 31_600
    assert (shares[32_000], shares[47_999], shares[48_000]) == (0.1, 0.1, 0.01)
