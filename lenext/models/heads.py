"""Heads: what turns the last feature map into logits."""

from __future__ import annotations

from abc import ABC, abstractmethod

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

    `channels` and `size` are those of the map after pooling; `hidden` are the widths of the dense layers,
    each followed by `activation`; `classifier` takes the last of them.
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
    ) -> None:
        super().__init__()
        self.channels, self.size = channels, size
        self.pool = pool
        self.flatten = nn.Flatten()
        widths = (channels * size[0] * size[1], *hidden)
        self.dense = nn.ModuleList(nn.Linear(a, b) for a, b in zip(widths, hidden, strict=False))
        self.activation = activation()
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
        for layer in self.dense:
            x = self.activation(layer(x))
        return x
