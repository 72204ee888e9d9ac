"""MobileNetV2 on photographs of ants and bees: frozen, fully tuned, and from random weights, side by side.

    python benchmarks/transfer_curves.py ../shared [--epochs 10] [--seeds 3] [--out docs/images/transfer.png]

The same 243 photographs to train on and 76 to judge by for all three; one command each, whose whole time is quoted. The
frozen one trains its last layer alone. From random weights the recipe is `small_data`, with as many epochs.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from rounds import machine

WEIGHTS = "data/weights/mobilenet_v2-imagenet1k-torchvision.safetensors"
COLOURS = {"frozen, a new last layer": "#6d28d9", "fully tuned": "#0f766e", "from random weights": "#d97706"}
INK, GRID = "#374151", "#e5e7eb"


def trained(shared: Path, out: Path, epochs: int, seed: int, words: list[str]) -> tuple[list[dict[str, Any]], float]:
    """Train by the command, and return the lines of its metrics and the seconds of all of it."""
    command = [sys.executable, "-m", "lenext", "train", str(shared / "data/ants_bees"), "--model", "mobilenet_v2"]
    command += ["--epochs", str(epochs), "--seed", str(seed), "--out", str(out), "--json", *words]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return rows, json.loads(done.stdout)["seconds"]


def draw(path: Path, curves: dict[str, list[list[float]]]) -> None:
    """Draw the median over the seeds of each way, and the range from the lowest to the highest."""
    figure = Figure(figsize=(7.2, 3.6), layout="constrained")
    axes = figure.subplots()
    for name, rows in curves.items():
        values = np.array(rows)  # (seeds, epochs)
        epochs = np.arange(1, values.shape[1] + 1)
        axes.fill_between(epochs, values.min(0), values.max(0), color=COLOURS[name], alpha=0.15, linewidth=0)
        axes.plot(epochs, np.median(values, 0), color=COLOURS[name], linewidth=2)
        axes.annotate(
            name, (epochs[-1], np.median(values, 0)[-1]), (8, 0), textcoords="offset points", va="center",
            color=COLOURS[name], fontsize=10, annotation_clip=False,
        )  # fmt: skip
    axes.set_xlabel("epoch", color=INK)
    axes.set_ylabel("top-1 on 76 photographs (%)", color=INK)
    axes.set_ylim(40, 101)
    axes.grid(axis="y", color=GRID)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    figure.savefig(path, dpi=140)


def main() -> None:
    """Train all three ways with each seed, print what came of it, and draw the curves."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shared", type=Path)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    start = ["--weights", str(asked.shared / WEIGHTS)]
    ways = {
        "frozen, a new last layer": [*start, "--freeze", "all-but-head.classifier"],
        "fully tuned": start,
        "from random weights": ["--recipe", "small_data"],
    }
    curves: dict[str, list[list[float]]] = {}
    for name, words in ways.items():
        for seed in range(asked.seeds):
            with tempfile.TemporaryDirectory() as place:
                rows, seconds = trained(asked.shared, Path(place) / "run", asked.epochs, seed, words)
            curves.setdefault(name, []).append([row["top1"] for row in rows])
            told = " ".join(f"{rate:.1f}" for rate in curves[name][-1])
            print(f"{name}, seed {seed}: {told}; loss {rows[-1]['loss']:.3f}, {seconds:.0f} s", flush=True)
    for name, found in curves.items():
        ends = [rates[-1] for rates in found]
        print(f"{name}: median {np.median(ends):.2f} % ({min(ends):.2f} to {max(ends):.2f}, n = {len(ends)})")
    if asked.out:
        draw(asked.out, curves)
    print(machine())


if __name__ == "__main__":
    main()
