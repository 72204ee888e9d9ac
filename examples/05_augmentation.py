"""What does it bring to show every image shifted and mirrored, each time in another way?

    python examples/05_augmentation.py DATA --train 2000 --test 1000 --epochs 25

Krizhevsky et al. 2012, https://doi.org/10.1145/3065386, found that without it their network overfits so much that they
would have had to make it smaller. Here ResNet-20 sees images of 16 px; augmented, two black pixels are laid around
each, a random place of the old size is cut out, and every second one is mirrored.

Look at both panels at once: which net fits what it is shown better, and which the images that it is not shown? On
digits the mirror does harm, for a mirrored 3 is no digit: there, `--mirror 0`.
"""

from __future__ import annotations

import numpy as np
from experiment import Experiment, Panel, by_epoch, draw, spread

import lenext

with Experiment(__doc__, train=1000, test=400, epochs=20, size=16, mirror=1) as experiment:
    mirror = bool(experiment.settings.mirror)
    changes = {
        "as they are": {"crop": "none", "mirror": False},
        "augmented": {"crop": "pad", "padding": 2, "mirror": mirror},
    }
    for name, change in changes.items():
        for run in experiment.runs(name):
            lenext.train(
                experiment.data, "resnet20_cifar", size=experiment.settings.size, recipe="resnet_cifar", batch_size=64,
                epochs=experiment.epochs, overrides=change, seed=run.seed, out=run.out,
            )  # fmt: skip
    curves = {name: experiment.curves(name) for name in changes}

losses = {name: by_epoch(rows, "train_loss") for name, rows in curves.items()}
top1 = {name: by_epoch(rows, "top1") for name, rows in curves.items()}
middle = {name: (np.median(losses[name].last), np.median(top1[name].last)) for name in changes}
for name in changes:
    print(f"{name}: training loss {spread(losses[name].last, 2)}, top-1 {spread(top1[name].last)} %")

draw(
    experiment.out,
    "With augmentation: training loss {:.2f} and held-out top-1 {:.1f} %".format(*middle["augmented"])
    + "; without: {:.2f} and {:.1f} %".format(*middle["as they are"]),
    Panel(title="Training loss, nats", along="epoch", lines=losses),
    Panel(title="Top-1 on held-out images, %", along="epoch", lines=top1),
)
