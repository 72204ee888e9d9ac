"""ConvNeXt's names in torchvision, in timm, and in the authors' repository."""

from __future__ import annotations

from lenext.models.convnext import ConvNeXt, ConvNeXtBlock
from lenext.weights.keymaps.layout import Layout

# What each library calls the parts of a block: ours, torchvision's, timm's, the authors'.
BLOCK = (
    ("depthwise", "block.0", "conv_dw", "dwconv"),
    ("norm", "block.2", "norm", "norm"),
    ("widen", "block.3", "mlp.fc1", "pwconv1"),
    ("narrow", "block.5", "mlp.fc2", "pwconv2"),
    ("scale", "layer_scale", "gamma", "gamma"),
)


def layouts(model: ConvNeXt) -> tuple[Layout, ...]:
    """Return the layouts of all three."""
    torchvision = {"stem.patches": "features.0.0", "stem.norm": "features.0.1"}
    torchvision |= {"head.after": "classifier.0", "head.classifier": "classifier.2"}
    timm = {"stem.patches": "stem.0", "stem.norm": "stem.1", "head.after": "head.norm", "head.classifier": "head.fc"}
    authors = {"stem.patches": "downsample_layers.0.0", "stem.norm": "downsample_layers.0.1"}
    authors |= {"head.after": "norm", "head.classifier": "head"}
    shapes = {}
    for stage in range(1, len(model.stages)):
        for number, part in enumerate(("norm", "conv")):
            ours = f"stages.{stage}.downsample.{part}"
            torchvision[ours] = f"features.{2 * stage}.{number}"
            timm[ours] = f"stages.{stage}.downsample.{number}"
            authors[ours] = f"downsample_layers.{stage}.{number}"
    for path, block in model.named_modules():
        if isinstance(block, ConvNeXtBlock):
            stage, place = int(path.split(".")[1]), int(path.rpartition("block")[2]) - 1
            for ours, first, second, third in BLOCK:
                torchvision[f"{path}.{ours}"] = f"features.{2 * stage + 1}.{place}.{first}"
                timm[f"{path}.{ours}"] = f"stages.{stage}.blocks.{place}.{second}"
                authors[f"{path}.{ours}"] = f"stages.{stage}.{place}.{third}"
            shapes[f"{path}.scale"] = (*block.scale.shape, 1, 1)
    return (
        Layout(library="torchvision", paths=torchvision, shapes=shapes),
        Layout(library="timm", paths=timm),
        Layout(library="facebookresearch", paths=authors),
    )
