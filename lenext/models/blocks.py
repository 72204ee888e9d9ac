"""Blocks that several families use unchanged."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable

from torch import Tensor, nn


class Sparse(nn.Module, ABC):
    """A layer whose weights are only some of those that its operation is given."""

    @abstractmethod
    def macs(self, output: Tensor) -> int:
        """Return the multiply-adds of an image by the weights that exist; `output` is what `forward` gave."""


def named(**modules: nn.Module) -> nn.Sequential:
    """Return the modules one after the other, each under its name."""
    return nn.Sequential(OrderedDict(modules))


class ConvReLU(nn.Sequential):
    """A convolution, a norm where one is given, and ReLU: (N, C, H, W) -> (N, C_out, H', W')."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        stride: int = 1,
        padding: int = 0,
        groups: int = 1,
        bias: bool = True,
        norm: Callable[[int], nn.Module] | None = None,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, groups=groups, bias=bias)
        if norm is not None:
            self.norm = norm(out_channels)
        self.activation = nn.ReLU(inplace=True)


def cross_map_norm() -> nn.LocalResponseNorm:
    """Return AlexNet's local response normalisation: k = 2, n = 5, alpha = 1e-4, beta = 0.75.

    Krizhevsky et al. 2012, section 3.3. PyTorch takes the mean of the n squares where the paper takes their sum, so
    that its alpha is five times the paper's.
    """
    return nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)
