"""CIFAR-10 in so many minutes: `lenext train --recipe cifar_fast --minutes M` against a plain loop with ResNet-20.

    python benchmarks/cifar.py ../shared [--minutes 15] [--model resnet20_cifar] [--set KEY=VALUE ...]

The plain loop trains ResNet-20 by its paper's recipe, its schedule stretched to the time, once for as long and once for
1.4 times as long (`plain_loop.py`). Ours counts the whole command, decoding, measuring and judging included; the plain
loop's testing is not counted. Both are judged on the test split, by which nothing is chosen.
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

from plain_loop import PEERS
from rounds import machine

LONGER = 1.4


def ours(asked: argparse.Namespace) -> None:
    """Train, and print the curve."""
    with tempfile.TemporaryDirectory() as place:
        run = Path(place) / "run"
        words = [sys.executable, "-m", "lenext", "train", str(Path(asked.shared) / "data/cifar10"), "--json"]
        words += ["--model", asked.model, "--recipe", asked.recipe, "--minutes", str(asked.minutes), "--out", str(run)]
        words += ["--seed", str(asked.seed)]
        for value in asked.set:
            words += ["--set", value]
        for value in asked.option:
            words += ["--option", value]
        done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
        result = json.loads(done.stdout)
        rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    print(f"lenext, {asked.model}: {_told([row['top1'] for row in rows])}")
    print(
        f"  top-1 {result['top1']:.2f} % after {result['seconds'] / 60:.1f} minutes, {result['steps_executed']} steps"
    )


def plain(shared: str, minutes: float) -> None:
    """Train with the plain loop, and print the curve."""
    script = str(Path(__file__).with_name("plain_loop.py"))
    words = [PEERS, script, "cifar", str(Path(shared) / "data/cifar10"), "--shared", shared, "--minutes", str(minutes)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    points: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])["curve"]
    print(f"plain loop, ResNet-20, {minutes:g} minutes: {_told([point['top1'] for point in points])}")
    print(f"  top-1 {points[-1]['top1']:.2f} %, {points[-1]['steps']} steps", flush=True)


def _told(accuracies: list[float]) -> str:
    return " ".join(f"{accuracy:.1f}" for accuracy in accuracies)


def main() -> None:
    """Run both sides, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shared")
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--model", default="resnet20_cifar")
    parser.add_argument("--recipe", default="cifar_fast")
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--option", action="append", default=[])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--side", choices=["both", "lenext", "plain"], default="both")
    asked = parser.parse_args()
    if asked.side != "plain":
        ours(asked)
    if asked.side != "lenext":
        for minutes in (asked.minutes, LONGER * asked.minutes):
            plain(asked.shared, minutes)
    print(machine())


if __name__ == "__main__":
    main()
