"""ResNet's names: torchvision's and timm's, which agree, and those of the common public nets for CIFAR-10."""

from __future__ import annotations

from collections.abc import Iterator

from lenext.models.resnet import Bottleneck, ResNet
from lenext.weights.keymaps.layout import Layout

DEEP_STEM = {"conv1": ("conv1.0", "conv1.1"), "conv2": ("conv1.3", "conv1.4"), "conv3": ("conv1.6", "bn1")}
CIFAR = "pytorch_resnet_cifar10"


def layouts(model: ResNet) -> tuple[Layout, ...]:
    """Return the layouts that have this stem: three 3x3 convolutions are timm's alone.

    No library has the form with the stride in the 1x1, whose tensors look the same.
    """
    if any(isinstance(block, Bottleneck) and block.conv1.conv.stride != (1, 1) for block in model.modules()):
        return ()
    present = {path for path, _ in model.named_modules()}
    if "stem.conv1" in present:
        return (Layout(library="timm", paths=_paths(present, "downsample", "fc")),)
    both = [Layout(library=library, paths=_paths(present, "downsample", "fc")) for library in ("torchvision", "timm")]
    if "stem.pool" in present:
        return tuple(both)
    return (Layout(library=CIFAR, paths=_paths(present, "shortcut", "linear")), *both)


def _paths(present: set[str], shortcut: str, classifier: str) -> dict[str, str]:
    paths = {"head.classifier": classifier, "stem.conv.conv": "conv1", "stem.conv.norm": "bn1"}
    for ours, (conv, norm) in DEEP_STEM.items():
        paths |= {f"stem.{ours}.conv": conv, f"stem.{ours}.norm": norm}
    for ours, theirs in _blocks(present):
        for number in (1, 2, 3):
            paths |= {
                f"{ours}.conv{number}.conv": f"{theirs}.conv{number}",
                f"{ours}.conv{number}.norm": f"{theirs}.bn{number}",
            }
        paths |= {f"{ours}.shortcut.conv": f"{theirs}.{shortcut}.0", f"{ours}.shortcut.norm": f"{theirs}.{shortcut}.1"}
        projected = f"{ours}.shortcut.project"
        paths |= {f"{projected}.conv": f"{theirs}.{shortcut}.1", f"{projected}.norm": f"{theirs}.{shortcut}.2"}
    return paths


def _blocks(present: set[str]) -> Iterator[tuple[str, str]]:
    """Yield our path and theirs of every block."""
    for path in present:
        head, *rest = path.split(".")
        if head == "stages" and len(rest) == 2:
            yield path, f"layer{int(rest[0]) + 1}.{rest[1]}"
