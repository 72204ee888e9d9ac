"""The names of MobileNet v1, v2 and v3 and of EfficientNet in torchvision and in timm.

timm counts the blocks of each row of the papers' tables, torchvision those of EfficientNet likewise and those of the
MobileNets through the whole net; a row is a run of blocks of one width.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lenext.models.blocks import InvertedResidual
from lenext.models.efficientnet import EfficientNet
from lenext.models.mobilenet import MobileNetV1, MobileNetV2
from lenext.models.mobilenet_v3 import MobileNetV3
from lenext.weights.keymaps.layout import Layout


@dataclass(frozen=True)
class _Block:
    """A block at our `path`: the `row` and the `place` in it that it has, and its place in the whole net."""

    path: str
    module: InvertedResidual
    row: int
    place: int
    count: int

    @property
    def parts(self) -> list[str]:
        """Our names of its convolutions and of its squeeze, in order."""
        return [name for name, _ in self.module.branch.named_children()]


def mobilenet_v1(model: MobileNetV1) -> tuple[Layout, ...]:
    """Return timm's layout."""
    paths = {"stem.conv": "conv_stem", "stem.norm": "bn1", "head.classifier": "classifier"}
    for stage, blocks in enumerate(model.stages):
        for place in range(len(list(blocks.children()))):
            ours, theirs = f"stages.{stage}.{place}", f"blocks.{stage}.{place}"
            paths |= {f"{ours}.depthwise.conv": f"{theirs}.conv_dw", f"{ours}.depthwise.norm": f"{theirs}.bn1"}
            paths |= {f"{ours}.mix.conv": f"{theirs}.conv_pw", f"{ours}.mix.norm": f"{theirs}.bn2"}
    return (Layout(library="timm", paths=paths),)


def mobilenet_v2(model: MobileNetV2) -> tuple[Layout, ...]:
    """Return torchvision's layout and timm's."""
    blocks = list(_blocks(model))
    last = f"features.{len(blocks) + 1}"
    paths = {"stem.conv": "features.0.0", "stem.norm": "features.0.1", "head.classifier": "classifier.1"}
    paths |= {"head.before.conv": f"{last}.0", "head.before.norm": f"{last}.1"}
    for block in blocks:
        for number, part in enumerate(block.parts):
            ours, theirs = f"{block.path}.branch.{part}", f"features.{block.count + 1}.conv.{number}"
            if part == "project":
                paths |= {f"{ours}.conv": theirs, f"{ours}.norm": f"features.{block.count + 1}.conv.{number + 1}"}
            else:
                paths |= {f"{ours}.conv": f"{theirs}.0", f"{ours}.norm": f"{theirs}.1"}
    return (Layout(library="torchvision", paths=paths), Layout(library="timm", paths=_timm(blocks)))


def mobilenet_v3(model: MobileNetV3) -> tuple[Layout, ...]:
    """Return torchvision's layout and timm's, whose norms differ by a hair."""
    blocks = list(_blocks(model))
    last = f"features.{len(blocks) + 1}"
    paths = {"stem.conv": "features.0.0", "stem.norm": "features.0.1", "head.classifier": "classifier.3"}
    paths |= {"head.before.conv": f"{last}.0", "head.before.norm": f"{last}.1", "head.after.dense": "classifier.0"}
    for block in blocks:
        paths |= _torchvision_block(block, f"features.{block.count + 1}.block")
    timm, row = _timm(blocks), f"blocks.{blocks[-1].row + 1}.0"
    timm |= {"head.before.conv": f"{row}.conv", "head.before.norm": f"{row}.bn1", "head.after.dense": "conv_head"}
    dense = model.get_parameter("head.after.dense.weight")
    shapes = {"head.after.dense.weight": (*dense.shape, 1, 1)}
    return (
        Layout(library="torchvision", paths=paths, norm_eps=1e-3),
        Layout(library="timm", paths=timm, shapes=shapes, norm_eps=1e-5),
    )


def efficientnet(model: EfficientNet) -> tuple[Layout, ...]:
    """Return torchvision's layout and timm's, whose norms differ by a hair from B5 on."""
    blocks = list(_blocks(model))
    last = f"features.{blocks[-1].row + 2}"
    paths = {"stem.conv": "features.0.0", "stem.norm": "features.0.1", "head.classifier": "classifier.1"}
    paths |= {"head.before.conv": f"{last}.0", "head.before.norm": f"{last}.1"}
    for block in blocks:
        paths |= _torchvision_block(block, f"features.{block.row + 1}.{block.place}.block")
    return (
        Layout(library="torchvision", paths=paths),
        Layout(library="timm", paths=_timm(blocks), norm_eps=1e-5),
    )


def _blocks(model: MobileNetV2 | MobileNetV3 | EfficientNet) -> Iterator[_Block]:
    row, place, count, width = -1, 0, 0, None
    for stage_number, stage in enumerate(model.stages):
        for number, module in enumerate(stage.children()):
            assert isinstance(module, InvertedResidual)
            maps = (stage_number, module.get_submodule("branch.project.conv").out_channels)
            if maps != width:
                row, place, width = row + 1, 0, maps
            yield _Block(f"stages.{stage_number}.{number}", module, row, place, count)
            place, count = place + 1, count + 1


def _torchvision_block(block: _Block, theirs: str) -> dict[str, str]:
    paths: dict[str, str] = {}
    for number, part in enumerate(block.parts):
        ours = f"{block.path}.branch.{part}"
        if part == "squeeze":
            paths |= {f"{ours}.reduce": f"{theirs}.{number}.fc1", f"{ours}.expand": f"{theirs}.{number}.fc2"}
        else:
            paths |= {f"{ours}.conv": f"{theirs}.{number}.0", f"{ours}.norm": f"{theirs}.{number}.1"}
    return paths


def _timm(blocks: list[_Block]) -> dict[str, str]:
    paths = {"stem.conv": "conv_stem", "stem.norm": "bn1", "head.classifier": "classifier"}
    paths |= {"head.before.conv": "conv_head", "head.before.norm": "bn2"}
    for block in blocks:
        theirs = f"blocks.{block.row}.{block.place}"
        convs = {"expand": "conv_pw", "depthwise": "conv_dw", "project": "conv_pwl"}
        if "expand" not in block.parts:
            convs["project"] = "conv_pw"
        number = 0
        for part in block.parts:
            ours = f"{block.path}.branch.{part}"
            if part == "squeeze":
                squeeze = f"{theirs}.se"
                paths |= {f"{ours}.reduce": f"{squeeze}.conv_reduce", f"{ours}.expand": f"{squeeze}.conv_expand"}
                continue
            number += 1
            paths |= {f"{ours}.conv": f"{theirs}.{convs[part]}", f"{ours}.norm": f"{theirs}.bn{number}"}
    return paths
