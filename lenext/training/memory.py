"""The memory that a step of training takes, and the batch that would fit."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from lenext.cost.cost import Total
from lenext.cost.profile import profile
from lenext.data.reading import free_memory
from lenext.errors import LenextError, UserError
from lenext.launch import local_processes
from lenext.models import ImageClassifier
from lenext.progress import Progress
from lenext.training.freezing import never_trained
from lenext.training.recipes.recipe import Recipe

LEAST = 0.4  # of what is counted: what is kept for the way back alone, in bfloat16
KIND = {"adamw": "adam", "sdlm": "momentum", "rmsprop": "adam", "sgd": "momentum"}
FAILURES = ("can't allocate memory", "out of memory", "not enough memory")


@dataclass(frozen=True)
class StepMemory:
    """The bytes that steps take: `fixed`, and `each` image of a part; `images` of a step, made in `parts`; `free`."""

    fixed: int
    each: int
    images: int
    parts: int
    free: int

    @property
    def needed(self) -> int:
        """Bytes of a step as they are counted, which is what it takes at most."""
        return self.fixed + self.each * -(-self.images // self.parts)

    @property
    def certain(self) -> int:
        """Bytes that a step takes at least."""
        return self.fixed + round(LEAST * self.each * -(-self.images // self.parts))

    def way_out(self) -> str:
        """Return what would fit."""
        most = (self.free - self.fixed) // self.each
        if most < 1:
            return "not even one image would fit; give a smaller --size, or another --model"
        fits = most if most < 8 else 8 * (most // 8)
        if fits >= self.images:
            return f"--batch-size {max(1, self.images // 2)} takes half of it"
        more = f", or this one in parts with --set accumulate={self.parts * -(-self.images // fits)}"
        return f"--batch-size {fits} would fit{more if fits > 1 else ''}"

    def __str__(self) -> str:
        """Say what is needed and what there is."""
        return (
            f"a step of {self.images:,} images needs about {self.needed / 1e9:,.1f} GB of memory, and "
            f"{self.free / 1e9:,.1f} GB are free"
        )


def step_memory(model: ImageClassifier, recipe: Recipe, images: int, device: torch.device) -> StepMemory:
    """Return the memory that a process takes for a step of so many images."""
    assert model.spec is not None
    rows = profile(model, size=model.spec.size, batch=1).rows
    still = () if recipe.unfreeze else tuple(f"{path}." for path in never_trained(model))
    whole, total = Total.of(rows, 1), Total.of([row for row in rows if not f"{row.path}.".startswith(still)], 1)
    weights = total.training_bytes[KIND[recipe.optimizer]] - total.training_activation_bytes
    weights += whole.parameter_bytes - total.parameter_bytes
    free = torch.get_device_module(device).mem_get_info(device)[0] if device.type == "cuda" else free_memory()
    fixed = weights + (whole.parameter_bytes if recipe.ema else 0)
    processes = local_processes() if device.type == "cpu" else 1
    return StepMemory(
        fixed, max(1, total.training_activation_bytes), images, min(recipe.accumulate, images), free // processes
    )


def require_memory(memory: StepMemory, progress: Progress) -> StepMemory:
    """Return the memory of a step; refuse one that cannot fit, and tell of one that may not.

    Raises:
        UserError: it takes more than is free, however it is counted.
    """
    if memory.certain > memory.free:
        raise UserError(f"{memory}; {memory.way_out()}")
    if memory.needed > memory.free:
        progress.note(f"note: {memory}; should it not do, {memory.way_out()}")
    return memory


@contextlib.contextmanager
def memory_explained(memory: StepMemory) -> Iterator[None]:
    """Say which batch would fit, where there is not enough memory for what is inside.

    Raises:
        LenextError: there is not.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not any(sign in str(error) for sign in FAILURES):
            raise
        raise LenextError(f"there is not enough memory: {memory}; {memory.way_out()}") from error
