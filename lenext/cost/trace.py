"""One forward, watched: which module computed what, from its operations as they run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from lenext.cost.geometry import Axis, Geometry, join
from lenext.cost.operations import ADAPTIVE, POOLS, elements, geometry_of, is_uncounted, macs_of
from lenext.models.blocks import Sparse

OWN = ("torch.", "lenext.")  # modules whose leaves we know: those without weights and arithmetic need no row


@dataclass(frozen=True)
class Output:
    """The shape of an output without the batch, and where its positions look: None where that cannot be told."""

    shape: tuple[int, ...]
    geometry: Geometry | None

    @property
    def receptive_field(self) -> int | None:
        """The side of what a position sees, in input pixels; the longer one where they differ."""
        return max(axis.field for axis in self.geometry) if self.geometry else None

    @property
    def stride(self) -> int | None:
        """How many input pixels lie between neighbouring positions; the larger step where they differ."""
        return max(axis.stride for axis in self.geometry) if self.geometry else None

    @property
    def offset(self) -> int | None:
        """The input pixel at which the first position's field begins; negative in the padding."""
        return min(axis.offset for axis in self.geometry) if self.geometry else None


@dataclass(frozen=True)
class Row(Output):
    """What one layer costs for one image; `activations` are the elements of its output.

    `uncounted` names arithmetic that is not in `macs`.
    """

    path: str
    kind: str
    params: int
    macs: int
    activations: int
    parameter_bytes: int
    activation_bytes: int
    uncounted: tuple[str, ...] = ()

    @property
    def output(self) -> tuple[int, ...]:
        """The shape of the output, without the batch."""
        return self.shape


@dataclass
class _Frame:
    """A module that is running."""

    path: str
    module: nn.Module
    macs: int = 0
    counts: bool = False  # whether what it gives is an activation
    uncounted: list[str] = field(default_factory=list)
    params: list[nn.Parameter] = field(default_factory=list)  # of modules that do not run themselves


class Trace(TorchFunctionMode):
    """Watches a forward: entered around it, after `watch` has put hooks on the model.

    The images are a batch of none, in which every side but the first is as in a batch of one; operations on it take
    no time. Where a forward does not bear that, one image on the meta device does the same.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[Row] = []
        self.outputs: dict[str, Output] = {}  # of modules with children, by path
        self.frames: list[_Frame] = []
        self.counted: set[int] = set()  # the ids of parameters that stand in a row

    def watch(self, model: nn.Module) -> Iterator[Any]:
        """Yield the handles of hooks that tell which module is running."""
        for path, module in model.named_modules():
            frame = _Frame(path, module)
            yield module.register_forward_pre_hook(self._enter(frame))
            yield module.register_forward_hook(self._leave)

    def _enter(self, frame: _Frame) -> Callable[..., None]:
        def enter(_module: nn.Module, _inputs: Any) -> None:
            self.frames.append(_Frame(frame.path, frame.module))

        return enter

    def _leave(self, module: nn.Module, _inputs: Any, output: Any) -> None:
        frame = self.frames.pop()
        own = [*module.parameters(recurse=False), *frame.params]
        known = type(module).__module__.startswith(OWN)
        leaf = next(module.children(), None) is None
        if isinstance(module, Sparse):
            frame.macs = module.macs(output)
        if own or (leaf and (frame.counts or frame.uncounted or not known)):
            made = leaf and (frame.counts or bool(own) or not known)
            self._add(frame, type(module).__name__, _first_tensor(output), own, made=made)
        tensor = _first_tensor(output)
        if not leaf and tensor is not None:
            self.outputs[frame.path] = Output(tuple(tensor.shape[1:]), _geometry(tensor))

    def _add(self, frame: _Frame, kind: str, output: Tensor | None, own: Sequence[nn.Parameter], *, made: bool) -> None:
        new = [parameter for parameter in own if id(parameter) not in self.counted]
        self.counted.update(map(id, new))
        shape = tuple(output.shape[1:]) if output is not None else ()
        activations = elements(output.shape) if made and output is not None else 0
        self.rows.append(
            Row(
                path=frame.path,
                kind=kind,
                shape=shape,
                params=sum(parameter.numel() for parameter in new),
                macs=frame.macs,
                activations=activations,
                geometry=_geometry(output) if output is not None else None,
                parameter_bytes=sum(parameter.numel() * parameter.element_size() for parameter in new),
                activation_bytes=activations * (output.element_size() if output is not None else 0),
                uncounted=tuple(dict.fromkeys(frame.uncounted)),
            )
        )

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        named = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        if name.endswith("_") and not name.endswith("__"):  # in place, it costs and sees the same
            name = name[:-1]
        output = func(*_with_room(name, args), **named)
        inputs = [item for item in _flat((*args, *named.values())) if isinstance(item, Tensor)]
        for made in _flat((output,)):
            if isinstance(made, Tensor):
                self._follow(name, args, named, inputs, made)
        first = _first_tensor(output)
        if self.frames and first is not None:
            self._count(func, name, args, named, inputs, first)
        return output

    def _follow(
        self, name: str, args: Sequence[Any], named: Mapping[str, Any], inputs: Sequence[Tensor], output: Tensor
    ) -> None:
        told = [item for item in inputs if hasattr(item, "_lenext_geometry")]  # not weights and constants
        seen = [geometry for geometry in map(_geometry, told) if geometry is not None]
        if told:
            known = len(seen) == len(told)
            found = geometry_of(name, args, named, join(seen), output) if known else None
            output._lenext_geometry = found  # type: ignore[attr-defined]

    def _count(
        self,
        func: Callable[..., Any],
        name: str,
        args: Sequence[Any],
        named: Mapping[str, Any],
        inputs: Sequence[Tensor],
        output: Tensor,
    ) -> None:
        frame = self.frames[-1]
        macs = macs_of(name, args, named, output)
        unknown = is_uncounted(name, getattr(func, "__module__", None) or "")
        if not macs and not unknown and name not in POOLS | ADAPTIVE:
            return
        call = _Frame(frame.path, frame.module, macs, counts=True, uncounted=[name] if unknown else [])
        own = {id(parameter) for parameter in frame.module.parameters(recurse=False)}
        foreign = [item for item in inputs if isinstance(item, nn.Parameter) and id(item) not in own]
        if next(frame.module.children(), None) is None:  # a leaf: its row comes when it is left
            frame.macs, frame.counts = frame.macs + macs, True
            frame.uncounted += call.uncounted
            frame.params += foreign
        else:
            self._add(call, name, output, foreign, made=True)


def image(shape: Sequence[int], *, device: str = "cpu", count: int = 0, dtype: torch.dtype | None = None) -> Tensor:
    """Return images that hold nothing, each position of which looks at itself: (count, C, H, W)."""
    x = torch.empty(count, *shape, device=device, dtype=dtype)
    x._lenext_geometry = tuple(Axis(side) for side in shape[1:])  # type: ignore[attr-defined]
    return x


def _geometry(tensor: Tensor) -> Geometry | None:
    return getattr(tensor, "_lenext_geometry", None)


def _first_tensor(value: Any) -> Tensor | None:
    return next((item for item in _flat((value,)) if isinstance(item, Tensor)), None)


def _flat(values: Any) -> Iterator[Any]:
    for value in values:
        if isinstance(value, list | tuple):
            yield from _flat(value)
        elif isinstance(value, dict):
            yield from _flat(value.values())
        else:
            yield value


def _with_room(name: str, args: Sequence[Any]) -> Sequence[Any]:
    """Give a convolution with the weights of a skeleton a place for them: else it copies them, which takes time."""
    if name.startswith("conv") and len(args) > 1 and isinstance(args[1], Tensor) and 0 in args[1].stride():
        return (args[0], torch.empty(args[1].shape, dtype=args[1].dtype), *args[2:])
    return args
