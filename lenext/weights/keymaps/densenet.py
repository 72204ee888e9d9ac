"""DenseNet's names in torchvision and in timm, which agree: every layer has a number, counted from one in its stage."""

from __future__ import annotations

from lenext.models.densenet import DenseLayer, DenseNet
from lenext.weights.keymaps.layout import Layout

# What is published still has the names from before a module's could not hold a dot.
OLDER = (r"(denselayer\d+\.(?:norm|conv))\.([12]\.)", r"\1\2")


def layouts(model: DenseNet) -> tuple[Layout, ...]:
    """Return torchvision's layout and timm's: for nets with bottlenecks, which are all that these have."""
    if any(isinstance(module, DenseLayer) and module.reduce is None for module in model.modules()):
        return ()
    paths = {
        "stem.conv.conv": "features.conv0",
        "stem.conv.norm": "features.norm0",
        "stem.conv": "features.conv0",
        "head.before.norm": f"features.norm{len(model.stages) + 1}",
        "head.classifier": "classifier",
    }
    for number in range(len(model.stages)):
        ours, theirs = f"stages.{number}.transition.conv", f"features.transition{number}"
        paths |= {f"{ours}.norm": f"{theirs}.norm", f"{ours}.conv": f"{theirs}.conv"}
    for ours, module in model.named_modules():
        if isinstance(module, DenseLayer):
            _, stage, _, place = ours.split(".")
            theirs = f"features.denseblock{int(stage) + 1}.denselayer{int(place) + 1}"
            paths |= {f"{ours}.reduce.norm": f"{theirs}.norm1", f"{ours}.reduce.conv": f"{theirs}.conv1"}
            paths |= {f"{ours}.conv.norm": f"{theirs}.norm2", f"{ours}.conv.conv": f"{theirs}.conv2"}
    return tuple(Layout(library=library, paths=paths, older=OLDER) for library in ("torchvision", "timm"))
