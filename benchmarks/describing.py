"""How long `lenext describe` takes beside importing torch, as whole processes, and how much memory.

python benchmarks/describing.py [MODEL ...]

The arithmetic that must be is none, and the bytes that must be read are those of torch itself: a description can cost
little more than `python -c "import torch"`. The bound is 1.3 times that and 0.3 s; of a network of a thousand layers,
whose modules have to be made and run, it is 3 s.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from rounds import alternate, machine, median_ratio, spread

ROUNDS = 11
DEEPEST = ("resnet1202_cifar", "preresnet1001_cifar")
MODELS = ("vgg19", "googlenet_bn", *DEEPEST)


def seconds(command: list[str], peaks: list[float] | None = None) -> float:
    """Return how long the command takes from start to end; its peak memory in MB is added to `peaks`."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    took = time.perf_counter() - began
    if status:
        raise SystemExit(f"{command} failed")
    if peaks is not None:
        peaks.append(usage.ru_maxrss / 1024)
    return took


def main() -> None:
    """Measure each model in turn with the import of torch."""
    script = str(Path(sys.executable).with_name("lenext"))
    for name in sys.argv[1:] or MODELS:
        peaks: list[float] = []
        described, imported = alternate(
            lambda name=name, peaks=peaks: seconds([script, "describe", name, "--batch", "128"], peaks),  # type: ignore[misc]
            lambda: seconds([sys.executable, "-c", "import torch"]),
            ROUNDS,
        )
        bound = 3.0 if name in DEEPEST else 1.3 * statistics.median(imported) + 0.3
        print(f"lenext describe {name} --batch 128: {spread(described, 's')}, bound {bound:.2f} s")
        print(f"  import torch: {spread(imported, 's')}; ratio {median_ratio(described, imported)}")
        print(f"  peak memory {max(peaks):.0f} MB")
    print(machine())


if __name__ == "__main__":
    main()
