"""Cutting off the last stages, which know most of the task that a network was trained for and least of any other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from lenext.errors import UserError

if TYPE_CHECKING:
    from lenext.models.base import ImageClassifier

DROP = "drop_stages"  # the option of every architecture


def require_count(name: str, stages: int, count: object) -> int:
    """Return how many stages are to be cut off a network that has so many.

    Raises:
        UserError: no whole number, or none would be left.
    """
    if not isinstance(count, int) or isinstance(count, bool) or count < 0:
        raise UserError(f"drop_stages {count!r} cannot be; give a whole number, 0 or more")
    if count >= max(1, stages):
        has = f"{name} has {stages or 'no'} stage{'s' if stages != 1 else ''}"
        raise UserError(
            f"drop_stages {count} leaves none: {has}; {f'give {stages - 1} at most' if stages > 1 else 'leave it out'}"
        )
    return count


def drop_stages(model: ImageClassifier, count: int, *, classes: int, in_channels: int, size: tuple[int, int]) -> None:
    """Take the last `count` stages away, in place, and what only training uses; a new head sees the map then the last.

    `size` is a height and width that images of the network can have, or must.

    Raises:
        UserError: no stage would be left.
    """
    count = require_count(model.name, len(model.stages), count)
    if not count:
        return
    model.drop_training_only()
    del model.stages[len(model.stages) - count :]
    training = model.training
    model.eval()
    with torch.no_grad():
        last = model.features(torch.zeros(1, in_channels, *size))[-1]
    model.train(training)
    model.head = model.head.for_map(last.shape[1], (last.shape[2], last.shape[3]), classes)
