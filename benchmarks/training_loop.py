"""The training loop against the same steps on tensors that are ready in memory.

    python benchmarks/training_loop.py ../shared/data/mnist

Arithmetic that must be, for lenet5: 3 x 0.417 M multiply-adds an image (forward, and twice that backward). The other
side has the images normalised as float32 in memory beforehand and runs the plain steps: gather, forward, loss,
backward, optimiser, schedule. Ours decodes nothing either, but gathers uint8 and normalises batch by batch.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import torch
from rounds import alternate, machine, median_ratio, spread
from torch.nn.functional import cross_entropy

import lenext
from lenext.data.decode import ImageForm
from lenext.data.loader import Loader
from lenext.data.opening import open_source
from lenext.data.training_data import TrainingData, read_training_data
from lenext.data.training_loader import TrainingLoader
from lenext.training.loop import fit
from lenext.training.optimiser import make_optimiser
from lenext.training.recipes import Recipe, Situation, make_recipe
from lenext.training.schedule import rate_share

ROUNDS = 9
JUDGED = 500  # images; judging is not timed, but what it leaves in the caches would favour whoever comes next
CPU = torch.device("cpu")


def through_lenext(data: TrainingData, recipe: Recipe, name: str) -> float:
    """Return the images a second of one epoch through `fit`."""
    model = lenext.create(name).to(memory_format=torch.channels_last)
    train = TrainingLoader(data.train, data.preprocessing, batch_size=recipe.batch_size, device=CPU)
    judged = data.held_out.take(np.arange(JUDGED))
    held_out = Loader(judged, data.preprocessing, batch_size=256, device=CPU)
    epoch = next(iter(fit(model, train, held_out, recipe, seed=0)))
    return len(train) / (epoch.ended - epoch.began)


def on_ready_tensors(images: torch.Tensor, labels: torch.Tensor, recipe: Recipe, name: str) -> float:
    """Return the images a second of the same steps on tensors in memory."""
    model = lenext.create(name).to(memory_format=torch.channels_last).train()
    optimiser = make_optimiser(model, recipe)
    order = torch.randperm(len(images)).split(recipe.batch_size)
    began = time.perf_counter()
    for step, indices in enumerate(order):
        for group in optimiser.param_groups:
            group["lr"] = recipe.lr * rate_share(recipe, step / len(order), len(order))
        loss = cross_entropy(model(images[indices]), labels[indices], label_smoothing=recipe.label_smoothing)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return len(images) / (time.perf_counter() - began)


def main(location: str) -> None:
    """Compare for lenet5 and mlp, at the recipe's batch size and at 128."""
    print(machine())
    data = read_training_data(open_source(location), ImageForm(size=(28, 28)))
    pixels = torch.from_numpy(data.train.images.batch(np.arange(len(data.train.images))))
    images = data.preprocessing.normalise(pixels)
    labels = torch.from_numpy(data.train.labels)
    for name in ("lenet5", "mlp"):
        for batch_size in (32, 128):
            recipe = make_recipe(
                "default", Situation(train_images=len(images), grey=True), {"epochs": 1, "batch_size": batch_size}
            )
            ours, ready = alternate(
                lambda recipe=recipe, name=name: through_lenext(data, recipe, name),
                lambda recipe=recipe, name=name: on_ready_tensors(images, labels, recipe, name),
                ROUNDS,
            )
            print(f"{name}, batch {batch_size}: ratio {median_ratio(ours, ready)}")
            print(f"  lenext {spread(ours, 'images/s', 0)}; ready tensors {spread(ready, 'images/s', 0)}")


if __name__ == "__main__":
    main(sys.argv[1])
