"""What heads are made of once they slide: they answer at every place of a map that is larger than their window."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lenext.errors import UserError

FEW = 512  # windows, up to which a matrix product takes less time


class SlidingDense(nn.Conv2d):
    """A dense layer on flattened maps as the convolution that is as large as these: (N, C, H, W) -> (N, C', h, w).

    Few windows are answered by one matrix product, as the dense layer would: a convolution first brings its weights
    into another order, which for AlexNet's 38 million takes as long as the arithmetic for a hundred windows.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C', h, w)"""
        height, width = (side - kernel + 1 for side, kernel in zip(x.shape[2:], self.kernel_size, strict=True))
        if not 0 < len(x) * height * width <= FEW:
            return super().forward(x)
        windows = x.unfold(2, self.kernel_size[0], 1).unfold(3, self.kernel_size[1], 1)  # (N, C, h, w, *kernel)
        if self.weight.is_contiguous():
            windows, weight = windows.permute(0, 2, 3, 1, 4, 5), self.weight
        else:  # channels last: in this order the weights need not be moved
            windows, weight = windows.permute(0, 2, 3, 4, 5, 1), self.weight.permute(0, 2, 3, 1)
        answers = nn.functional.linear(windows.flatten(3), weight.flatten(1), self.bias)  # (N, h, w, C')
        return answers.permute(0, 3, 1, 2)

    def _get_name(self) -> str:
        return "Conv2d"  # which it is, however it is worked out


class AtEachPlace(nn.Module):
    """What works on vectors (M, C), applied to every place of a map: (N, C, H, W) -> (N, C', H, W)."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C', H, W)"""
        n, channels, height, width = x.shape
        vectors = self.inner(x.permute(0, 2, 3, 1).reshape(-1, channels))
        maps: Tensor = vectors.view(n, height, width, vectors.shape[1]).permute(0, 3, 1, 2)
        return maps


def sliding(layer: nn.Module, kernel: tuple[int, int] = (1, 1)) -> nn.Module:
    """Return what works on vectors in the form that slides over maps: (N, C, H, W) -> (N, C', h, w).

    A dense layer, on flattened maps of the size `kernel`, becomes the convolution that is as large as these, with a
    copy of its weights; anything else is applied to each place.
    """
    if not isinstance(layer, nn.Linear):
        return AtEachPlace(layer)
    weight = layer.weight
    channels = layer.in_features // (kernel[0] * kernel[1])
    conv = SlidingDense(channels, layer.out_features, kernel, device=weight.device, dtype=weight.dtype)
    with torch.no_grad():
        conv.weight.copy_(weight.view_as(conv.weight))
        conv.get_parameter("bias").copy_(layer.bias)
    return conv


class Sliding(nn.Module):
    """A pool of some stride, then convolutions, on every window of a map: (N, C, H, W) -> (N, classes, h, w).

    Windows are `window` places high and wide, and lie `stride` places apart, the pool's own step; or one place, where
    the map is `shifted`: pooled once for each of the places 0 to stride - 1 that it may begin at, along both sides, and
    the answers interleaved. Sermanet et al. 2013, https://arxiv.org/abs/1312.6229, section 3.3 and figure 3.
    """

    def __init__(
        self, pool: nn.Module, convolutions: nn.Module, window: tuple[int, int], stride: int, *, shifted: bool
    ) -> None:
        super().__init__()
        self.pool, self.convolutions = pool, convolutions
        self.window, self.stride, self.shifted = window, stride, shifted

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, classes, h, w)"""
        if not self.shifted:
            return self._answers(x)
        parts = [[self._answers(x[..., down:, right:]) for right in self._shifts(x, 1)] for down in self._shifts(x, 0)]
        answers = parts[0][0].new_empty(
            *parts[0][0].shape[:2], x.shape[-2] - self.window[0] + 1, x.shape[-1] - self.window[1] + 1
        )
        for down, row in enumerate(parts):
            for right, part in enumerate(row):
                answers[..., down :: self.stride, right :: self.stride] = part
        return answers

    def _answers(self, x: Tensor) -> Tensor:
        """Return the answers of the windows that begin at every `stride`-th place and lie inside the map."""
        down, right = ((x.shape[2 + axis] - self.window[axis]) // self.stride + 1 for axis in (0, 1))
        answers: Tensor = self.convolutions(self.pool(x))
        return answers[..., :down, :right]  # a pool may reach where a window no longer does

    def _shifts(self, x: Tensor, axis: int) -> range:
        return range(min(self.stride, x.shape[2 + axis] - self.window[axis] + 1))


class PyramidPool(nn.Module):
    """The largest values in grids of places over every window of a map: (N, C, H, W) -> (N, C * places, h, w).

    `levels` are how many places a side each grid has; on a map as large as the window, it is what adaptive pooling
    to each of them gives, flattened and joined. He et al. 2014, https://arxiv.org/abs/1406.4729
    """

    def __init__(self, levels: tuple[int, ...], window: tuple[int, int]) -> None:
        super().__init__()
        self.levels, self.window = levels, window

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C * places, H - window + 1, W - window + 1)"""
        down, right = x.shape[2] - self.window[0] + 1, x.shape[3] - self.window[1] + 1
        grids = []
        for side in self.levels:
            places = []
            for top, height in _spans(self.window[0], side):
                for left, width in _spans(self.window[1], side):
                    largest = nn.functional.max_pool2d(x, (height, width), 1)
                    places.append(largest[..., top : top + down, left : left + right])
            grids.append(
                torch.stack(places, 2).flatten(1, 2)
            )  # (N, C, side * side, h, w) -> (N, C * side * side, h, w)
        return torch.cat(grids, 1)


def _spans(size: int, count: int) -> list[tuple[int, int]]:
    """Return start and length of each of `count` places along a side, as adaptive pooling lays them."""
    starts = [i * size // count for i in range(count)]
    ends = [-(-(i + 1) * size // count) for i in range(count)]
    return [(start, end - start) for start, end in zip(starts, ends, strict=True)]


def refuse_shifts(shifted: bool) -> None:
    """Raise UserError where the last pool is to be shifted, but covers its window whole."""
    if shifted:
        raise UserError(
            "a global pool cannot be shifted: it answers at every place of the map already; leave finer out, "
            "or take a network whose last pool has a stride, such as alexnet, vgg11 or overfeat_fast"
        )
