"""Whether every architecture learns 64 images by heart within 300 steps, and from which first weights.

    python benchmarks/learning.py [MODEL ...] [--init he|glorot|paper] [--rates RATE ...] [--seeds N]

Images of noise, labels drawn of four classes, 16 images a step, Adam at a constant rate, no dropout; auxiliary
classifiers count 0.3 as in training. A model has learned when the mean loss of all 64 images, in evaluation mode, is
below 0.1; it is asked after each pass over the images, which is four steps. The side of the images is 32 px, or what
is native or smallest where that is more or less. Of several rates, each is tried until one is enough. `--init` leaves
out the models that have weights of their own only.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from typing import Any

import torch
from rounds import machine
from torch import nn
from torch.nn.functional import cross_entropy

import lenext
from lenext.models import ImageClassifier, lookup
from lenext.models.blocks import StochasticDepth
from lenext.training.loop import AUXILIARY_WEIGHT

IMAGES, CLASSES, BATCH, STEPS, LEARNED = 64, 4, 16, 300, 0.1
# The Adam rate of a model, of its family, or of all others. Little networks need a larger one; at 1e-3 ZFNet takes
# four times the steps, and at 3e-4 one draw in six of nin_imagenet ends with every class map below zero, for good.
RATES = {"mlp": 1e-3, "lenet": 1e-3, "lenet5_sigmoid": 5e-3, "nin_cifar": 3e-4}
RATE = 1e-4
SIDES = {"nin_cifar": 16}  # the mean of 8x8 places hardly tells images of noise apart; of 4x4 it does


@dataclass(frozen=True)
class Attempt:
    """How far one model came."""

    side: int
    rate: float
    steps: int
    loss: float
    seconds: float


def attempt(name: str, init: str | None, rate: float, seed: int) -> Attempt:
    """Train `name` until it has learned the images, or for all the steps."""
    facts = lookup(name).facts
    side = SIDES.get(name, min(facts.size, max(facts.smallest, 32)))
    torch.manual_seed(seed)
    options: dict[str, Any] = {} if init is None else {"init": init}
    model = lenext.create(name, classes=CLASSES, size=side, **options).to(memory_format=torch.channels_last)
    without_dropout(model)
    images, labels = torch.randn(IMAGES, facts.channels, side, side), torch.randint(CLASSES, (IMAGES,))
    images = images.to(memory_format=torch.channels_last)
    optimiser = torch.optim.Adam(model.parameters(), lr=rate, fused=True)
    began, steps, loss = time.perf_counter(), 0, float("inf")
    while steps < STEPS and loss >= LEARNED:
        model.train()
        for some in torch.randperm(IMAGES).split(BATCH):
            logits, auxiliary = model.forward_train(images[some])
            total = cross_entropy(logits, labels[some])
            for extra in auxiliary:
                total = total + AUXILIARY_WEIGHT * cross_entropy(extra, labels[some])
            optimiser.zero_grad()
            total.backward()
            optimiser.step()
            steps += 1
        with torch.no_grad():
            loss = cross_entropy(model.eval()(images), labels).item()
    return Attempt(side, rate, steps, loss, time.perf_counter() - began)


def without_dropout(model: ImageClassifier) -> None:
    """Set the rate of every dropout to 0, those of auxiliary classifiers too, and of stochastic depth."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        elif isinstance(module, StochasticDepth):
            module.rate = 0.0


def draws(name: str) -> bool:
    """Say whether one can choose how the model's weights are drawn."""
    try:
        with torch.device("meta"):
            lenext.create(name, init="he")
    except lenext.UserError:
        return False
    return True


def main() -> None:
    """Print a row for each attempt."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*")
    parser.add_argument("--init", choices=["he", "glorot", "paper"])
    parser.add_argument("--rates", type=float, nargs="+")
    parser.add_argument("--seeds", type=int, default=1)
    asked = parser.parse_args()
    names = asked.models or [name for name in lenext.list_models() if not asked.init or draws(name)]
    print(machine())
    print("| model | init | side | rate | steps | loss | seconds |\n|---|---|---|---|---|---|---|")
    for name in names:
        init = asked.init or ("he" if draws(name) else "its own")
        for seed in range(asked.seeds):
            for rate in asked.rates or [RATES.get(name, RATES.get(lookup(name).family, RATE))]:
                row = attempt(name, asked.init, rate, seed)
                learned = row.loss < LEARNED
                steps = f"{row.steps}" if learned else f"not in {row.steps}"
                figures = f"{row.side} | {row.rate:g} | {steps} | {row.loss:.3f} | {row.seconds:.1f}"
                print(f"| {name} | {init} | {figures} |", flush=True)
                if learned:
                    break


if __name__ == "__main__":
    main()
