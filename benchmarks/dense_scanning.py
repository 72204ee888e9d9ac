"""Scanning an image densely against cutting out the same windows and giving them to the classifier in batches.

    python benchmarks/dense_scanning.py [--sides 512 1024] [--rounds 5] [--models alexnet vgg11 resnet18]

Both sides: evaluation, inference mode, channels-last, float32. The cut windows go through in the batch size that was
fastest of a few. Printed is how many times less time the dense form takes, how many times less arithmetic by
`lenext.profile`, and the first over the second.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from rounds import alternate, machine, median_ratio, spread
from torch import Tensor

import lenext

BATCHES = (4, 8, 16, 32)


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def windows(image: Tensor, side: int, stride: int) -> Tensor:
    """Return the windows of an image in the order of the cells: (1, C, H, W) -> (h * w, C, side, side), a view."""
    cut = image[0].unfold(1, side, stride).unfold(2, side, stride)  # (C, h, w, side, side)
    return cut.permute(1, 2, 0, 3, 4)


def cropped(model: torch.nn.Module, cut: Tensor, batch: int) -> list[Tensor]:
    """Return what the classifier answers to each window, batch by batch."""
    rows, columns = cut.shape[:2]
    places = [(row, column) for row in range(rows) for column in range(columns)]
    answers = []
    for start in range(0, len(places), batch):
        each = torch.stack([cut[row, column] for row, column in places[start : start + batch]])
        answers.append(model(each.contiguous(memory_format=torch.channels_last)))
    return answers


@torch.inference_mode()
def compare(name: str, side: int, rounds: int) -> None:
    """Print the figures of one network on a square image."""
    torch.manual_seed(0)
    model = lenext.create(name).eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    assert model.spec is not None
    dense = lenext.densify(model).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    image = torch.randn(1, 3, side, side).contiguous(memory_format=torch.channels_last)
    cells = dense(image).shape[2] * dense(image).shape[3]
    cut = windows(image, model.spec.size[0], dense.stride)
    assert cut.shape[0] * cut.shape[1] == cells
    few = cut[:, : max(1, 32 // cut.shape[0])]  # enough to tell which batch is the fastest
    best = min(BATCHES, key=lambda batch: min(timed(lambda: cropped(model, few, batch)) for _ in range(2)))
    ours, theirs = alternate(
        lambda: timed(lambda: dense(image)), lambda: timed(lambda: cropped(model, cut, best)), rounds
    )
    whole = lenext.profile(dense, size=side, in_channels=3).total.macs
    saved = cells * lenext.profile(name).total.macs / whole
    gain = statistics.median(b / a for a, b in zip(ours, theirs, strict=True))
    print(
        f"{name}, {side} px, {cells} cells {dense.stride} px apart, batches of {best}: "
        f"time {median_ratio(theirs, ours)}, arithmetic {saved:.2f}, share {gain / saved:.2f}; "
        f"dense {spread(ours, 's', 3)}, {whole / 1e9:.1f} G multiply-adds, "
        f"{whole / 1e9 / statistics.median(ours):.0f} G a second",
        flush=True,
    )


def main() -> None:
    """Print a line for each network and side."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sides", type=int, nargs="+", default=[512, 1024])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--models", nargs="+", default=["alexnet", "vgg11", "resnet18"])
    asked = parser.parse_args()
    for name in asked.models:
        for side in asked.sides:
            compare(name, side, asked.rounds)
    print(machine())


if __name__ == "__main__":
    main()
