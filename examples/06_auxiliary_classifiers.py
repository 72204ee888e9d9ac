"""Do classifiers in the middle of GoogLeNet help it to learn?

    python examples/06_auxiliary_classifiers.py DATA --train 1000 --test 500 --epochs 8

Szegedy et al. 2014, https://arxiv.org/abs/1409.4842, add two of them, each with 0.3 of its loss, so that the gradient
has less far to go to the early layers; after training they are thrown away. Nothing is normalised here, as in 2014.
Both nets have them, and the same first weights; in one their losses count for nothing.

Look at both panels: which net begins to learn earlier, and is the other about to catch up at the end?
"""

from __future__ import annotations

import numpy as np
from experiment import Experiment, Panel, by_epoch, draw, spread

import lenext

SHARES = {"without": 0.0, "auxiliary": 0.3}

with Experiment(__doc__, train=1000, test=400, epochs=8) as experiment:
    for name, share in SHARES.items():
        for run in experiment.runs(name):
            lenext.train(
                experiment.data, "googlenet", size=32, recipe="sgd", lr=0.01, batch_size=32, epochs=experiment.epochs,
                overrides={"auxiliary": share, "crop": "none", "mirror": False}, seed=run.seed, out=run.out,
            )  # fmt: skip
    curves = {name: experiment.curves(name) for name in SHARES}

losses = {name: by_epoch(rows, "loss") for name, rows in curves.items()}
top1 = {name: by_epoch(rows, "top1") for name, rows in curves.items()}
for name in SHARES:
    print(f"{name}: held-out loss {spread(losses[name].last, 2)}, top-1 {spread(top1[name].last)} %")

with_them, without = top1["auxiliary"].last, top1["without"].last
overlap = max(with_them.min(), without.min()) <= min(with_them.max(), without.max())
draw(
    experiment.out,
    f"Top-1 is {np.median(with_them):.1f} % with auxiliary classifiers, {np.median(without):.1f} % without; "
    f"the ranges {'overlap' if overlap else 'lie apart'}",
    Panel(title="Loss on held-out images, nats", along="epoch", lines=losses),
    Panel(title="Top-1 on held-out images, %", along="epoch", lines=top1),
)
