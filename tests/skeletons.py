"""Models without numbers, to see their shapes at the native input: VGG-19 takes neither time nor memory.

Beside them, what makes a deep or wide model small enough to ask it a dozen questions, its structure untouched.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lenext.models import ImageClassifier, lookup

# Of each family that scales, the models that are quick in full, and what makes the others so.
REDUCED: dict[str, tuple[set[str], dict[str, float]]] = {
    "resnet": ({"resnet18", "plain18"}, {"depth": 0.2, "width": 0.25}),
    "resnet_d": ({"resnet18d"}, {"depth": 0.2, "width": 0.25}),
    "resnet_cifar": ({"resnet20_cifar"}, {"depth": 0.01}),
    "preresnet": ({"preresnet18"}, {"depth": 0.02, "width": 0.5}),
    "wide_resnet": (set(), {"depth": 0.2, "width": 0.25}),
    "resnext": (set(), {"depth": 0.2, "width": 0.25}),
    "inception_v4": (set(), {"depth": 0.3}),
    "inception_resnet": (set(), {"depth": 0.11}),
    "densenet": (set(), {"depth": 0.12, "width": 0.5}),
    "mobilenet": ({"mobilenet_v1_025", "mobilenet_v2"}, {"depth": 0.5, "width": 0.5}),
    "mobilenet_v3": ({"mobilenet_v3_small"}, {"depth": 0.7}),
    "efficientnet": (set(), {"depth": 0.2, "width": 0.3}),
    "convnext": (set(), {"depth": 0.12, "width": 0.25}),
    "highway": ({"highway19"}, {"depth": 0.2}),
    "vgg": ({"vgg11", "vgg11_lrn", "vgg11_bn"}, {"depth": 0.5, "width": 0.25}),
    "prelunet": (set(), {"depth": 0.3, "width": 0.125}),
}


def reduced(name: str) -> dict[str, Any]:
    """Return the options that make the model `name` quick; none where it is so in full."""
    quick, options = REDUCED.get(lookup(name).family, (set[str](), {}))
    return {} if name in quick else dict(options)


def device(name: str) -> torch.device:
    """Return where a skeleton of the model stands: on the device without memory, unless building it needs numbers."""
    return torch.device("cpu" if name == "lenet5_1998" else "meta")


def skeleton(name: str, size: tuple[int, int] | None = None, **options: Any) -> ImageClassifier:
    """Build the model straight from its entry, without what `lenext.create` refuses."""
    entry = lookup(name)
    facts = entry.facts
    if facts.size_bound:
        options["size"] = size or (facts.size, facts.size)
    with torch.device(device(name)):
        model = entry.build(**{"classes": facts.classes, "in_channels": facts.channels, **options})
    assert isinstance(model, ImageClassifier)
    return model


def blank(name: str, size: tuple[int, int] | None = None, *, count: int = 2, channels: int | None = None) -> Tensor:
    """Return images for a skeleton."""
    facts = lookup(name).facts
    return torch.zeros(count, channels or facts.channels, *(size or (facts.size, facts.size)), device=device(name))


def steps(model: nn.Module, x: Tensor) -> list[tuple[str, nn.Module, tuple[int, ...]]]:
    """Return path, module and output shape without the batch of every layer, in the order in which they work."""
    found: list[tuple[str, nn.Module, tuple[int, ...]]] = []

    def note(module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        found.append((paths[module], module, tuple(output.shape[1:])))

    paths = {module: path for path, module in model.named_modules() if not list(module.children())}
    hooks = [module.register_forward_hook(note) for module in paths]
    model(x)
    for hook in hooks:
        hook.remove()
    return found


def units(stage: nn.Module, x: Tensor) -> list[tuple[int, ...]]:
    """Return what the layers and blocks of a stage give, without the batch, in the order of their work."""
    found: list[tuple[int, ...]] = []
    parts: list[nn.Module] = []
    for child in stage.children():
        parts += child.children() if isinstance(child, nn.ModuleList) else [child]
    hooks = [part.register_forward_hook(lambda _m, _i, output: found.append(tuple(output.shape[1:]))) for part in parts]
    stage(x)
    for hook in hooks:
        hook.remove()
    return found


def shapes(name: str, *kinds: type[nn.Module]) -> list[tuple[int, ...]]:
    """Return what the layers of these kinds give at the native input, in the order in which they work."""
    return [shape for _, module, shape in steps(skeleton(name), blank(name)) if isinstance(module, kinds)]
