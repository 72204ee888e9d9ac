"""What do the convolutions of LeNet-5 bring over a network that takes an image for a list of numbers?

    python examples/02_lenet_against_mlp.py DATA --train 10000 --test 2000 --epochs 8

LeCun et al. 1998, https://doi.org/10.1109/5.726791, compare both on handwritten digits. `mlp` joins every pixel to each
of 128 units; LeNet-5 looks at 5x5 pixels with the same weights everywhere, and needs fewer of them.

Look at the right: how many passes over the images does each need for the same error? And at the left: does the one
that errs more also fit its training images worse?
"""

from __future__ import annotations

import numpy as np
from experiment import Experiment, Panel, by_epoch, draw, spread

import lenext

MODELS = {"MLP": "mlp", "LeNet-5": "lenet5"}

with Experiment(__doc__, train=1000, test=400, epochs=20) as experiment:
    for name, model in MODELS.items():
        for run in experiment.runs(name):
            lenext.train(
                experiment.data, model, epochs=experiment.epochs, overrides={"label_smoothing": 0.0}, seed=run.seed,
                out=run.out,
            )  # fmt: skip
    curves = {name: experiment.curves(name) for name in MODELS}

losses = {name: by_epoch(rows, "train_loss") for name, rows in curves.items()}
errors = {name: by_epoch(rows, "top1").complement() for name, rows in curves.items()}
sizes = {name: lenext.profile(model, classes=experiment.classes).total.params for name, model in MODELS.items()}
for name in MODELS:
    first = spread(errors[name].y[:, 0])
    print(f"{name}: {sizes[name]:,} parameters, error {first} % after one epoch, {spread(errors[name].last)} % at last")

draw(
    experiment.out,
    f"LeNet-5 errs on {np.median(errors['LeNet-5'].last):.1f} % with {sizes['LeNet-5']:,} parameters, "
    f"the MLP on {np.median(errors['MLP'].last):.1f} % with {sizes['MLP']:,}",
    Panel(title="Training loss, nats (log scale)", along="epoch", lines=losses, log="y"),
    Panel(title="Error on held-out images, %", along="epoch", lines=errors),
)
