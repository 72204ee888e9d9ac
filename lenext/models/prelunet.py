"""PReLU-net: He et al. 2015, https://arxiv.org/abs/1502.01852

prelunet_a at 224 px: stem 96x112x112 | stages 256x56x56, 512x28x28, 512x14x14
                      | head pyramid 512 x (49 + 9 + 4 + 1), 4096, 4096, (N, classes)

Rectifiers whose slope below zero is learned, and the first weights that rectifiers need: the first network to err less
than a person on ImageNet, in an ensemble. Model A of the paper's table 3, which costs what VGG-19 does.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lenext.models.base import ImageClassifier
from lenext.models.blocks import named
from lenext.models.heads import Head
from lenext.models.initialisation import Init, draw, initialise
from lenext.models.scaling import scale_depth, scale_width
from lenext.models.sliding import PyramidPool, refuse_shifts, sliding
from lenext.registry import Claim, Facts, Published, register

SLOPE = 0.25  # of every PReLU at first
LEVELS = (7, 3, 2, 1)  # the pyramid: so many places a side


class ConvPReLU(nn.Sequential):
    """A convolution and PReLU with one slope a map: (N, C, H, W) -> (N, C_out, H', W')."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, *, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride, kernel_size // 2)
        self.activation = nn.PReLU(out_channels, SLOPE)


class PyramidHead(Head):
    """The largest values in 7x7, 3x3, 2x2 and 1x1 places, then dense layers: takes feature maps of any size.

    He et al. 2014, https://arxiv.org/abs/1406.4729
    """

    def __init__(self, channels: int, hidden: int, classes: int, *, dropout: float) -> None:
        super().__init__()
        places = sum(side * side for side in LEVELS)
        self.dense1 = named(dense=nn.Linear(channels * places, hidden), activation=nn.PReLU(hidden, SLOPE))
        self.dropout1 = nn.Dropout(dropout)
        self.dense2 = named(dense=nn.Linear(hidden, hidden), activation=nn.PReLU(hidden, SLOPE))
        self.dropout2 = nn.Dropout(dropout)
        self.classifier = nn.Linear(hidden, classes)

    def embed(self, x: Tensor) -> Tensor:
        """Return the last hidden layer: (N, C, H, W) -> (N, hidden)."""
        if torch.compiler.is_exporting():  # for ONNX has no adaptive pools
            x = PyramidPool(LEVELS, (x.shape[2], x.shape[3]))(x).flatten(1)  # (N, 63 C)
        else:
            x = torch.cat([F.adaptive_max_pool2d(x, side).flatten(1) for side in LEVELS], 1)  # (N, 63 C)
        embedded: Tensor = self.dropout2(self.dense2(self.dropout1(self.dense1(x))))
        return embedded

    def sliding(self, window: tuple[int, int], *, shifted: bool = False) -> nn.Module:
        """Return what gives this head's answer at every window of a map: (N, C, H, W) -> (N, classes, h, w).

        Raises:
            UserError: `shifted`, for the pyramid covers its window whole.
        """
        refuse_shifts(shifted)
        layers = named(pool=PyramidPool(LEVELS, window))
        for name, part in (("1", self.dense1), ("2", self.dense2)):
            layers.add_module(f"conv{name}", sliding(part.get_submodule("dense")))
            layers.add_module(f"activation{name}", part.get_submodule("activation"))
        layers.add_module("classifier", sliding(self.classifier))
        return layers


class PReLUNet(ImageClassifier):
    """A 7x7 convolution, three stages of 3x3 convolutions, a pyramid of pools, three dense layers.

    model = PReLUNet(plan=((256, 5), (512, 5), (512, 5)), start=96)
    logits = model(torch.zeros(1, 3, 224, 224))    # (1, 1000)
    """

    def __init__(
        self,
        *,
        plan: tuple[tuple[int, int], ...],
        start: int,
        dropout: float = 0.5,
        depth: float = 1.0,
        width: float = 1.0,
        init: Init = "he",
        classes: int = 1000,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        channels = scale_width(start, width)
        self.stem = ConvPReLU(in_channels, channels, 7, stride=2)  # (N, C, H, W) -> (N, 96, H/2, W/2)
        self.stages = nn.ModuleList()
        for maps, layers in plan:
            stage = named(pool=nn.MaxPool2d(2))  # halves H and W
            for place in range(scale_depth(layers, depth)):
                stage.add_module(f"conv{place + 1}", ConvPReLU(channels, scale_width(maps, width), 3))
                channels = scale_width(maps, width)
            self.stages.append(stage)
        self.head = PyramidHead(channels, 4096, classes, dropout=dropout)
        initialise(self, init, _as_published)


def _as_published(model: nn.Module) -> None:
    """The paper's own rule, with the slope in it: variance 2 / ((1 + slope^2) fan-in)."""
    draw(model, lambda weight: nn.init.kaiming_normal_(weight, a=SLOPE))


@register(
    Facts(
        paper="1502.01852", year=2015, params=178_032_072, macs=19_058_106_368, size=224, smallest=15,
        strides=(4, 8, 16), lr_scale=0.3,
        errors=(
            Published(top1=22.97, top5=6.28, protocol="dense at several scales"),
            Published(top5=4.94, protocol="ensemble of six, test set"),
        ),
        claims=(Claim("macs", 1.9e10),),
    )
)  # fmt: skip
def prelunet_a(**options: Any) -> PReLUNet:
    """Model A: nineteen layers."""
    return PReLUNet(plan=((256, 5), (512, 5), (512, 5)), start=96, **options)
