"""Training, images and all, against a plain loop of PyTorch and torchvision on the same network, in alternating rounds.

    python benchmarks/whole_loop.py ../shared [--precision float32]

ResNet-20 on CIFAR-10 (128 a step, shifted and mirrored) and ResNet-18 at 224 px on folders of JPEGs (16 a step, cut at
random and mirrored). Each side runs in a process of its own: ours is what `lenext train` runs, with the arithmetic
that it measured to be fastest; the other is `plain_loop.py`.

What must be is printed beside: three times a network's multiply-adds, forward and back, and how many of them a product
of large matrices reaches on this machine.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from loading import linked
from plain_loop import PEERS
from rounds import alternate, machine, median_ratio, spread

T = TypeVar("T")
ROUNDS = 7
TASKS: dict[str, dict[str, Any]] = {
    "cifar": {
        "data": "data/cifar10", "model": "resnet20_cifar", "batch": 128, "warm": 10, "steps": 60, "classes": 10,
        "changes": {"crop": "pad", "padding": 4, "mirror": True},
    },
    "folder": {
        "data": "data/ants_bees", "model": "resnet18", "batch": 16, "warm": 4, "steps": 24, "classes": 2,
        "changes": {"crop": "inception", "mirror": True},
    },
}  # fmt: skip


class Stopwatch:
    """Notes the instant of every step, and stops the loop after some."""

    def __init__(self, steps: int) -> None:
        self.instants: list[float] = []
        self.steps = steps

    def track(self, items: Iterable[T], what: str, total: int, count: Callable[[T], int]) -> Iterator[T]:
        """Yield the batches of an epoch."""
        for item in items:
            if what.startswith("epoch"):
                self.instants.append(time.perf_counter())
                if len(self.instants) > self.steps:
                    raise KeyboardInterrupt
            yield item

    def note(self, text: str) -> None:
        """Tell what was chosen."""
        if text.startswith(("arithmetic", "images")):
            print(text, file=sys.stderr)


def ours(task: str, shared: str, precision: str) -> float:
    """Return the images a second of lenext's loop; runs in a process of its own."""
    import lenext

    plan = TASKS[task]
    watch = Stopwatch(plan["warm"] + plan["steps"])
    overrides = {"optimizer": "sgd", "schedule": "constant", "precision": precision, **plan["changes"]}
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(KeyboardInterrupt):
        lenext.train(
            source_of(task, shared, Path(folder) / "data"), plan["model"], recipe="sgd", epochs=100,
            batch_size=plan["batch"], lr=0.01, overrides=overrides, out=Path(folder) / "run", progress=watch,
        )  # fmt: skip
    timed = watch.instants[plan["warm"] :]
    return plan["batch"] * (len(timed) - 1) / (timed[-1] - timed[0])  # type: ignore[no-any-return]


def plain(task: str, shared: str) -> float:
    """Return the images a second of the plain loop."""
    plan = TASKS[task]
    with tempfile.TemporaryDirectory() as folder:
        data = source_of(task, shared, Path(folder) / "data")
        place = data / "train" if task == "folder" else data
        words = [PEERS, str(Path(__file__).with_name("plain_loop.py")), task, str(place)]
        for key in ("model", "classes", "batch", "warm", "steps"):
            words += [f"--{key}", str(plan[key])]
        return float(_last_line([*words, "--shared", shared])["images_per_second"])


def source_of(task: str, shared: str, place: Path) -> Path:
    """Return the data of a task, photographs several times over: an epoch is longer than what is timed."""
    data = Path(shared) / TASKS[task]["data"]
    if task != "folder":
        return data
    linked(data / "train", place / "train")
    linked(data / "val", place / "val", copies=1)
    return place


def _last_line(words: list[str]) -> dict[str, Any]:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def arithmetic(task: str, speed: float) -> str:
    """Say how many multiply-adds a second so many images a second are."""
    import lenext

    macs = 3 * lenext.profile(TASKS[task]["model"], classes=TASKS[task]["classes"]).total.macs
    return f"{macs / 1e6:.0f} M multiply-adds an image, {speed * macs / 1e9:.0f} G a second"


def able(side: int = 2048, times: int = 9) -> str:
    """Say how many multiply-adds a second a product of large matrices has, in either precision."""
    import torch

    told = []
    for precision in (torch.float32, torch.bfloat16):
        a, b = (torch.ones(side, side, dtype=precision) for _ in range(2))
        seconds = []
        for _ in range(times):
            began = time.perf_counter()
            a @ b
            seconds.append(time.perf_counter() - began)
        told.append(f"{str(precision).removeprefix('torch.')} {side**3 / statistics.median(seconds) / 1e9:.0f} G")
    return f"a product of matrices of {side} x {side}: {', '.join(told)} multiply-adds a second"


def main() -> None:
    """Compare on both tasks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shared")
    parser.add_argument("--task", choices=list(TASKS))
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps({"images_per_second": ours(asked.task, asked.shared, asked.precision)}))
        return
    print(able())
    for task in [asked.task] if asked.task else TASKS:
        again = [sys.executable, __file__, asked.shared, "--task", task, "--precision", asked.precision, "--one"]
        a, b = alternate(
            lambda again=again: float(_last_line(again)["images_per_second"]),  # type: ignore[misc]
            lambda task=task: plain(task, asked.shared),  # type: ignore[misc]
            asked.rounds,
        )
        print(f"{TASKS[task]['model']}, {TASKS[task]['batch']} a step, precision {asked.precision}")
        print(f"  lenext {spread(a, 'images/s', 1)}; plain loop {spread(b, 'images/s', 1)}")
        print(f"  ratio {median_ratio(a, b)}; {arithmetic(task, statistics.median(a))}", flush=True)
    print(machine())


if __name__ == "__main__":
    main()
