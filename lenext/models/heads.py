"""Heads: what turns the last feature map into logits."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict

import torch
from torch import Tensor, nn

from lenext.errors import UserError


class Head(nn.Module, ABC):
    """A head embeds the last feature map and classifies the embedding; `classifier` is its last layer."""

    classifier: nn.Module

    @abstractmethod
    def embed(self, x: Tensor) -> Tensor:
        """Return what enters `classifier`: (N, C, H, W) -> (N, D)."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits: (N, C, H, W) -> (N, classes)."""
        logits: Tensor = self.classifier(self.embed(x))
        return logits


class DenseHead(Head):
    """Pool, flatten, dense layers: fits feature maps of one size only.

    `channels` and `size` are those of the map after pooling; `hidden` are the widths of the dense layers, each
    followed by `activation` and then by dropout of the rate in `dropout`; `classifier` takes the last of them.
    """

    def __init__(
        self,
        channels: int,
        size: tuple[int, int],
        hidden: tuple[int, ...],
        classifier: nn.Module,
        *,
        pool: nn.Module,
        activation: type[nn.Module],
        dropout: tuple[float, ...] | None = None,
    ) -> None:
        super().__init__()
        self.channels, self.size = channels, size
        self.pool = pool
        self.flatten = nn.Flatten()
        widths = (channels * size[0] * size[1], *hidden)
        self.dense = nn.ModuleList(nn.Linear(a, b) for a, b in zip(widths, hidden, strict=False))
        self.activation = activation()
        self.dropout = nn.ModuleList(nn.Dropout(rate) for rate in dropout or (0.0,) * len(hidden))
        self.classifier = classifier

    def embed(self, x: Tensor) -> Tensor:
        """Return the last hidden layer: (N, C, H, W) -> (N, hidden[-1]).

        Raises:
            UserError: the map is not of the size that the dense layers were built for.
        """
        x = self.pool(x)
        if x.shape[-3:] != (self.channels, *self.size):
            found, built = ("x".join(map(str, shape)) for shape in (x.shape[-3:], (self.channels, *self.size)))
            raise UserError(
                f"the feature map is {found}, but the dense layers were built for {built}; "
                "resize the image, or create the model with that size="
            )
        x = self.flatten(x)  # (N, C, H, W) -> (N, C*H*W)
        for layer, dropout in zip(self.dense, self.dropout, strict=True):
            x = dropout(self.activation(layer(x)))
        return x

    def convolutional(self) -> nn.Sequential:
        """Return the same head as convolutions, with copies of its weights: it slides over larger maps.

        (N, C, H, W) -> (N, classes, h, w); the first dense layer becomes a convolution as large as its map.

        Raises:
            UserError: the classifier is no dense layer.
        """
        layers = [*self.dense, self.classifier]
        convolutions: dict[str, nn.Module] = {"pool": self.pool}
        channels, kernel = self.channels, self.size
        for number, layer in enumerate(layers):
            if not isinstance(layer, nn.Linear):
                raise UserError(f"a {type(layer).__name__} cannot become a convolution; only dense layers can")
            conv = nn.Conv2d(channels, layer.out_features, kernel, device=layer.weight.device, dtype=layer.weight.dtype)
            with torch.no_grad():
                conv.weight.copy_(layer.weight.view_as(conv.weight))
                conv.bias.copy_(layer.bias)  # type: ignore[union-attr]
            convolutions[f"conv{number + 1}"] = conv
            if number < len(self.dense):
                convolutions[f"activation{number + 1}"] = self.activation
                convolutions[f"dropout{number + 1}"] = self.dropout[number]
            channels, kernel = layer.out_features, (1, 1)
        return nn.Sequential(OrderedDict(convolutions))


class PoolHead(Head):
    """The mean of each map, dropout, one dense layer: takes feature maps of any size.

    `channels` are what enters the dense layer; `before` works on the maps, `after` on their means.
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        *,
        dropout: float = 0.0,
        before: nn.Module | None = None,
        after: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.before = before or nn.Identity()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.after = after or nn.Identity()
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(channels, classes)

    def embed(self, x: Tensor) -> Tensor:
        """Return what enters the dense layer: (N, C, H, W) -> (N, D)."""
        x = self.flatten(self.pool(self.before(x)))  # (N, C, H, W) -> (N, C)
        embedded: Tensor = self.dropout(self.after(x))
        return embedded


class ClassMapHead(Head):
    """A 1x1 convolution draws one map a class, and the mean of each map is its logit.

    Lin et al. 2013, https://arxiv.org/abs/1312.4400: no dense layer, feature maps of any size.
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.classifier = nn.Conv2d(channels, classes, 1)
        self.activation = nn.ReLU(inplace=True)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()

    def embed(self, x: Tensor) -> Tensor:
        """Return the mean of each map that enters `classifier`: (N, C, H, W) -> (N, C)."""
        pooled: Tensor = self.flatten(self.pool(x))
        return pooled

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits: (N, C, H, W) -> (N, classes)."""
        logits: Tensor = self.flatten(self.pool(self.activation(self.classifier(x))))
        return logits
