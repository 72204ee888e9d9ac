"""Does it matter which function stands between the layers of LeNet-5?

    python examples/01_sigmoid_against_relu.py DATA --train 10000 --test 2000 --epochs 8

LeCun et al. 1998, https://doi.org/10.1109/5.726791, squashed what a layer gives; Krizhevsky et al. 2012,
https://doi.org/10.1145/3065386, cut it off at zero. Here one network has sigmoids, its twin ReLUs and the same first
weights, and both take plain gradient steps of one size.

Look at the left: how many steps does the sigmoid net stay where it knows nothing, with a loss of ln(classes)? Its
slope is 1/4 at best, so that four of them leave the first layer a gradient that is hundreds of times smaller.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from experiment import Experiment, Panel, by_epoch, by_step, draw, spread
from torch import nn

import lenext
from lenext.models.lenet import LeNet
from lenext.registry import lookup, register


@register(lookup("lenet5_sigmoid").facts)
def lenet5_relu(**options: Any) -> LeNet:
    """`lenet5_sigmoid` with ReLU, and nothing else changed: Xavier's first weights, average pools."""
    return LeNet(activation=nn.ReLU, pool=nn.AvgPool2d, init_=nn.init.xavier_uniform_, **options)


MODELS = {"sigmoid": "lenet5_sigmoid", "ReLU": "lenet5_relu"}
PLAIN = {"momentum": 0.0, "nesterov": False, "weight_decay": 0.0, "schedule": "constant", "warmup": 0.0}

with Experiment(__doc__, train=1000, test=400, epochs=40, rate=0.3, batch=64) as experiment:
    for name, model in MODELS.items():
        for run in experiment.runs(name):
            lenext.train(
                experiment.data, model, recipe="sgd", lr=experiment.settings.rate, batch_size=experiment.settings.batch,
                epochs=experiment.epochs, overrides=PLAIN, seed=run.seed, out=run.out,
            )  # fmt: skip
    curves = {name: experiment.curves(name) for name in MODELS}

losses = {name: by_step(rows) for name, rows in curves.items()}
top1 = {name: by_epoch(rows, "top1") for name, rows in curves.items()}
waits = {}  # a net that learns nothing waits for all its steps
for name in MODELS:
    learning = losses[name].y < 0.9 * math.log(experiment.classes)
    waits[name] = [losses[name].x[seed.argmax() if seed.any() else -1] for seed in learning]
    print(f"{name}: loss below 90 % of chance after {spread(waits[name], 0)} steps, top-1 {spread(top1[name].last)} %")

draw(
    experiment.out,
    f"With sigmoids LeNet-5 answers at chance for {np.median(waits['sigmoid']):.0f} steps, "
    f"with ReLUs for {np.median(waits['ReLU']):.0f}",
    Panel(title="Training loss, nats", along="step", lines=losses),
    Panel(title="Top-1 on held-out images, %", along="epoch", lines=top1),
)
