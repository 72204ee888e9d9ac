"""Blocks that several families use unchanged."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from lenext.errors import UserError


class Sparse(nn.Module, ABC):
    """A layer whose weights are only some of those that its operation is given."""

    @abstractmethod
    def macs(self, output: Tensor) -> int:
        """Return the multiply-adds of an image by the weights that exist; `output` is what `forward` gave."""


def named(**modules: nn.Module) -> nn.Sequential:
    """Return the modules one after the other, each under its name."""
    return nn.Sequential(OrderedDict(modules))


def relu() -> nn.ReLU:
    """Return ReLU that works in place of its input."""
    return nn.ReLU(inplace=True)


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


class ConvNorm(nn.Sequential):
    """A convolution without bias, a norm, and an activation unless it is None: (N, C, H, W) -> (N, C_out, H', W').

        layer = ConvNorm(64, 96, (1, 7), stride=2)

    The padding is half the kernel, which keeps the size at stride 1, unless another is given.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int] = 1,
        *,
        stride: int = 1,
        padding: int | None = None,
        groups: int = 1,
        norm: Callable[[int], nn.Module] = nn.BatchNorm2d,
        activation: Callable[[], nn.Module] | None = relu,
    ) -> None:
        super().__init__()
        sides = kernel_size if isinstance(kernel_size, tuple) else (kernel_size, kernel_size)
        pads = (sides[0] // 2, sides[1] // 2) if padding is None else (padding, padding)
        self.conv = nn.Conv2d(in_channels, out_channels, sides, stride, pads, groups=groups, bias=False)
        self.norm = norm(out_channels)
        if activation is not None:
            self.activation = activation()


def plain_conv(in_channels: int, out_channels: int, kernel_size: int = 1, *, stride: int = 1) -> nn.Conv2d:
    """Return a convolution without bias, padded by half its kernel."""
    return nn.Conv2d(in_channels, out_channels, kernel_size, stride, kernel_size // 2, bias=False)


class PreConv(nn.Sequential):
    """Norm, ReLU, dropout, convolution: (N, C, H, W) -> (N, C_out, H/s, W/s)."""

    def __init__(self, conv: nn.Conv2d, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(conv.in_channels)
        self.activation = relu()
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        self.conv = conv


def make_stem(kind: str, in_channels: int, channels: int, norm: Callable[..., nn.Module]) -> nn.Sequential:
    """Return a stem: `7x7` and a pool; `deep`, three 3x3 and a pool; or `3x3`, for images of 32 px.

    `norm` makes each convolution with what follows it: (N, C, H, W) -> (N, channels, H/4, W/4), `3x3` keeps H and W.

    Raises:
        UserError: no such kind.
    """
    if kind == "3x3":
        return named(conv=norm(in_channels, channels, 3))
    pool = nn.MaxPool2d(3, 2, padding=1)
    if kind == "7x7":
        return named(conv=norm(in_channels, channels, 7, stride=2), pool=pool)
    if kind == "deep":
        half = channels // 2
        first, second = norm(in_channels, half, 3, stride=2), norm(half, half, 3)
        return named(conv1=first, conv2=second, conv3=norm(half, channels, 3), pool=pool)
    raise UserError(f"stem {kind!r} is not known; give 7x7, deep or 3x3")


# Of the later Inceptions: norms that add 1e-3 to the variance, and the convolution that halves without padding.
inception_conv = partial(ConvNorm, norm=partial(nn.BatchNorm2d, eps=1e-3))
halve = partial(inception_conv, kernel_size=3, stride=2, padding=0)  # (N, C, H, W) -> (N, C', (H-1)/2, (W-1)/2)


class Branches(nn.Module):
    """Modules side by side on one input, their maps stacked: (N, C, H, W) -> (N, C_1 + C_2 + ..., H', W').

    pair = Branches(conv=ConvNorm(64, 96, 3, stride=2), pool=nn.MaxPool2d(3, 2, padding=1))
    """

    def __init__(self, **branches: nn.Module) -> None:
        super().__init__()
        for name, branch in branches.items():
            self.add_module(name, branch)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C_1 + C_2 + ..., H', W')"""
        return torch.cat([branch(x) for branch in self.children()], 1)


class StochasticDepth(nn.Module):
    """Drop whole images of a residual branch while training: (N, ...) -> (N, ...).

    Huang et al. 2016, https://arxiv.org/abs/1603.09382. An image is kept with probability 1 - `rate`, and then
    divided by it, so that evaluation needs no correction.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        if not 0 <= rate < 1:
            raise ValueError(f"stochastic depth has to be at least 0 and below 1, but got {rate}")
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """(N, ...) -> (N, ...)"""
        if not self.training or self.rate == 0:
            return x
        kept = torch.rand(len(x), *(1,) * (x.ndim - 1), device=x.device) >= self.rate
        return x * (kept.to(x.dtype) / (1 - self.rate))

    def extra_repr(self) -> str:
        """Show the rate."""
        return f"rate={self.rate:.3g}"


class SqueezeExcite(nn.Module):
    """Weigh each map by what the means of all maps say: (N, C, H, W) -> (N, C, H, W).

    Hu et al. 2017, https://arxiv.org/abs/1709.01507: `squeezed` means, `activation`, then `gate`, from 0 to 1.
    """

    def __init__(
        self,
        channels: int,
        squeezed: int,
        *,
        activation: Callable[[], nn.Module] = relu,
        gate: Callable[[], nn.Module] = nn.Sigmoid,
    ) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.reduce = nn.Conv2d(channels, squeezed, 1)
        self.activation = activation()
        self.expand = nn.Conv2d(squeezed, channels, 1)
        self.gate = gate()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)"""
        weights: Tensor = self.gate(self.expand(self.activation(self.reduce(self.pool(x)))))  # (N, C, 1, 1)
        return x * weights


class InvertedResidual(nn.Module):
    """Widen, look at each map alone, narrow: (N, C, H, W) -> (N, C_out, H/s, W/s), plus the input where it fits.

    Sandler et al. 2018, https://arxiv.org/abs/1801.04381: the narrow ends carry the residual and have no activation.
    `expanded` is the width in between (no 1x1 convolution where it is C already), `squeezed` that of a squeeze and
    excitation, 0 for none; `conv` makes the convolutions with their norm.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        stride: int,
        expanded: int,
        conv: Callable[..., ConvNorm],
        squeezed: int = 0,
        gate: Callable[[], nn.Module] = nn.Sigmoid,
        squeeze_activation: Callable[[], nn.Module] = relu,
        drop: float = 0.0,
    ) -> None:
        super().__init__()
        layers: dict[str, nn.Module] = {}
        if expanded != in_channels:
            layers["expand"] = conv(in_channels, expanded)
        layers["depthwise"] = conv(expanded, expanded, kernel_size, stride=stride, groups=expanded)
        if squeezed:
            layers["squeeze"] = SqueezeExcite(expanded, squeezed, activation=squeeze_activation, gate=gate)
        layers["project"] = conv(expanded, out_channels, activation=None)
        self.residual = stride == 1 and in_channels == out_channels
        self.branch = named(**layers)
        self.drop = StochasticDepth(drop) if self.residual else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C_out, H/s, W/s)"""
        made: Tensor = self.branch(x)
        if self.residual:
            made = self.drop(made) + x
        return made


def cross_map_norm() -> nn.LocalResponseNorm:
    """Return AlexNet's local response normalisation: k = 2, n = 5, alpha = 1e-4, beta = 0.75.

    Krizhevsky et al. 2012, section 3.3. PyTorch takes the mean of the n squares where the paper takes their sum, so
    that its alpha is five times the paper's.
    """
    return nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)
