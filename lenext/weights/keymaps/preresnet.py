"""Pre-activation ResNet's names in timm, which calls it `resnetv2` and whose last layer is a 1x1 convolution."""

from __future__ import annotations

from torch import nn

from lenext.models.preresnet import PreBlock, PreResNet
from lenext.weights.keymaps.layout import Layout


def layouts(model: PreResNet) -> tuple[Layout, ...]:
    """Return timm's layout, which has no net with the stride in the 1x1."""
    firsts = [module.branch.get_submodule("conv1") for module in model.modules() if isinstance(module, PreBlock)]
    if any(conv.kernel_size == (1, 1) and conv.stride != (1, 1) for conv in firsts):
        return ()
    paths = {"stem.conv": "stem.conv", "head.before.norm": "norm", "head.classifier": "head.fc"}
    for ours, block in model.named_modules():
        if isinstance(block, PreBlock):
            _, stage, place = ours.split(".")
            theirs = f"stages.{stage}.blocks.{place}"
            paths |= {f"{ours}.norm": f"{theirs}.norm1", f"{ours}.branch.conv1": f"{theirs}.conv1"}
            paths[f"{ours}.shortcut"] = f"{theirs}.downsample.conv"
            for number in (2, 3):
                part = f"{ours}.branch.conv{number}"
                paths |= {f"{part}.norm": f"{theirs}.norm{number}", f"{part}.conv": f"{theirs}.conv{number}"}
    classifier = model.head.classifier
    assert isinstance(classifier, nn.Linear)
    shapes = {"head.classifier.weight": (*classifier.weight.shape, 1, 1)}
    return (Layout(library="timm", paths=paths, shapes=shapes),)
