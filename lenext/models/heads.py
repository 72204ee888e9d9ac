"""Heads: what turns the last feature map into logits."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict

from torch import Tensor, nn

from lenext.errors import UserError
from lenext.models.sliding import AtEachPlace, Sliding, refuse_shifts, sliding


class Head(nn.Module, ABC):
    """A head embeds the last feature map and classifies the embedding; `classifier` is its last layer.

    `stride` is how many places lie between neighbouring windows once it slides over a larger map, and `shifts` whether
    its last pool may begin at each of them.
    """

    classifier: nn.Module
    stride: int = 1
    shifts: bool = False

    @abstractmethod
    def embed(self, x: Tensor) -> Tensor:
        """Return what enters `classifier`: (N, C, H, W) -> (N, D)."""

    @property
    def linear(self) -> nn.Linear | None:
        """The last layer, where the logits are one dense layer on the embedding; None where they are not."""
        return self.classifier if isinstance(self.classifier, nn.Linear) else None

    def logits_and_map(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits and what the head answers at each place of the map: -> (N, classes), (N, classes, h, w).

        Where the head is a pool and one dense layer, the mean over the places is the logit. One that answers only the
        map as a whole has one place.
        """
        logits = self(x)
        return logits, logits[:, :, None, None]

    def sliding(self, window: tuple[int, int], *, shifted: bool = False) -> nn.Module:
        """Return what gives the answer of this head at every window of a map: (N, C, H, W) -> (N, classes, h, w).

        `window` is the height and width of the map that the head answers once. Dense layers become convolutions with
        copies of their weights; the other layers are shared with the head. Windows lie `stride` places apart, or one,
        where the last pool is `shifted`.

        Raises:
            UserError: the head fits no such window, its last pool cannot be shifted, or it does not slide at all.
        """
        raise UserError(f"a {type(self).__name__} cannot slide over larger maps: its class has no sliding()")

    def for_map(self, channels: int, size: tuple[int, int], classes: int) -> Head:
        """Return a new head with one dense layer for a map of an earlier stage, (channels, *size); here of its mean."""
        return PoolHead(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits: (N, C, H, W) -> (N, classes)."""
        logits: Tensor = self.classifier(self.embed(x))
        return logits


class DenseHead(Head):
    """Pool, flatten, dense layers: fits feature maps of one size only.

    `channels` and `size` are those of the map after the `pool` of `stride`; `hidden` are the widths of the dense
    layers, each followed by `activation` and then by dropout of the rate in `dropout`; `classifier` takes the last of
    them.
    """

    shifts = True

    def __init__(
        self,
        channels: int,
        size: tuple[int, int],
        hidden: tuple[int, ...],
        classifier: nn.Module,
        *,
        pool: nn.Module,
        stride: int = 2,
        activation: type[nn.Module],
        dropout: tuple[float, ...] | None = None,
    ) -> None:
        super().__init__()
        self.channels, self.size, self.stride = channels, size, stride
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
        self._require(tuple(x.shape[-3:]))
        x = self.flatten(x)  # (N, C, H, W) -> (N, C*H*W)
        for layer, dropout in zip(self.dense, self.dropout, strict=True):
            x = dropout(self.activation(layer(x)))
        return x

    def convolutional(self) -> nn.Sequential:
        """Return the dense layers as convolutions, with copies of their weights: (N, C, H, W) -> (N, classes, h, w).

        The first is as large as the map after pooling, the others are 1x1.
        """
        convolutions: dict[str, nn.Module] = {}
        kernel = self.size
        for number, layer in enumerate(self.dense, 1):
            convolutions[f"conv{number}"] = sliding(layer, kernel)
            convolutions[f"activation{number}"] = self.activation
            convolutions[f"dropout{number}"] = self.dropout[number - 1]
            kernel = (1, 1)
        convolutions["classifier"] = sliding(self.classifier, kernel)
        return nn.Sequential(OrderedDict(convolutions))

    def sliding(self, window: tuple[int, int], *, shifted: bool = False) -> Sliding:
        """Return what gives this head's answer at every window of a map: (N, C, H, W) -> (N, classes, h, w).

        Raises:
            UserError: the dense layers were built for another window.
        """
        weight = next(self.parameters())
        self._require(tuple(self.pool(weight.new_empty(0, self.channels, *window)).shape[1:]))
        return Sliding(self.pool, self.convolutional(), window, self.stride, shifted=shifted)

    def for_map(self, channels: int, size: tuple[int, int], classes: int) -> Head:
        """Return a new head with one dense layer for a map of an earlier stage, (channels, *size).

        It sees means over squares, in about the grid that this head's dense layers see.
        """
        stride = max(1, min(side // grid for side, grid in zip(size, self.size, strict=True)))
        pooled = (size[0] // stride, size[1] // stride)
        classifier = nn.Linear(channels * pooled[0] * pooled[1], classes)
        return DenseHead(
            channels, pooled, (), classifier, pool=nn.AvgPool2d(stride), stride=stride, activation=nn.Identity
        )

    def _require(self, shape: tuple[int, ...]) -> None:
        if shape != (self.channels, *self.size):
            found, built = ("x".join(map(str, sides)) for sides in (shape, (self.channels, *self.size)))
            raise UserError(
                f"the feature map is {found}, but the dense layers were built for {built}; "
                "resize the image, or create the model with that size="
            )


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

    def logits_and_map(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits and what the head answers at each place of the map: -> (N, classes), (N, classes, h, w)."""
        x = self.before(x)
        rest = nn.Sequential(self.after, self.dropout, self.classifier)
        return rest(self.flatten(self.pool(x))), AtEachPlace(rest)(x)

    def sliding(self, window: tuple[int, int], *, shifted: bool = False) -> nn.Module:
        """Return what gives this head's answer at every window of a map: (N, C, H, W) -> (N, classes, h, w).

        Raises:
            UserError: `shifted`, for the pool is global.
        """
        refuse_shifts(shifted)
        layers: dict[str, nn.Module] = {
            "before": self.before,
            "pool": nn.AvgPool2d(window, 1),
            "after": sliding(self.after),
            "dropout": self.dropout,
            "classifier": sliding(self.classifier),
        }
        return nn.Sequential(OrderedDict(layers))


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

    def logits_and_map(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits and the maps that they are the means of: -> (N, classes), (N, classes, h, w)."""
        maps = self.activation(self.classifier(x))
        return self.flatten(self.pool(maps)), maps

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits: (N, C, H, W) -> (N, classes)."""
        logits: Tensor = self.flatten(self.pool(self.activation(self.classifier(x))))
        return logits

    def sliding(self, window: tuple[int, int], *, shifted: bool = False) -> nn.Module:
        """Return what gives this head's answer at every window of a map: (N, C, H, W) -> (N, classes, h, w).

        Raises:
            UserError: `shifted`, for the pool is global.
        """
        refuse_shifts(shifted)
        layers = {"classifier": self.classifier, "activation": self.activation, "pool": nn.AvgPool2d(window, 1)}
        return nn.Sequential(OrderedDict(layers))
