"""Windows: a network that answers only images of one size, asked about each window of a larger one by itself.

What a cell says is what it says of the dense form: the answer to one whole window. It costs a pass a window.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from lenext.errors import UserError
from lenext.scanning.tiles import Span

STEPS = 4  # windows that begin within the side of one, along each side of the image; `finer` doubles them
ACROSS = 16  # windows along a side of a tile, where nobody says how large it is
AT_ONCE = 32  # windows that the network is asked about


class Windows(nn.Module):
    """A network at every window of `size`, `stride` pixels apart; see `lenext.dense.DenseClassifier`."""

    def __init__(self, network: nn.Module, size: tuple[int, int], *, finer: bool) -> None:
        super().__init__()
        self.network, self.size = network, size
        self.stride = max(1, min(size) // (2 * STEPS if finer else STEPS))

    def map(self, x: Tensor) -> Tensor:
        """Return the image itself: there is no map that windows share."""
        return x

    def answers(self, x: Tensor) -> Tensor:
        """Return the logits of each window: (N, C, H, W) -> (N, classes, h, w)."""
        high, wide = self.size
        views = x.unfold(2, high, self.stride).unfold(3, wide, self.stride)  # (N, C, h, w, high, wide)
        n, channels, down, right = views.shape[:4]
        views = views.permute(0, 2, 3, 1, 4, 5)
        places = [(i, row, column) for i in range(n) for row in range(down) for column in range(right)]
        parts = []
        for start in range(0, len(places), AT_ONCE):
            some = torch.tensor(places[start : start + AT_ONCE]).unbind(1)
            parts.append(self.network(views[some].view(-1, channels, high, wide)))
        logits = torch.cat(parts)
        return logits.view(n, down, right, logits.shape[1]).permute(0, 3, 1, 2)


class WindowTiling:
    """How an image is cut for `Windows`: tiles that begin and end where windows do."""

    whole = False

    def __init__(self, windows: Windows) -> None:
        self.size, self.stride = windows.size, windows.stride

    def fitting(self, _free: int) -> int:
        """Return the side of a tile, in pixels, that holds some windows, each of which needs little memory."""
        return max(self.size) + (ACROSS - 1) * self.stride

    def spans(self, size: tuple[int, int], tile: int) -> tuple[list[Span], list[Span]]:
        """Return the spans of an image of `size`, vertical and horizontal, in tiles of at most `tile` pixels a side.

        Raises:
            UserError: a tile is smaller than a window.
        """
        if tile < max(self.size):
            raise UserError(f"a tile of {tile} pixels is too small: a window has {max(self.size)}; give that or more")
        rows, columns = (list(self._along(axis, size[axis], tile)) for axis in (0, 1))
        return rows, columns

    def _along(self, axis: int, length: int, tile: int) -> Iterator[Span]:
        window, stride = self.size[axis], self.stride
        total, many = ((side - window) // stride + 1 for side in (length, tile))
        for cell in range(0, total, many):
            stop = min(total, cell + many)
            yield Span(cell * stride, (stop - 1) * stride + window, slice(None), slice(cell, stop))
