"""How the arithmetic of training runs: which numbers, in which order in memory, compiled or not; measured or set."""

from __future__ import annotations

import contextlib
import copy
import math
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from lenext.data.loader import Batch
from lenext.errors import UserError
from lenext.models import ImageClassifier, lookup
from lenext.progress import SILENT, Progress
from lenext.training.criterion import Criterion
from lenext.training.recipes.recipe import Recipe

WORTH_MEASURING = 45.0  # seconds of training, below which the usual way is taken unmeasured
WORTH_COMPILING = 1200.0  # below which compiling, which takes half a minute and more, is not tried
LITTLE = 2e12  # multiply-adds, forward and back, that take any machine but seconds
PROBED_PIXELS = 32 * 224 * 224  # of the batch that is measured with, at most
MEASURING = 0.03  # of the training, that measuring may take, but for compiling
ROUNDS = 3
HOPELESS = 2.0  # times the usual way's time on a few images, from which on a way is not measured on more
GAIN = 1.1  # that another way must bring, so that chance does not choose
COMPILERS = ("c++", "g++", "clang++", "cl")

Forward = Callable[[Tensor], tuple[Tensor, list[Tensor]]]


@dataclass(frozen=True)
class Arithmetic:
    """How a network is run in training: `channels_last` or in NCHW, in `bfloat16` where that is safe, compiled.

    `measured` says that it was chosen by time, so that another run may choose otherwise.
    """

    channels_last: bool = True
    bfloat16: bool = False
    compiled: bool = False
    measured: bool = field(default=False, compare=False)

    def __str__(self) -> str:
        """Say it in words."""
        words = ["bfloat16" if self.bfloat16 else "float32", "channels-last" if self.channels_last else "NCHW"]
        return ", ".join([*words, *(["compiled"] if self.compiled else [])])

    def overrides(self) -> dict[str, str]:
        """Return the values of a recipe that choose it again."""
        return {
            "precision": "bfloat16" if self.bfloat16 else "float32",
            "memory_format": "channels_last" if self.channels_last else "contiguous",
            "compile": "yes" if self.compiled else "no",
        }

    def prepare(self, model: ImageClassifier) -> Forward:
        """Bring the model to the order of memory, in place, and return its forward for training."""
        model.to(memory_format=torch.channels_last if self.channels_last else torch.contiguous_format)  # type: ignore[call-overload]
        if not self.compiled:
            return model.forward_train
        torch.compiler.reset()  # it compiles a function for eight models or shapes, and then no more
        return torch.compile(model.forward_train, dynamic=False)

    def order(self, images: Tensor) -> Tensor:
        """Return the images (N, C, H, W) in the order of memory that the model has."""
        return images if self.channels_last else images.contiguous()

    @contextlib.contextmanager
    def cast(self, device: torch.device) -> Iterator[None]:
        """Run what is inside in bfloat16 where that is safe, the rest in float32."""
        with torch.autocast(device.type, torch.bfloat16, enabled=self.bfloat16):
            yield


def choose_arithmetic(
    model: ImageClassifier,
    recipe: Recipe,
    criterion: Criterion,
    first_batch: Callable[[], Batch],
    *,
    images: int,
    seconds: float | None = None,
    progress: Progress = SILENT,
) -> Arithmetic:
    """Return how to train: as the recipe says, and where it leaves that open, as is fastest on the first batch.

    A copy of the model is measured. Where the whole of the training is short, nothing is: `images` are to be trained
    on, or for so many `seconds`.

    Raises:
        UserError: it is to be compiled, and there is no compiler.
    """
    first, *others = _candidates(recipe)
    compiler = any(map(shutil.which, (os.environ.get("CXX", ""), *COMPILERS)))
    if recipe.compile == "yes" and not compiler:
        raise UserError("compile 'yes' cannot be here: there is no C++ compiler; install one, or --set compile=no")
    compilable = recipe.compile == "auto" and compiler

    def found(way: Arithmetic) -> Arithmetic:
        return replace(way, compiled=way.compiled or recipe.compile == "yes")

    if not (others or compilable) or not _worth_a_look(model, images, seconds):
        return found(first)
    batch = first_batch()
    count = min(-(-len(batch) // recipe.accumulate), round(len(batch) * PROBED_PIXELS / batch.images[:, 0].numel()))
    if count < 2:
        return found(first)

    def measured(ways: list[Arithmetic], count: int, rounds: int = ROUNDS) -> dict[Arithmetic, float]:
        return _measured(ways, model, criterion, batch.images[:count], batch.labels[:count], rounds)

    with torch.random.fork_rng():
        few = max(2, count // 8)
        each = measured([first], few, rounds=1)[first] / few
        total = seconds or each * images
        if total < WORTH_MEASURING:
            return found(first)
        if not seconds and measured([first], count, rounds=1)[first] * images / count < WORTH_MEASURING:
            return found(first)  # a few images take longer each than many
        count = min(count, max(few, round(MEASURING * total / each / (ROUNDS + 1) / (1 + len(others)))))
        quick = measured([first, *others], few, rounds=1)  # some machines take ten times as long for bfloat16
        others = [way for way in others if quick.get(way, math.inf) < HOPELESS * quick[first]]
        taken = measured([first, *others], count)
        best = min(taken, key=lambda way: taken[way])
        chosen = best if taken[first] >= GAIN * taken[best] else first
        if compilable and (seconds or taken[chosen] * images / count) >= WORTH_COMPILING:
            progress.note(f"compiling, to see whether that is faster than {chosen}")
            faster = replace(chosen, compiled=True)
            taken |= measured([chosen, faster], count)
            chosen = faster if taken.get(faster, math.inf) * GAIN <= taken[chosen] else chosen
    told = ", ".join(f"{way} {count / each:,.0f}" for way, each in taken.items())
    progress.note(f"arithmetic: {found(chosen)} (images a second, measured on {count}: {told})")
    return replace(found(chosen), measured=True)


def _worth_a_look(model: ImageClassifier, images: int, seconds: float | None) -> bool:
    """Say whether the arithmetic of the training may take long enough to measure how it runs best."""
    if seconds is not None:
        return seconds >= WORTH_MEASURING
    if model.spec is None:
        return True
    facts, (height, width) = lookup(model.spec.name).facts, model.spec.size
    return 3 * facts.macs * images * height * width / facts.size**2 > LITTLE


def _candidates(recipe: Recipe) -> list[Arithmetic]:
    """Return what the recipe leaves open but for compiling, the usual way first."""
    orders = {"auto": (True, False), "channels_last": (True,), "contiguous": (False,)}[recipe.memory_format]
    kinds = {"auto": (False, True), "float32": (False,), "bfloat16": (True,)}[recipe.precision]
    return [Arithmetic(order, kind) for order in orders for kind in kinds]


def _measured(
    ways: list[Arithmetic],
    model: ImageClassifier,
    criterion: Criterion,
    images: Tensor,
    labels: Tensor,
    rounds: int,
) -> dict[Arithmetic, float]:
    """Return the seconds that a step takes each way, the least of several in turn; of those that work."""
    copies = {}
    for way in ways:
        twin = copy.deepcopy(model).train()
        try:
            step = _step(way, twin, criterion, images, labels)
            step()
        except (RuntimeError, ImportError):  # some layers lack some kinds of numbers; compilers fail in many ways
            if way == ways[0]:
                raise
            continue
        copies[way] = step
    taken = dict.fromkeys(copies, math.inf)
    for _ in range(rounds):
        for way, step in copies.items():
            began = time.perf_counter()
            step()
            taken[way] = min(taken[way], time.perf_counter() - began)
    return taken


def _step(
    way: Arithmetic, model: ImageClassifier, criterion: Criterion, images: Tensor, labels: Tensor
) -> Callable[[], None]:
    forward = way.prepare(model)

    def step() -> None:
        with way.cast(images.device):
            logits, auxiliary = forward(way.order(images))
        loss = criterion(logits.float(), labels)
        for extra in auxiliary:
            loss = loss + criterion(extra.float(), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        if images.device.type != "cpu":
            torch.accelerator.synchronize()

    return step
