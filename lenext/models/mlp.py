"""A multilayer perceptron: LeCun et al. 1998, https://doi.org/10.1109/5.726791

The network without convolutions that LeNet is compared with; the paper measures several widths of it.

mlp at 28 px: stem identity | no stages | head 784 -> 128 -> (N, classes)
"""

from __future__ import annotations

from typing import Any

from torch import nn

from lenext.models.base import ImageClassifier
from lenext.models.heads import DenseHead
from lenext.registry import Facts, register


class MLP(ImageClassifier):
    """One hidden layer of ReLU units on the flattened pixels."""

    def __init__(
        self, *, hidden: int = 128, size: tuple[int, int] = (28, 28), classes: int = 10, in_channels: int = 1
    ) -> None:
        super().__init__()
        self.stem = nn.Identity()
        self.stages = nn.ModuleList()
        classifier = nn.Linear(hidden, classes)
        self.head = DenseHead(
            in_channels, size, (hidden,), classifier, pool=nn.Identity(), stride=1, activation=nn.ReLU
        )


@register(
    Facts(
        paper="10.1109/5.726791", year=1998, params=101_770, macs=101_632,
        size=28, smallest=1, strides=(), channels=1, classes=10, size_bound=True,
    )
)  # fmt: skip
def mlp(**options: Any) -> MLP:
    """784-128-10, ReLU."""
    return MLP(**options)
