"""VGG-13 grown from a trained VGG-11, in both ways, against VGG-13 from random weights: docs/growing.md.

python benchmarks/growing.py ../shared/data/cifar10 [RESULTS.json]

The data need not be CIFAR-10: any source with the splits train and test. Where RESULTS.json is there, nothing is
trained, and the table and docs/images/growing.png are made of it; else it is written.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import matplotlib
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rounds import machine, spread

import lenext
from lenext.data.decode import ImageForm
from lenext.data.loader import Loader
from lenext.data.opening import open_source
from lenext.data.source import Source
from lenext.data.training_data import TrainingData, read_training_data
from lenext.data.training_loader import TrainingLoader
from lenext.evaluation.judge import judge
from lenext.models import ImageClassifier
from lenext.training.loop import fit
from lenext.training.recipes import Situation, make_recipe

SEEDS = 3
TRAIN, HELD_OUT, BATCH, SIDE = 2560, 1000, 64, 32
EPOCHS, GROWN_EPOCHS = 4, 3
LR = 3e-4  # of this and 1e-3 the one at which VGG-11 got further in four epochs
PICTURE = Path(__file__).parents[1] / "docs" / "images" / "growing.png"

SHALLOW, PAPER, IDENTITY, SCRATCH, LONGER = "VGG-11", "paper", "identity", "from scratch", "from scratch, longer"
INK, FAINT, GRID = "#374151", "#9ca3af", "#e5e7eb"
COLOURS = {SHALLOW: "#6b7280", IDENTITY: "#0f766e", PAPER: "#d97706", SCRATCH: "#6d28d9"}
LABELS = {IDENTITY: "grown, identity", PAPER: "grown, paper", SCRATCH: "from scratch"}
WINDOW = 7  # steps on either side that a point of the loss is the mean of


@dataclass
class Curve:
    """One training: the loss of every step; held-out loss and top-1 before the first step and after each epoch."""

    way: str
    seed: int
    losses: list[float]
    held_out_loss: list[float]
    top1: list[float]


def read(location: str) -> TrainingData:
    """Return the images, drawn from the source's splits by a fixed seed."""
    source = open_source(location)
    generator = np.random.default_rng(0)
    splits = {
        name: source.splits[name].take(generator.permutation(len(source.splits[name]))[:count])
        for name, count in (("train", TRAIN), ("test", HELD_OUT))
    }
    form = ImageForm(size=(SIDE, SIDE), channels=None, fit="crop")
    return read_training_data(Source(source.location, source.class_names, splits), form)


def train(model: ImageClassifier, data: TrainingData, way: str, epochs: int, seed: int) -> Curve:
    """Train `model` in place and return its curve."""
    overrides = {"epochs": epochs, "batch_size": BATCH, "lr": LR, "label_smoothing": 0.0}
    recipe = make_recipe("default", Situation(train_images=TRAIN, grey=True), overrides)
    cpu = torch.device("cpu")
    images = TrainingLoader(data.train, data.preprocessing, batch_size=BATCH, device=cpu)
    held_out = Loader(data.held_out, data.preprocessing, batch_size=BATCH, device=cpu)
    model.to(memory_format=torch.channels_last)
    before = judge(model, held_out)
    curve = Curve(way, seed, [], [before.loss], [before.top1])
    began = time.perf_counter()
    for epoch in fit(model, images, held_out, recipe, seed=seed):
        curve.losses += epoch.losses
        curve.held_out_loss.append(epoch.held_out.loss)
        curve.top1.append(epoch.held_out.top1)
    print(f"seed {seed}, {way}: top-1 {curve.top1[-1]:.1f} %, {time.perf_counter() - began:.0f} s", flush=True)
    return curve


def measure(location: str) -> list[Curve]:
    """Train everything, for every seed."""
    data, curves = read(location), []
    for seed in range(SEEDS):
        options = {"classes": 10, "in_channels": 3, "size": SIDE}
        torch.manual_seed(seed)
        shallow = lenext.create("vgg11", **options)
        curves.append(train(shallow, data, SHALLOW, EPOCHS, seed))
        for way, epochs in (
            (PAPER, GROWN_EPOCHS),
            (IDENTITY, GROWN_EPOCHS),
            (SCRATCH, GROWN_EPOCHS),
            (LONGER, EPOCHS + GROWN_EPOCHS),
        ):
            torch.manual_seed(100 + seed)  # the layers that are drawn anew, and what dropout drops
            deep = lenext.grow(shallow, "vgg13", how=way) if way in (PAPER, IDENTITY) else None
            curves.append(train(deep or lenext.create("vgg13", **options), data, way, epochs, seed))
    return curves


def table(curves: list[Curve]) -> None:
    """Print a line for each way: medians over the seeds, with minimum and maximum."""
    for way in dict.fromkeys(curve.way for curve in curves):
        mine = [curve for curve in curves if curve.way == way]
        print(f"{way}: {len(mine[0].losses)} steps")
        print(f"  training loss of the first step {spread([curve.losses[0] for curve in mine], 'nats', 3)}")
        print(f"  training loss, last 20 steps {spread([np.mean(c.losses[-20:]) for c in mine], 'nats', 3)}")
        for epoch in range(len(mine[0].top1)):
            loss = spread([curve.held_out_loss[epoch] for curve in mine], "nats", 3)
            print(f"  epoch {epoch}: held-out loss {loss}, top-1 {spread([c.top1[epoch] for c in mine], '%', 1)}")


def smoothed(losses: np.ndarray) -> np.ndarray:
    """Return the mean over a window that narrows towards the first step, whose loss stays as it is."""
    reach = [min(WINDOW, step) for step in range(len(losses))]
    return np.array([losses[step - r : step + r + 1].mean() for step, r in enumerate(reach)])


def draw(curves: list[Curve]) -> None:
    """Draw the training loss and the held-out top-1 side by side; the lines are medians, the bands the range."""
    style = {"font.family": "sans-serif", "font.size": 10, "text.color": INK, "axes.edgecolor": FAINT,
             "xtick.color": INK, "ytick.color": INK, "axes.spines.top": False, "axes.spines.right": False,
             "axes.titlecolor": INK, "axes.labelcolor": INK}  # fmt: skip
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(10, 4.2), dpi=160)
        figure.subplots_adjust(left=0.035, right=0.878, bottom=0.13, top=0.9, wspace=0.46)
        loss, top1 = figure.subplots(1, 2)
        grown_at = len(next(curve for curve in curves if curve.way == SHALLOW).losses)
        ends = dict[str, float](), dict[str, float]()
        for way, colour in COLOURS.items():
            mine = [curve for curve in curves if curve.way == way]
            first = 0 if way == SHALLOW else grown_at
            steps = first + np.arange(len(mine[0].losses))
            epochs = np.linspace(first, steps[-1] + 1, len(mine[0].top1))
            ends[0][way] = line(loss, steps, np.array([smoothed(np.array(curve.losses)) for curve in mine]), colour)
            ends[1][way] = line(top1, epochs, np.array([curve.top1 for curve in mine]), colour, marker="o")
        loss.set_title("Training loss, nats (log scale)", loc="left", fontsize=11, pad=10)
        top1.set_title("Top-1 on held-out images, %", loc="left", fontsize=11, pad=10)
        top1.set_ylim(0, 1.1 * top1.dataLim.y1)
        loss.set_yscale("log", base=2)
        loss.set_ylim(1 / 1.1, 1.2 * loss.dataLim.y1)
        loss.yaxis.set_major_formatter("{x:g}")
        for axes, end in zip((loss, top1), ends, strict=True):
            finish(axes, end, grown_at)
        figure.savefig(PICTURE, facecolor="white")


def line(axes: Axes, x: np.ndarray, runs: np.ndarray, colour: str, **style: str) -> float:
    """Draw the median of the runs and the band from the lowest to the highest; return where the line ends."""
    middle = np.median(runs, 0)
    axes.fill_between(x, runs.min(0), runs.max(0), color=colour, alpha=0.14, linewidth=0)
    axes.plot(x, middle, color=colour, linewidth=1.8, markersize=4, clip_on=False, **style)
    return float(middle[-1])


def finish(axes: Axes, ends: dict[str, float], grown_at: int) -> None:
    """Name every line at its end, mark where the model was grown, and set the axes."""
    axes.set_xlim(0, axes.dataLim.x1)
    axes.yaxis.grid(True, color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, pad=6)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("training step")
    axes.axvline(grown_at, color=FAINT, linewidth=1, linestyle=(0, (4, 3)))
    for name, aside, align, colour in (("VGG-11", -4, "right", COLOURS[SHALLOW]), ("VGG-13", 4, "left", INK)):
        axes.annotate(
            name, (grown_at, 1), (aside, 0), axes.get_xaxis_transform(), "offset points", ha=align, va="top",
            color=colour, weight="bold", bbox={"facecolor": "white", "edgecolor": "none", "pad": 2},
        )  # fmt: skip
    to_axes = axes.transData + axes.transAxes.inverted()
    heights = {way: to_axes.transform((0, end))[1] for way, end in ends.items() if way in LABELS}
    below = -1.0
    for way in sorted(heights, key=heights.__getitem__):
        below = max(heights[way], below + 0.062)  # names of lines that end close together stay apart
        axes.annotate(
            LABELS[way], (1, below), (8, 0), "axes fraction", "offset points", va="center", color=COLOURS[way],
        )  # fmt: skip


def main(location: str, results: str = "") -> None:
    """Measure, or read what was measured; print the table and draw the picture."""
    if results and Path(results).exists():
        curves = [Curve(**row) for row in json.loads(Path(results).read_text())]
    else:
        print(machine())
        curves = measure(location)
        if results:
            Path(results).write_text(json.dumps([asdict(curve) for curve in curves]))
    table(curves)
    draw(curves)


if __name__ == "__main__":
    main(*sys.argv[1:])
