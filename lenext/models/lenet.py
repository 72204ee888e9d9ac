"""LeNet-5: LeCun et al. 1998, https://doi.org/10.1109/5.726791

lenet5 at 28 px:      stem identity | stages 6x28x28, 16x10x10 | head pool 16x5x5, 400, 120, 84, (N, classes)
lenet5_1998 at 32 px: stem identity | stages 6x28x28, 16x10x10 | head pool 16x5x5, 400, 120, 84, (N, classes)

`lenet5`, `lenet5_valid` and `lenet5_sigmoid` are the simplified forms in use today; `lenet5_1998` is the
paper's: scaled tanh, trainable subsampling, a partial connection table and a radial-basis output.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lenext.models.base import ImageClassifier
from lenext.models.blocks import Sparse
from lenext.models.heads import DenseHead
from lenext.registry import Facts, Published, register


def _pooled(size: tuple[int, int], padding: int) -> tuple[int, int]:
    """Return the size of the map that the head flattens: two 5x5 convolutions, each then halved."""

    def side(pixels: int) -> int:
        return ((pixels + 2 * padding - 4) // 2 - 4) // 2

    return side(size[0]), side(size[1])


class LeNet(ImageClassifier):
    """Two 5x5 convolutions, each followed by 2x2 pooling, then three dense layers.

        model = LeNet(classes=10)
        logits = model(torch.zeros(1, 1, 28, 28))    # (1, 10)

    `init_` draws each weight in place; None keeps PyTorch's rule.
    """

    def __init__(
        self,
        *,
        padding: int = 2,
        activation: type[nn.Module] = nn.ReLU,
        pool: type[nn.Module] = nn.MaxPool2d,
        init_: Callable[[Tensor], Tensor] | None = None,
        size: tuple[int, int] = (28, 28),
        classes: int = 10,
        in_channels: int = 1,
    ) -> None:
        super().__init__()
        self.stem = nn.Identity()
        first = nn.Sequential()
        first.add_module("conv", nn.Conv2d(in_channels, 6, 5, padding=padding))
        first.add_module("activation", activation())
        second = nn.Sequential()
        second.add_module("pool", pool(2))  # (N, 6, H, W) -> (N, 6, H/2, W/2)
        second.add_module("conv", nn.Conv2d(6, 16, 5))
        second.add_module("activation", activation())
        self.stages = nn.ModuleList([first, second])
        self.head = DenseHead(
            16, _pooled(size, padding), (120, 84), nn.Linear(84, classes), pool=pool(2), activation=activation
        )
        if init_ is not None:
            for module in self.modules():
                if isinstance(module, nn.Conv2d | nn.Linear):
                    init_(module.weight)


class ScaledTanh(nn.Module):
    """The paper's squashing function 1.7159 tanh(2a/3): unit gain near zero, f(1) = 1, f(-1) = -1."""

    def forward(self, x: Tensor) -> Tensor:
        """Squash each element; the shape stays."""
        return 1.7159 * torch.tanh(x * (2 / 3))


class Subsampling(nn.Module):
    """The sum of each 2x2 square, times a trainable coefficient, plus a trainable bias, one pair a map."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.coefficient = nn.Parameter(torch.empty(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H/2, W/2)"""
        total = 4 * F.avg_pool2d(x, 2)
        return total * self.coefficient[:, None, None] + self.bias[:, None, None]


# The paper's table I: which of the six maps of S2 feed each of the sixteen maps of C3.
C3_INPUTS = (
    (0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (4, 5, 0), (5, 0, 1),
    (0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (3, 4, 5, 0), (4, 5, 0, 1), (5, 0, 1, 2),
    (0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5),
    (0, 1, 2, 3, 4, 5),
)  # fmt: skip


class PartialConv2d(Sparse):
    """A convolution in which each output map sees only some input maps; only those kernels exist."""

    outputs: Tensor
    channels: Tensor

    def __init__(self, inputs: tuple[tuple[int, ...], ...], kernel_size: int) -> None:
        super().__init__()
        pairs = [(out, channel) for out, channels in enumerate(inputs) for channel in channels]
        self.shape = (len(inputs), 1 + max(channel for _, channel in pairs), kernel_size, kernel_size)
        self.weight = nn.Parameter(torch.empty(len(pairs), kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.zeros(len(inputs)))
        self.register_buffer("outputs", torch.tensor([out for out, _ in pairs]), persistent=False)
        self.register_buffer("channels", torch.tensor([channel for _, channel in pairs]), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C_out, H - k + 1, W - k + 1)"""
        kernel = self.weight.new_zeros(self.shape).index_put((self.outputs, self.channels), self.weight)
        return F.conv2d(x, kernel, self.bias)

    def macs(self, output: Tensor) -> int:
        """Every kernel that exists works once at every position."""
        return self.weight.numel() * output.shape[-2] * output.shape[-1]


# Targets of the ten output units, after the paper's figure 3: 7 wide and 12 high, # for +1 and . for -1, so
# that characters which look alike have codes that are alike.
DIGIT_BITMAPS = """
..###.. ...##.. .#####. ####### .##..## ####### ..####. ####### .#####. .#####.
.##.##. ..###.. ##...## .....## .##..## ##..... .##.... .....## ##...## ##..###
##...## .####.. #....## ....##. ###..## ##..... ##..... .....## ##...## ##...##
##...## ...##.. ....##. ...##.. ##...## .####.. ##..... ....##. ##...## ##...##
##...## ...##.. ..###.. ..####. ##...## ..####. #####.. ...##.. .#####. ##..###
##...## ...##.. .##.... .....## ##..### .....## ###..## ...##.. ##...## .######
.##.##. ...##.. ##..... .....## .###### ##...## ##...## ..##... ##...## .....##
..###.. ...##.. ####### .....## .....## .#####. ###..## ..##... ##...## .....##
....... ...##.. ....... ##...## .....## ....... .#####. ..##... ##...## ....##.
....... .###### ....... .#####. .....## ....... ....... ..##... .#####. .####..
....... ....... ....... ....... ....... ....... ....... ....... ....... .......
....... ....... ....... ....... ....... ....... ....... ....... ....... .......
"""


def output_codes(classes: int) -> Tensor:
    """Return one code of ±1 a class, (classes, 84): the digits' bitmaps for ten, else fixed random codes."""
    if classes == 10:
        rows = [line.split() for line in DIGIT_BITMAPS.split("\n") if line]  # 12 rows of 10 pieces of 7
        bits = [[pixel == "#" for row in rows for pixel in row[digit]] for digit in range(10)]
    else:
        generator = torch.Generator().manual_seed(1998)
        bits = torch.randint(2, (classes, 84), generator=generator).tolist()
    return 2 * torch.tensor(bits, dtype=torch.float32) - 1


class RadialBasis(nn.Module):
    """Output units that answer with minus the squared distance between their input and a fixed code."""

    codes: Tensor

    def __init__(self, codes: Tensor) -> None:
        super().__init__()
        self.register_buffer("codes", codes)

    def forward(self, x: Tensor) -> Tensor:
        """(N, D) -> (N, classes)"""
        # |x - c|^2 as |x|^2 - 2xc + |c|^2: no (N, classes, D) in memory.
        squares = x.square().sum(1, keepdim=True) + self.codes.square().sum(1)
        return 2 * x @ self.codes.T - squares


class LeNet1998(ImageClassifier):
    """The paper's network. Its logits are minus the distances of the output layer.

    Weights start uniform within ±2.4 / fan-in, as the paper's appendix A draws them.
    """

    def __init__(self, *, size: tuple[int, int] = (32, 32), classes: int = 10, in_channels: int = 1) -> None:
        super().__init__()
        self.stem = nn.Identity()
        first = nn.Sequential()
        first.add_module("conv", nn.Conv2d(in_channels, 6, 5))  # C1
        first.add_module("activation", ScaledTanh())
        second = nn.Sequential()
        second.add_module("pool", Subsampling(6))  # S2
        second.add_module("pool_activation", ScaledTanh())
        second.add_module("conv", PartialConv2d(C3_INPUTS, 5))  # C3
        second.add_module("activation", ScaledTanh())
        self.stages = nn.ModuleList([first, second])
        self.head = DenseHead(
            16, _pooled(size, 0), (120, 84), RadialBasis(output_codes(classes)),
            pool=nn.Sequential(Subsampling(16), ScaledTanh()), activation=ScaledTanh,
        )  # fmt: skip
        self._draw_weights()

    @torch.no_grad()
    def _draw_weights(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                bound = 2.4 / module.weight[0].numel()
                module.weight.uniform_(-bound, bound)
            elif isinstance(module, PartialConv2d):
                fan_in = torch.bincount(module.outputs)[module.outputs] * module.weight[0].numel()
                module.weight.uniform_(-2.4, 2.4).div_(fan_in[:, None, None])
            elif isinstance(module, Subsampling):
                module.coefficient.uniform_(-2.4 / 4, 2.4 / 4)


@register(
    Facts(
        paper="10.1109/5.726791", year=1998, params=60_000, macs=326_520,
        size=32, smallest=16, strides=(1, 2), channels=1, classes=10, size_bound=True,
        errors=(Published(top1=0.95, protocol="test set", dataset="MNIST"),),
    )
)  # fmt: skip
def lenet5_1998(**options: Any) -> LeNet1998:
    """As published: 60,000 trainable parameters, 340,908 connections with the 840 fixed ones of the output."""
    return LeNet1998(**options)


@register(
    Facts(
        paper="10.1109/5.726791", year=1998, params=61_706, macs=416_520,
        size=28, smallest=12, strides=(1, 2), channels=1, classes=10, size_bound=True,
    )
)  # fmt: skip
def lenet5(**options: Any) -> LeNet:
    """Padding 2, ReLU, max pooling: the form in use today."""
    return LeNet(**options)


@register(
    Facts(
        paper="10.1109/5.726791", year=1998, params=44_426, macs=281_640,
        size=28, smallest=16, strides=(1, 2), channels=1, classes=10, size_bound=True,
    )
)  # fmt: skip
def lenet5_valid(**options: Any) -> LeNet:
    """Without padding: every position of a larger image sees what it sees here."""
    return LeNet(padding=0, **options)


@register(
    Facts(
        paper="10.1109/5.726791", year=1998, params=61_706, macs=416_520,
        size=28, smallest=12, strides=(1, 2), channels=1, classes=10, size_bound=True,
    )
)  # fmt: skip
def lenet5_sigmoid(**options: Any) -> LeNet:
    """Sigmoid and average pooling as in Dive into Deep Learning, whose Xavier weights it needs to train."""
    return LeNet(activation=nn.Sigmoid, pool=nn.AvgPool2d, init_=nn.init.xavier_uniform_, **options)
