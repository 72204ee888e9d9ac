"""Does a deeper network train better? Without shortcuts, and with them?

    python examples/04_plain_against_residual.py DATA --train 2000 --test 1000 --epochs 10

He et al. 2015, https://arxiv.org/abs/1512.03385, section 4.2: a plain net of 56 layers fits even its training images
worse than one of 20, although it could do all that the other does. Shortcuts around every two layers mend that. Both
kinds of net have the same parameters here, half the paper's maps and images of 16 px; nothing is augmented, and AdamW
takes one cycle at one rate for all.

Look at the left: what is worse in the deep plain net shows in training already, so that it is no overfitting.
"""

from __future__ import annotations

import numpy as np
from experiment import Experiment, Panel, by_setting, draw, final, spread

import lenext

KINDS = {"plain": "plain{}_cifar", "residual": "resnet{}_cifar"}
DEPTHS = (20, 32, 44, 56)
AS_THEY_ARE = {"crop": "none", "mirror": False, "label_smoothing": 0.0}

with Experiment(__doc__, train=1000, test=400, epochs=10, depths=DEPTHS, size=16, width=0.5) as experiment:
    depths = [int(depth) for depth in experiment.settings.depths]
    for kind, model in KINDS.items():
        for depth in depths:
            for run in experiment.runs(f"{kind} {depth}"):
                lenext.train(
                    experiment.data, model.format(depth), size=experiment.settings.size, batch_size=64,
                    epochs=experiment.epochs, options={"width": experiment.settings.width}, overrides=AS_THEY_ARE,
                    seed=run.seed, out=run.out,
                )  # fmt: skip
    curves = {kind: [experiment.curves(f"{kind} {depth}") for depth in depths] for kind in KINDS}

losses = {kind: by_setting(depths, [final(each, "train_loss") for each in curves[kind]]) for kind in KINDS}
errors = {kind: by_setting(depths, [final(each, "top1") for each in curves[kind]]).complement() for kind in KINDS}
for kind in KINDS:
    for depth, loss, error in zip(depths, losses[kind].y.T, errors[kind].y.T, strict=True):
        print(f"{kind}, {depth} layers: training loss {spread(loss, 2)}, error {spread(error)} %")
deeper = {kind: np.median(losses[kind].last) - np.median(losses[kind].y[:, 0]) for kind in KINDS}

draw(
    experiment.out,
    f"From {depths[0]} to {depths[-1]} layers: training loss {deeper['plain']:+.2f} nats in plain nets, "
    f"{deeper['residual']:+.2f} in residual ones",
    Panel(title="Training loss in the last epoch, nats", along="layers", lines=losses, ticks=depths),
    Panel(title="Error on held-out images, %", along="layers", lines=errors, ticks=depths),
)
