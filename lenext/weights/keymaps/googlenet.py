"""GoogLeNet's names in torchvision: `inception3a` to `inception5b`, each of four branches."""

from __future__ import annotations

from collections.abc import Iterator

from lenext.models.googlenet import AUXILIARY_AFTER, WIDTHS, GoogLeNet
from lenext.weights.keymaps.layout import Layout

STEM = {"conv1": "conv1", "reduce": "conv2", "conv2": "conv3"}
BRANCHES = {
    "one": "branch1",
    "three.reduce": "branch2.0",
    "three.conv": "branch2.1",
    "five.reduce": "branch3.0",
    "five.conv": "branch3.1",
    "pool.project": "branch4.1",
}


def layouts(model: GoogLeNet) -> tuple[Layout, ...]:
    """Return torchvision's layout, which is that of the batch-normalised form."""
    paths = {"head.classifier": "fc"}
    for ours, theirs in _convolutions():
        paths |= {f"{ours}.conv": f"{theirs}.conv", f"{ours}.norm": f"{theirs}.bn"}
    present = {path for path, _ in model.named_modules()}
    spare = []
    for number, place in enumerate(AUXILIARY_AFTER, 1):
        ours, theirs = f"stages.1.auxiliary.{place}", f"aux{number}"
        if ours not in present:
            spare.append(f"{theirs}.")
        paths |= {f"{ours}.dense": f"{theirs}.fc1", f"{ours}.classifier": f"{theirs}.fc2"}
    return (Layout(library="torchvision", paths=paths, spare=tuple(spare)),)


def _convolutions() -> Iterator[tuple[str, str]]:
    """Yield our path and theirs of everything that is a convolution with what follows it."""
    for ours, theirs in STEM.items():
        yield f"stem.{ours}", theirs
    for stage, rows in enumerate(WIDTHS):
        for block in range(len(rows)):
            module = f"inception{stage + 3}{'abcde'[block]}"
            for ours, theirs in BRANCHES.items():
                yield f"stages.{stage}.blocks.{block}.{ours}", f"{module}.{theirs}"
    for number, place in enumerate(AUXILIARY_AFTER, 1):
        yield f"stages.1.auxiliary.{place}.conv", f"aux{number}.conv"
