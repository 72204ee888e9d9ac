"""Models without numbers, to see their shapes at the native input: VGG-19 takes neither time nor memory."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lenext.models import ImageClassifier, lookup


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


def shapes(name: str, *kinds: type[nn.Module]) -> list[tuple[int, ...]]:
    """Return what the layers of these kinds give at the native input, in the order in which they work."""
    return [shape for _, module, shape in steps(skeleton(name), blank(name)) if isinstance(module, kinds)]
