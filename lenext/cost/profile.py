"""`profile`: what a network costs, read off its own forward, without arithmetic and without memory for it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lenext.building import as_size, check_size
from lenext.cost.cost import Cost
from lenext.cost.trace import Trace, image
from lenext.creation import create
from lenext.errors import UserError, one_line
from lenext.models import ImageClassifier, lookup
from lenext.models.modes import evaluating
from lenext.models.skeleton import Skeleton

SIDE = 224  # of the image for a module that is not ours


def profile(
    model: str | nn.Module,
    *,
    size: int | tuple[int, int] | None = None,
    batch: int = 1,
    classes: int | None = None,
    in_channels: int | None = None,
    **options: Any,
) -> Cost:
    """Return parameters, multiply-adds, memory and receptive fields of each layer of a network.

        cost = lenext.profile("alexnet_96", batch=128)
        cost.total.macs    # 1135256096

    `model` is a name, then built with `classes`, `in_channels` and `options`, or any module that takes images
    (N, C, H, W). `size` is a side, or height and width, in pixels: the model's own where it is None, 224 for a
    module that is not ours.

    Counted are convolutions, dense layers and matrix products. An activation is an output of a layer with weights, or
    of a pool; what works in place of its input (activation functions, dropout, response normalisation) makes none.

    Raises:
        UserError: an unknown name, a size, batch or number of classes that cannot be, a module that cannot be run.
    """
    if isinstance(batch, bool) or not isinstance(batch, int) or batch < 1:
        raise UserError(f"batch {batch!r} is not a whole number above zero")
    if isinstance(model, str):
        facts = lookup(model).facts
        sides = as_size(size if size is not None else facts.size)
        check_size(model, facts, sides)
        with Skeleton():
            built = create(model, classes=classes, in_channels=in_channels, size=sides, **options)
        assert built.spec is not None
        return _cost(built, model, (batch, built.spec.in_channels, *sides))
    if classes is not None or options:
        given = ", ".join((*(["classes"] if classes is not None else []), *options))
        raise UserError(f"{given} cannot be given with a module that is built already; give a name")
    return _profile_module(model, size, batch, in_channels)


def _profile_module(model: nn.Module, size: int | tuple[int, int] | None, batch: int, in_channels: int | None) -> Cost:
    if not isinstance(model, nn.Module):
        raise UserError(f"{model!r} is neither the name of a model nor a torch module")
    name = type(model).__name__
    if any(isinstance(module, torch.jit.ScriptModule) for module in model.modules()):
        raise UserError(f"{name} holds a scripted module, whose operations cannot be watched; give what it was made of")
    if any(isinstance(parameter, nn.UninitializedParameter) for parameter in model.parameters()):
        raise UserError(f"{name} has layers without a size yet; run it once on an image first")
    if type(model).forward is nn.Module.forward:
        raise UserError(f"{name} has no forward, so that there is nothing to run; give a module that takes images")
    if isinstance(model, ImageClassifier) and model.spec is not None:
        sides = as_size(size) if size is not None else model.spec.size
        check_size(model.spec.name, lookup(model.spec.name).facts, sides)
        if in_channels not in (None, model.spec.in_channels):
            raise UserError(
                f"in_channels {in_channels} cannot be: this {model.spec.name} takes {model.spec.in_channels}"
            )
        return _cost(model, model.spec.name, (batch, model.spec.in_channels, *sides))
    sides = as_size(size if size is not None else SIDE)
    channels = _channels(model) if in_channels is None else in_channels
    if isinstance(channels, bool) or not isinstance(channels, int) or channels < 1:
        raise UserError(f"in_channels {channels!r} is not a whole number above zero")
    return _cost(model, name, (batch, channels, *sides))


def _cost(model: nn.Module, name: str, shape: tuple[int, ...]) -> Cost:
    """Run the model on a batch of none, which costs nothing.

    A module that is not ours may fold the batch into other sides, where a none would swallow them: it first runs on
    one image of the meta device, which bears that, and loads for longer.
    """
    ways = [_run] if isinstance(model, ImageClassifier) else [_run_on_meta, _run]
    failures: list[Exception] = []
    for way in ways:
        try:
            trace, not_run = way(model, shape[1:])
            return Cost(name, shape, tuple(trace.rows), trace.outputs, not_run)
        except UserError:
            raise
        except Exception as error:
            failures.append(error)
    shown = "x".join(map(str, shape[1:]))
    raise UserError(
        f"{name} cannot be run on an image of {shown}: {one_line(failures[0])}; give the size= and in_channels= of an "
        "image that it takes; a module with other inputs cannot be profiled"
    ) from failures[0]


NotRun = tuple[tuple[str, int], ...]


def _run(model: nn.Module, shape: tuple[int, ...], device: str | None = None, count: int = 0) -> tuple[Trace, NotRun]:
    trace = Trace()
    first = next((parameter for parameter in model.parameters() if parameter.is_floating_point()), None)
    place = device or (str(first.device) if first is not None else "cpu")
    x = image(shape, device=place, count=count, dtype=first.dtype if first is not None else None)
    handles = list(trace.watch(model))
    try:
        with torch.no_grad(), evaluating(model), trace:
            model(x)
    finally:
        for handle in handles:
            handle.remove()
    missed = {
        path: sum(p.numel() for p in module.parameters(recurse=False) if id(p) not in trace.counted)
        for path, module in model.named_modules()
    }
    return trace, tuple((path, params) for path, params in missed.items() if params)


def _run_on_meta(model: nn.Module, shape: tuple[int, ...]) -> tuple[Trace, NotRun]:
    places = [
        (store, name, tensor)
        for module in model.modules()
        for store in (module._parameters, module._buffers)
        for name, tensor in store.items()
        if tensor is not None
    ]
    stand_ins: dict[int, Tensor] = {}  # a tensor that stands in two places stays one
    try:
        for store, name, tensor in places:
            if id(tensor) not in stand_ins:
                bare = tensor.detach().to("meta")
                stand_ins[id(tensor)] = nn.Parameter(bare, False) if isinstance(tensor, nn.Parameter) else bare
            store[name] = stand_ins[id(tensor)]  # type: ignore[assignment]
        with torch.device("meta"):
            return _run(model, shape, "meta", 1)
    finally:
        for store, name, tensor in places:
            store[name] = tensor  # type: ignore[assignment]


def _channels(model: nn.Module) -> int:
    """Return how many channels the first convolution takes."""
    found = (module.in_channels for module in model.modules() if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d))
    return next(found, 3)
