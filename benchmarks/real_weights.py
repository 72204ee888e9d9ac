"""Whether real weights of others answer as they do there: MobileNetV2 on ImageNet photographs, ResNet-20 on CIFAR-10.

    python benchmarks/real_weights.py ../shared/data

Both run as a user runs them, `lenext evaluate NAME --weights FILE DATA`. The folder's own README says what its weights
reach: 82.0 and 94.5 % on its 200 photographs, resized to 256 px and cropped to 224, and 81.03 % on its recompressed
CIFAR-10.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from rounds import machine

COMMANDS = (
    ("mobilenet_v2", "mobilenet_v2-imagenet1k-torchvision.safetensors", "imagenet_sample"),
    ("mobilenet_v2", "mobilenet_v2-imagenet1k-torchvision.safetensors", "imagenet_sample", "--among-present"),
    ("resnet20_cifar", "resnet20-12fca82f.th", "cifar10"),
)


def main(folder: Path) -> None:
    """Print the accuracy of each."""
    for name, weights, data, *options in COMMANDS:
        found = evaluated(name, "--weights", str(folder / "weights" / weights), str(folder / data), *options)
        print(
            f"{name} {' '.join(options)}: top-1 {found['top1']:.2f} %, top-5 {found['top5']:.2f} % on "
            f"{found['images']:,} "
            f"images of {found['classes']} classes ({found['split']}), {found['candidates']} candidates, "
            f"{found['seconds']:.1f} s"
        )
    print(machine())


def evaluated(*words: str) -> dict[str, Any]:
    """Return what the command prints."""
    command = [sys.executable, "-m", "lenext", "evaluate", *words, "--json"]
    value: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return value


if __name__ == "__main__":
    main(Path(sys.argv[1]))
