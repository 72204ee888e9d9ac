"""One, two and four processes on this machine: losses, counts, and images a second.

    python benchmarks/together.py ../shared/data/cifar10

Each trains for twenty steps with the same global batch: Network in Network, which has no batch norms, and ResNet-20,
which has. The processes share the cores that there are, so that what shows is what exchanging costs, not what more
machines bring.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from rounds import machine, spread

WORLDS = (1, 2, 4)
ROUNDS = 5
TASKS = {"nin_cifar": ("--set", "dropout=0"), "resnet20_cifar": ()}


def subset(data: str, folder: Path) -> Path:
    """Write 2,560 images of CIFAR-10 to train on and 1,000 to judge by, as class folders."""
    from lenext.data.opening import open_source

    source = open_source(data)
    for split, count in (("train", 2_560), ("test", 1_000)):
        found = source.splits[split]
        for number in range(count):
            place = folder / split.replace("test", "val") / source.class_names[found.labels[number]]
            place.mkdir(parents=True, exist_ok=True)
            item = found.items[number]
            (place / f"{number}.png").write_bytes(item if isinstance(item, bytes) else Path(item).read_bytes())
    return folder


def trained(world: int, data: Path, model: str, options: tuple[str, ...]) -> dict[str, Any]:
    """Train for an epoch in so many processes; return the run's last line of metrics and its result."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        words = [
            "-m", "lenext", "train", str(data), "--model", model, *options, "--recipe", "sgd", "--epochs", "1",
            "--batch-size", "128", "--lr", "0.01", "--set", "precision=float32", "--set", "compile=no",
            "--set", "mixup=0.2", "--threads", str(max(1, (os.cpu_count() or 1) // world)), "--out", str(run), "--json",
        ]  # fmt: skip
        start = [sys.executable] if world == 1 else [
            sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={world}", "--rdzv-backend=c10d",
            "--rdzv-endpoint=localhost:0",
        ]  # fmt: skip
        done = subprocess.run([*start, *words], capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(done.stderr)
        row = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
        return {**row, "result": json.loads(done.stdout[done.stdout.index("{") :])}


def main() -> None:
    """Measure in alternating rounds, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    given = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        data = subset(given.data, Path(folder) / "data")
        for model, options in TASKS.items():
            rows: dict[int, list[dict[str, Any]]] = {world: [] for world in WORLDS}
            for number in range(given.rounds):
                for world in WORLDS[:: 1 if number % 2 else -1]:
                    rows[world].append(trained(world, data, model, options))
            alone = np.array(rows[1][0]["train_loss_parts"])
            for world in WORLDS:
                first = rows[world][0]
                gap = np.abs(np.array(first["train_loss_parts"]) / alone - 1).max()
                ratios = [a["images_per_second"] / b["images_per_second"]
                          for a, b in zip(rows[world], rows[1], strict=True)]  # fmt: skip
                print(
                    f"{model}, {world} process{'es' if world > 1 else ''}: "
                    f"{spread([row['images_per_second'] for row in rows[world]], 'images/s', 0)}, "
                    f"{np.median(ratios):.2f} of one; {first['steps']} steps, judged {first['images']:,} images, loss "
                    f"of every step within {gap:.1e} of one process, held out {first['loss']:.4f}, "
                    f"top-1 {first['top1']:.2f}"
                )


if __name__ == "__main__":
    main()
