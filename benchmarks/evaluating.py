"""How long evaluating CIFAR-10's test images takes beside the bare forward passes, and where the rest of its time goes.

python benchmarks/evaluating.py SHARED [--rounds N]

What must be is the forward passes alone, on ready, normalised batches: 10,000 images of 40.6 M multiply-adds.
Evaluating normalises each batch and collects the answers besides. From first batch to last, the bound is 1.1 times the
bare passes.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import torch
from rounds import alternate, machine, median_ratio, spread

from lenext.classifier import load
from lenext.data.loader import Loader
from lenext.evaluation.examination import BATCH, Examination


def main() -> None:
    """Measure both in turn, in one process, and then the whole command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shared", type=Path)
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    weights, data = given.shared / "data/weights/resnet20-12fca82f.th", given.shared / "data/cifar10"
    classifier = load("resnet20_cifar", weights=weights)
    exam = Examination([classifier], data)
    loader = Loader(exam.images, classifier.preprocessing, batch_size=BATCH, device=classifier.device)
    ready = [batch.images.clone(memory_format=torch.channels_last) for batch in loader.in_order()]

    def evaluated() -> float:
        return exam.sitting(0, "center").seconds

    @torch.inference_mode()
    def bare() -> float:
        began = time.perf_counter()
        for images in ready:
            classifier.model(images)
        return time.perf_counter() - began

    ours, theirs = alternate(evaluated, bare, given.rounds)
    print(f"evaluating {len(exam.images.images):,} images, first batch to last: {spread(ours, 's')}")
    print(f"bare forward passes: {spread(theirs, 's')}; ratio {median_ratio(ours, theirs)}")
    words = ["evaluate", "resnet20_cifar", "--weights", str(weights), str(data), "--json"]
    done = subprocess.run([sys.executable, "-m", "lenext", *words], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    spent = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in found["seconds_by"].items())
    print(f"the whole command {found['seconds']:.2f} s: {spent}")
    print(machine())


if __name__ == "__main__":
    main()
