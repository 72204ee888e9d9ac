"""Do classifiers in the middle of GoogLeNet help its early layers to learn?

    python examples/06_auxiliary_classifiers.py DATA --train 1000 --test 500 --epochs 8

Szegedy et al. 2014, https://arxiv.org/abs/1409.4842, add two of them, each with 0.3 of its loss, so that the gradient
has less far to go; they are thrown away after training. With weights as Glorot and Bengio drew them, ReLUs let less
and less of it through from layer to layer; those of He et al. make up for that.

Look at both panels: are they of use where the gradient vanishes, and where it does not?
"""

from __future__ import annotations

import numpy as np
from experiment import Experiment, Panel, by_epoch, draw, spread

import lenext

WEIGHTS = {"Glorot": "glorot", "He": "he"}
SHARES = {"without": 0.0, "with auxiliary": 0.3}
RATES = {"Glorot": 0.1, "He": 0.01}  # He's larger weights bear less

with Experiment(__doc__, train=1000, test=400, epochs=8) as experiment:
    for drawn, init in WEIGHTS.items():
        for name, share in SHARES.items():
            for run in experiment.runs(f"{drawn}, {name}"):
                lenext.train(
                    experiment.data, "googlenet", size=32, recipe="sgd", lr=RATES[drawn], batch_size=32,
                    epochs=experiment.epochs, options={"init": init},
                    overrides={"auxiliary": share, "crop": "none", "mirror": False}, seed=run.seed, out=run.out,
                )  # fmt: skip
    curves = {drawn: {name: experiment.curves(f"{drawn}, {name}") for name in SHARES} for drawn in WEIGHTS}

top1 = {drawn: {name: by_epoch(rows, "top1") for name, rows in curves[drawn].items()} for drawn in WEIGHTS}
gain = {}
for drawn in WEIGHTS:
    for name in SHARES:
        print(f"{drawn}, {name}: top-1 {spread(top1[drawn][name].last)} %")
    gain[drawn] = np.median(top1[drawn]["with auxiliary"].last) - np.median(top1[drawn]["without"].last)

draw(
    experiment.out,
    f"Auxiliary classifiers: {gain['Glorot']:+.1f} points where the gradient vanishes, "
    f"{gain['He']:+.1f} where it does not",
    *(
        Panel(title=f"Top-1 on held-out images, %: first weights of {drawn}", along="epoch", lines=top1[drawn])
        for drawn in WEIGHTS
    ),
)
