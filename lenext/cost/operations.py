"""What each operation of a forward costs and sees, by the name under which PyTorch calls it.

In every shape the images of a batch are the zeros, or the single image; see `lenext.cost.trace`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

from lenext.cost.geometry import Geometry

CONVOLUTIONS = {"conv1d", "conv2d", "conv3d"}
TRANSPOSED = {"conv_transpose1d", "conv_transpose2d", "conv_transpose3d"}
PRODUCTS = {"matmul", "__matmul__", "__rmatmul__", "mm", "bmm", "addmm", "baddbmm"}
POOLS = {f"{kind}_pool{n}d" for kind in ("max", "avg", "lp") for n in (1, 2, 3)}
ADAPTIVE = {f"adaptive_{kind}_pool{n}d" for kind in ("max", "avg") for n in (1, 2, 3)}

# Arithmetic that is more than a pass over the elements, and that is not counted; it is named instead.
UNCOUNTED = {
    "bilinear", "cdist", "einsum", "fold", "grid_sample", "gru", "gru_cell", "inner", "kron", "lstm", "lstm_cell",
    "multi_head_attention_forward", "mv", "outer", "rnn_relu", "rnn_relu_cell", "rnn_tanh", "rnn_tanh_cell",
    "scaled_dot_product_attention", "tensordot", "addbmm", "addmv", "addr", "chain_matmul", "multi_dot", "dot", "vdot",
    "_convolution", "conv_tbc", "convolution", "corrcoef", "cov", "matrix_exp", "matrix_power", "pdist",
}  # fmt: skip
# After these, positions of the map have no place in the image that one stride and offset could tell.
RESIZED = TRANSPOSED | {
    "affine_grid", "fold", "grid_sample", "interpolate", "pixel_shuffle", "pixel_unshuffle", "unfold", "upsample",
}  # fmt: skip

ARGUMENTS = {
    **dict.fromkeys(CONVOLUTIONS, ("input", "weight", "bias", "stride", "padding", "dilation", "groups")),
    **{f"max_pool{n}d": ("input", "kernel_size", "stride", "padding", "dilation") for n in (1, 2, 3)},
    **{f"avg_pool{n}d": ("input", "kernel_size", "stride", "padding") for n in (1, 2, 3)},
    **{f"lp_pool{n}d": ("input", "norm_type", "kernel_size", "stride") for n in (1, 2, 3)},
}


def elements(shape: Sequence[int]) -> int:
    """Return how many numbers a tensor of this shape holds for one image."""
    return math.prod(max(side, 1) for side in shape)


def is_uncounted(name: str, module: str) -> bool:
    """Return whether an operation's arithmetic is unknown: named in `UNCOUNTED`, a transform, or a bare kernel."""
    own_kernel = module.startswith("torch._ops")
    return name in UNCOUNTED or name.startswith(("fft_", "linalg_")) or own_kernel


def macs_of(name: str, arguments: Sequence[Any], named: Mapping[str, Any], output: Tensor) -> int:
    """Return the multiply-adds for one image: those of convolutions, dense layers and matrix products."""
    if name in CONVOLUTIONS:
        weight = _argument("weight", 1, arguments, named)
        return int(weight.numel() * elements(output.shape) // weight.shape[0])
    if name in TRANSPOSED:
        x, weight = _argument("input", 0, arguments, named), _argument("weight", 1, arguments, named)
        return int(weight.numel() * elements(x.shape) // weight.shape[0])
    if name == "linear":
        weight = _argument("weight", 1, arguments, named)
        return int(weight.numel() * elements(output.shape[:-1]))
    if name in PRODUCTS:
        added = name in ("addmm", "baddbmm")
        left = _argument({"addmm": "mat1", "baddbmm": "batch1"}.get(name, "input"), int(added), arguments, named)
        if name == "__rmatmul__":
            left = arguments[1]
        return elements(output.shape) * int(left.shape[-1])
    return 0


def geometry_of(
    name: str, arguments: Sequence[Any], named: Mapping[str, Any], seen: Geometry, output: Tensor
) -> Geometry | None:
    """Return where the positions of `output` look, where those of its inputs look at `seen`; None if unknown."""
    sizes = tuple(output.shape[2:])
    windows = name in CONVOLUTIONS | POOLS | ADAPTIVE
    if name in RESIZED or (windows and len(sizes) != len(seen)):
        return None
    if name in ADAPTIVE:
        return tuple(
            axis.slide(size, axis.size - (size - 1) * (axis.size // size), axis.size // size, 0)
            if size <= axis.size else axis
            for axis, size in zip(seen, sizes, strict=True)
        )  # fmt: skip
    if name in CONVOLUTIONS | POOLS:
        return _slide(name, arguments, named, seen, sizes)
    if name == "pad":
        return _pad(_argument("pad", 1, arguments, named), seen, sizes)
    if name == "__getitem__":
        return _cut(arguments[1], seen, output)
    flattened = output.ndim < len(seen) + 2
    averaged = len(sizes) == len(seen) and set(sizes) == {1}
    return tuple(axis.whole() for axis in seen) if flattened or averaged else seen


def _argument(name: str, position: int, arguments: Sequence[Any], named: Mapping[str, Any]) -> Any:
    return named[name] if name in named else arguments[position]


def _slide(
    name: str, arguments: Sequence[Any], named: Mapping[str, Any], seen: Geometry, sizes: Sequence[int]
) -> Geometry | None:
    given = {**dict(zip(ARGUMENTS[name], arguments, strict=False)), **named}
    kernel = given["weight"].shape[2:] if name in CONVOLUTIONS else given["kernel_size"]
    each = _expand(len(seen))
    kernels, dilations = each(kernel), each(given.get("dilation", 1))
    strides = each(given.get("stride") or (1 if name in CONVOLUTIONS else kernel))
    padding = given.get("padding", 0)
    if padding == "same":
        paddings = [(k - 1) * d // 2 for k, d in zip(kernels, dilations, strict=True)]
    else:
        paddings = each(0 if padding == "valid" else padding)
    steps = zip(seen, sizes, kernels, strides, paddings, dilations, strict=True)
    return tuple(axis.slide(*step) for axis, *step in steps)


def _expand(axes: int) -> Callable[[Any], list[int]]:
    """Return what makes one number, or one for each axis, a list with one for each axis."""

    def each(value: Any) -> list[int]:
        values = [value] if isinstance(value, int) else [int(item) for item in value]
        return values * axes if len(values) == 1 else values

    return each


def _pad(pad: Sequence[int], seen: Geometry, sizes: Sequence[int]) -> Geometry:
    """PyTorch lists the padding from the last axis to the first: left, right, top, bottom."""
    before = [*pad[::2], *[0] * len(seen)]
    return tuple(axis.slide(sizes[place], 1, 1, before[len(seen) - 1 - place]) for place, axis in enumerate(seen))


def _cut(index: Any, seen: Geometry, output: Tensor) -> Geometry | None:
    """Follow a slice, such as the every-second-position of a shortcut; None where it is anything else."""
    parts = index if isinstance(index, tuple) else (index,)
    if not all(isinstance(part, slice) for part in parts):
        return None if output.ndim >= len(seen) + 2 else tuple(axis.whole() for axis in seen)
    cuts = [*parts[2:], *[slice(None)] * len(seen)]
    axes = []
    for axis, cut, size in zip(seen, cuts, output.shape[2:], strict=False):
        start, _, step = cut.indices(axis.size)
        axes.append(axis.slide(size, 1, step, -start))
    return tuple(axes)
