"""Accuracy after some epochs of MNIST from the command line, five seeds.

python benchmarks/mnist.py ../shared/data/mnist [EPOCHS] [MODEL ...]
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from rounds import machine, spread

SEEDS = 5


def main(location: str, epochs: str = "1", *models: str) -> None:
    """Train each model, and print top-1 and the seconds of the whole command."""
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        for name in models or ("lenet5", "mlp"):
            results = []
            for seed in range(SEEDS):
                words = ["train", location, "--model", name, "--epochs", epochs, "--seed", str(seed), "--json"]
                command = [sys.executable, "-m", "lenext", *words, "--out", str(Path(folder) / f"{name}-{seed}")]
                results.append(json.loads(subprocess.run(command, capture_output=True, check=True).stdout))
            print(f"{name}: top-1 {spread([result['top1'] for result in results], '%')}")
            print(f"  whole command {spread([result['seconds'] for result in results], 's', 1)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
