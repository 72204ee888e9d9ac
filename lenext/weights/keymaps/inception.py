"""The names of Inception v3 in torchvision and timm, which agree, and of v4 and Inception-ResNet v2 in timm."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from lenext.models.blocks import ConvNorm
from lenext.models.inception_resnet import InceptionResNet
from lenext.models.inception_v3 import InceptionV3
from lenext.models.inception_v4 import InceptionV4
from lenext.weights.keymaps.layout import Layout

# Of each kind of module, our paths below it and theirs.
SQUARE = {
    "one": "branch1x1", "five.reduce": "branch5x5_1", "five.conv": "branch5x5_2", "deep.reduce": "branch3x3dbl_1",
    "deep.conv1": "branch3x3dbl_2", "deep.conv2": "branch3x3dbl_3", "pool.project": "branch_pool",
}  # fmt: skip
FIRST_REDUCTION = {
    "three": "branch3x3", "deep.reduce": "branch3x3dbl_1", "deep.conv1": "branch3x3dbl_2",
    "deep.conv2": "branch3x3dbl_3",
}  # fmt: skip
CROSS = {
    "one": "branch1x1", "seven.reduce": "branch7x7_1", "seven.conv1": "branch7x7_2", "seven.conv2": "branch7x7_3",
    "deep.reduce": "branch7x7dbl_1", "deep.conv1": "branch7x7dbl_2", "deep.conv2": "branch7x7dbl_3",
    "deep.conv3": "branch7x7dbl_4", "deep.conv4": "branch7x7dbl_5", "pool.project": "branch_pool",
}  # fmt: skip
SECOND_REDUCTION = {
    "three.reduce": "branch3x3_1", "three.conv": "branch3x3_2", "seven.reduce": "branch7x7x3_1",
    "seven.conv1": "branch7x7x3_2", "seven.conv2": "branch7x7x3_3", "seven.conv3": "branch7x7x3_4",
}  # fmt: skip
SPLIT = {
    "one": "branch1x1", "three.reduce": "branch3x3_1", "three.split.wide": "branch3x3_2a",
    "three.split.tall": "branch3x3_2b", "deep.reduce": "branch3x3dbl_1", "deep.conv": "branch3x3dbl_2",
    "deep.split.wide": "branch3x3dbl_3a", "deep.split.tall": "branch3x3dbl_3b", "pool.project": "branch_pool",
}  # fmt: skip
V3: dict[str, tuple[str, Mapping[str, str]]] = {
    "stem": (
        "",
        {
            "conv1": "Conv2d_1a_3x3", "conv2": "Conv2d_2a_3x3", "conv3": "Conv2d_2b_3x3", "conv4": "Conv2d_3b_1x1",
            "conv5": "Conv2d_4a_3x3",
        },
    ),
    **{f"stages.0.{name}": (f"Mixed_5{theirs}.", SQUARE) for name, theirs in zip("abc", "bcd", strict=True)},
    "stages.1.reduction": ("Mixed_6a.", FIRST_REDUCTION),
    **{f"stages.1.{name}": (f"Mixed_6{theirs}.", CROSS) for name, theirs in zip("abcd", "bcde", strict=True)},
    "stages.2.reduction": ("Mixed_7a.", SECOND_REDUCTION),
    **{f"stages.2.{name}": (f"Mixed_7{theirs}.", SPLIT) for name, theirs in zip("ab", "bc", strict=True)},
    "auxiliary.0": ("AuxLogits.", {"conv1": "conv0", "conv2": "conv1"}),
}  # fmt: skip


def inception_v3(model: InceptionV3) -> tuple[Layout, ...]:
    """Return torchvision's layout and timm's."""
    paths = {"head.classifier": "fc", "auxiliary.0.classifier": "AuxLogits.fc"}
    for ours, (prefix, parts) in V3.items():
        for part, theirs in parts.items():
            paths |= {f"{ours}.{part}.conv": f"{prefix}{theirs}.conv", f"{ours}.{part}.norm": f"{prefix}{theirs}.bn"}
    spare = () if len(model.auxiliary) else ("AuxLogits.",)
    return tuple(Layout(library=library, paths=paths, spare=spare) for library in ("torchvision", "timm"))


def inception_v4(model: InceptionV4) -> tuple[Layout, ...]:
    """Return timm's layout: `features` counts stem and modules, and branches count from 0."""
    stem = {
        "conv1": "0", "conv2": "1", "conv3": "2", "split1.conv": "3.conv", "split3.conv": "5.conv",
        "split2.three.reduce": "4.branch0.0", "split2.three.conv": "4.branch0.1", "split2.seven.reduce": "4.branch1.0",
        "split2.seven.conv1": "4.branch1.1", "split2.seven.conv2": "4.branch1.2", "split2.seven.conv3": "4.branch1.3",
    }  # fmt: skip
    theirs = {f"stem.{ours}": f"features.{name}" for ours, name in stem.items()}
    number = 6
    for stage_number, stage in enumerate(model.stages):
        for place, module in enumerate(stage.children()):
            ours = f"stages.{stage_number}.{place}"
            counted = _counted(module, split=stage_number == 2 and place > 0)
            theirs |= {f"{ours}.{part}": f"features.{number}.{name}" for part, name in counted.items()}
            number += 1
    return (Layout(library="timm", paths=_with_norms(theirs, "last_linear")),)


def inception_resnet(model: InceptionResNet) -> tuple[Layout, ...]:
    """Return timm's layout, which has the second version only."""
    if isinstance(model.head.get_submodule("before"), nn.Identity):
        return ()
    stem = {
        "conv1": "conv2d_1a",
        "conv2": "conv2d_2a",
        "conv3": "conv2d_2b",
        "conv4": "conv2d_3b",
        "conv5": "conv2d_4a",
    }
    theirs = {f"stem.{ours}": name for ours, name in stem.items()} | {"head.before": "conv2d_7b"}
    mixes = {}
    firsts, repeats = ("mixed_5b", "mixed_6a", "mixed_7a"), ("repeat", "repeat_1", "repeat_2")
    for stage_number, (stage, first, repeat) in enumerate(zip(model.stages, firsts, repeats, strict=True)):
        modules = list(stage.children())
        for place, module in enumerate(modules):
            ours = f"stages.{stage_number}.{place}"
            last = stage_number == 2 and place == len(modules) - 1
            name = first if place == 0 else "block8" if last else f"{repeat}.{place - 1}"
            branches = module if place == 0 else module.get_submodule("branches")
            below = "" if place == 0 else "branches."
            theirs |= {f"{ours}.{below}{part}": f"{name}.{path}" for part, path in _counted(branches).items()}
            mixes[f"{ours}.mix"] = f"{name}.conv2d"
    return (Layout(library="timm", paths=_with_norms(theirs, "classif") | mixes),)


def _counted(branches: nn.Module, *, split: bool = False) -> dict[str, str]:
    """Return our paths of the convolutions in `branches` and theirs, which count branches and layers in them.

    With `split`, layers of a branch are counted behind an underscore, and those side by side have letters.
    """
    paths = {}
    for number, (branch, module) in enumerate(branches.named_children()):
        if isinstance(module, ConvNorm):
            paths[branch] = f"branch{number}"
            continue
        joint = "_" if split and not isinstance(module[0], nn.AvgPool2d) else "."  # type: ignore[index]
        for place, (name, layer) in enumerate(module.named_children()):
            if isinstance(layer, ConvNorm):
                paths[f"{branch}.{name}"] = f"branch{number}{joint}{place}"
            for letter, side in zip("ab", layer.named_children(), strict=False):
                if isinstance(side[1], ConvNorm):
                    paths[f"{branch}.{name}.{side[0]}"] = f"branch{number}{joint}{place}{letter}"
    return paths


def _with_norms(convs: Mapping[str, str], classifier: str) -> dict[str, str]:
    paths = {"head.classifier": classifier}
    for ours, theirs in convs.items():
        paths |= {f"{ours}.conv": f"{theirs}.conv", f"{ours}.norm": f"{theirs}.bn"}
    return paths
