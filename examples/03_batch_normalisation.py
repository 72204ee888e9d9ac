"""How high may the learning rate be, with batch normalisation and without?

    python examples/03_batch_normalisation.py DATA --train 1000 --test 500 --epochs 4

Ioffe and Szegedy 2015, https://arxiv.org/abs/1502.03167, trained with up to thirty times the rate once every
convolution was normalised. Here VGG-11, with a quarter of its maps and no dropout, takes steps of SGD with momentum at
five rates.

Look at the range of rates at which each net learns anything at all. Where the loss is no longer finite, `lenext.train`
stops, and that run counts as one that guesses.
"""

from __future__ import annotations

import math

import numpy as np
from experiment import Experiment, Panel, by_setting, draw, final, spread

import lenext
from lenext import LenextError, UserError

MODELS = {"without": "vgg11", "batch norm": "vgg11_bn"}
RATES = (0.0003, 0.001, 0.003, 0.01, 0.03)
STEPS = {"momentum": 0.9, "nesterov": False, "schedule": "constant", "warmup": 0.0}

with Experiment(__doc__, train=1000, test=400, epochs=4, rates=RATES) as experiment:
    rates = experiment.settings.rates
    for name, model in MODELS.items():
        for rate in rates:
            for run in experiment.runs(f"{name}, {rate:g}"):
                try:
                    lenext.train(
                        experiment.data, model, size=32, recipe="sgd", lr=rate, batch_size=50,
                        epochs=experiment.epochs, options={"width": 0.25, "dropout": 0.0},
                        overrides=STEPS, seed=run.seed, out=run.out,
                    )  # fmt: skip
                except UserError:
                    raise
                except LenextError as error:
                    print(error)
    chance = 100 / experiment.classes
    curves = {name: [experiment.curves(f"{name}, {rate:g}") for rate in rates] for name in MODELS}
    top1 = {name: [final(each, "top1", chance) for each in of_rates] for name, of_rates in curves.items()}
    guess = math.log(experiment.classes)
    losses = {name: [final(each, "train_loss", guess) for each in of_rates] for name, of_rates in curves.items()}

highest = {}
for name in MODELS:
    learns = [rate for rate, values in zip(rates, top1[name], strict=True) if np.median(values) > 3 * chance]
    highest[name] = f"at rates up to {max(learns):g}" if learns else "at none of these rates"
    for rate, values in zip(rates, top1[name], strict=True):
        print(f"{name}, rate {rate:g}: top-1 {spread(values)} %")

draw(
    experiment.out,
    f"VGG-11 learns {highest['batch norm']} with batch normalisation, {highest['without']} without",
    Panel(
        title="Training loss in the last epoch, nats", along="learning rate", log="x", ticks=rates,
        lines={name: by_setting(rates, values) for name, values in losses.items()},
    ),
    Panel(
        title="Top-1 on held-out images, %", along="learning rate", log="x", ticks=rates,
        lines={name: by_setting(rates, values) for name, values in top1.items()},
    ),
)  # fmt: skip
