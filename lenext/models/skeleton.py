"""Building a network without its numbers: every tensor has its shape, none has memory of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

FACTORIES = {"empty", "full", "ones", "rand", "randn", "zeros"}


class Skeleton(TorchFunctionMode):
    """While this is entered, a new tensor repeats a single element, and drawing numbers in place does nothing.

        with Skeleton():
            model = lenext.create("vgg19")    # 143 million parameters in a few bytes

    The meta device would do the same, but loads for more than a second.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        named = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        if name.removesuffix("_like") in FACTORIES and name.endswith("_like"):
            like = args[0] if args else named["input"]
            return torch.empty(1, dtype=named.get("dtype") or like.dtype).expand(like.shape)
        if name in FACTORIES:
            sizes = named.pop("size", None) or args
            shape = sizes[0] if sizes and not isinstance(sizes[0], int) else sizes
            kept = {key: named[key] for key in ("dtype", "device", "requires_grad") if named.get(key) is not None}
            return torch.empty(1, **kept).expand(tuple(shape))
        if name.endswith("_") and not name.endswith("__") and name != "requires_grad_":
            return args[0] if args else named["tensor"]
        return func(*args, **named)
