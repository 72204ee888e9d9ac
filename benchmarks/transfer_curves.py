"""MobileNetV2 on photographs of ants and bees: frozen, fully tuned, and from random weights, side by side.

    python benchmarks/transfer_curves.py ../shared WORK [WAY...] [--epochs 10] [--seeds 3]
        [--out docs/images/transfer.png]

The same 243 photographs to train on and 76 to judge by for all three; one command each, whose whole time is quoted. The
frozen one trains its last layer alone. From random weights the recipe is `small_data`, with as many epochs. What each
command came to stands in WORK and is not run again, so that the ways, `frozen`, `tuned` and `random`, can be run apart.
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
NAMES = {"frozen": "frozen, a new last layer", "tuned": "fully tuned", "random": "from random weights"}
COLOURS = {"frozen": "#6d28d9", "tuned": "#0f766e", "random": "#d97706"}
INK, GRID = "#374151", "#e5e7eb"
APART = 4.0  # percent, that names are


def trained(shared: Path, out: Path, epochs: int, seed: int, words: list[str]) -> dict[str, Any]:
    """Train by the command, and return the top-1 after each epoch, the last loss and the seconds of all of it."""
    command = [sys.executable, "-m", "lenext", "train", str(shared / "data/ants_bees"), "--model", "mobilenet_v2"]
    command += ["--epochs", str(epochs), "--seed", str(seed), "--out", str(out), "--json", *words]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return {
        "top1": [row["top1"] for row in rows], "loss": rows[-1]["loss"], "seconds": json.loads(done.stdout)["seconds"],
    }  # fmt: skip


def draw(path: Path, curves: dict[str, list[list[float]]]) -> None:
    """Draw the median over the seeds of each way, and the range from the lowest to the highest."""
    figure = Figure(figsize=(7.2, 3.6), layout="constrained")
    axes = figure.subplots()
    for name, rows in curves.items():
        values = np.array(rows)  # (seeds, epochs)
        epochs = np.arange(1, values.shape[1] + 1)
        axes.fill_between(epochs, values.min(0), values.max(0), color=COLOURS[name], alpha=0.15, linewidth=0)
        axes.plot(epochs, np.median(values, 0), color=COLOURS[name], linewidth=2)
    ends = {name: float(np.median([row[-1] for row in rows])) for name, rows in curves.items()}
    place = 103.0
    for name in sorted(ends, key=lambda name: -ends[name]):  # the names of curves that end together stand apart
        place = min(ends[name], place - APART)
        axes.annotate(
            NAMES[name], (len(curves[name][0]), place), (8, 0), textcoords="offset points", va="center",
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
    """Train what was not trained before, print what all came to, and draw the curves where all are there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shared", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("ways", nargs="*", default=list(NAMES))
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    start = ["--weights", str(asked.shared / WEIGHTS)]
    words = {
        "frozen": [*start, "--freeze", "all-but-head.classifier"], "tuned": start, "random": ["--recipe", "small_data"],
    }  # fmt: skip
    asked.work.mkdir(parents=True, exist_ok=True)
    curves: dict[str, list[list[float]]] = {}
    for name in asked.ways:
        for seed in range(asked.seeds):
            kept = asked.work / f"{name}-{asked.epochs}-{seed}.json"
            if not kept.exists():
                with tempfile.TemporaryDirectory() as place:
                    found = trained(asked.shared, Path(place) / "run", asked.epochs, seed, words[name])
                kept.write_text(json.dumps(found))
            found = json.loads(kept.read_text())
            curves.setdefault(name, []).append(found["top1"])
            told = " ".join(f"{rate:.1f}" for rate in found["top1"])
            print(f"{name}, seed {seed}: {told}; loss {found['loss']:.3f}, {found['seconds']:.0f} s", flush=True)
    for name, rows in curves.items():
        ends = [rates[-1] for rates in rows]
        print(f"{NAMES[name]}: median {np.median(ends):.2f} % ({min(ends):.2f} to {max(ends):.2f}, n = {len(ends)})")
    if asked.out:
        draw(asked.out, curves)
    print(machine())


if __name__ == "__main__":
    main()
