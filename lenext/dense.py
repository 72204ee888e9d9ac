"""`densify`: a classifier as a fully convolutional network, that answers at every window of a larger image."""

from __future__ import annotations

import copy
from typing import Any

from torch import Tensor, nn

from lenext.building import as_size
from lenext.cost.geometry import Geometry
from lenext.cost.profile import profile
from lenext.errors import UserError
from lenext.models import ImageClassifier


class DenseClassifier(nn.Module):
    """The stem and stages of a classifier, and its head sliding over their map: (N, C, H, W) -> (N, classes, h, w).

    Cell (i, j) is the answer to the window of the image that begins `stride` pixels times (i, j) from its corner and
    has `size`; of a network that pads its maps, it knows what surrounds the window, where the classifier on the window
    alone sees the padding. `window` is what the head sees of the last map for one cell, `step` how many places of it
    lie between cells, and `geometry` says, along each side, which pixels a place of the map depends on.
    """

    def __init__(self, model: ImageClassifier, size: tuple[int, int], *, finer: bool) -> None:
        super().__init__()
        cost = profile(model, size=size, **({} if model.spec else {"in_channels": _channels(model)}))
        last = cost.output_of("stages") if model.stages else None
        self.size = size
        self.channels = cost.input[1]
        self.window: tuple[int, int] = (last.shape[-2], last.shape[-1]) if last else size
        self.stem, self.stages = model.stem, model.stages
        self.head = model.head.sliding(self.window, shifted=finer)
        self.step = 1 if finer else model.head.stride
        self.geometry: Geometry | None = last.geometry if last else None
        self.stride = self.step * (last.stride or 1 if last else 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of each cell: (N, C, H, W) -> (N, classes, h, w).

        Raises:
            UserError: the image is smaller than the window.
        """
        return self.answers(self.map(x))

    def map(self, x: Tensor) -> Tensor:
        """Return the last feature map: (N, C, H, W) -> (N, C', H', W').

        Raises:
            UserError: the image is smaller than the window.
        """
        height, width = x.shape[-2:]
        if height < self.size[0] or width < self.size[1]:
            raise UserError(
                f"the image is {height}x{width}, smaller than the window of {self.size[0]}x{self.size[1]}; "
                "give a larger image, or make it larger"
            )
        x = self.stem(x)
        for stage in self.stages:
            x = stage(x)
        return x

    def answers(self, x: Tensor) -> Tensor:
        """Return the logits of each window of the last feature map: (N, C', H', W') -> (N, classes, h, w)."""
        logits: Tensor = self.head(x)
        return logits


def densify(
    model: ImageClassifier, size: int | tuple[int, int] | None = None, *, finer: bool = False
) -> DenseClassifier:
    """Return a classifier in its dense form, a module (N, C, H, W) -> (N, classes, h, w), with weights of its own.

        dense = lenext.densify(model.eval(), 224)
        dense(torch.zeros(1, 3, 320, 256)).shape    # (1, 1000, 4, 2), windows of 224 px that lie 32 apart

    Dense layers become convolutions as large as their input, and a global pool slides. On an image of `size` (a side,
    or height and width; the model's own where it is None) the one cell is what the model answers; on a larger one each
    cell is what its head answers to that window of `features(x)[-1]`. With `finer`, the last pool begins at each place
    of its stride and the answers are interleaved, so that cells lie as close as the places of the last map: OverFeat,
    Sermanet et al. 2013, https://arxiv.org/abs/1312.6229.

    Raises:
        UserError: a size that the model cannot have, or `finer` for a network with a global pool.
    """
    if not isinstance(model, ImageClassifier):
        raise UserError(
            f"{type(model).__name__} has no stem, stages and head, so that nothing says what becomes a convolution; "
            "give a model of lenext.create"
        )
    if size is None and model.spec is None:
        raise UserError(f"this {type(model).__name__} was built by hand and has no size of its own; give one")
    sides = as_size(size if size is not None else model.spec.size)  # type: ignore[union-attr]
    model = copy.deepcopy(model)
    model.drop_training_only()
    dense = DenseClassifier(model, sides, finer=finer)
    return dense.train(model.training)


def _channels(model: nn.Module) -> Any:
    """Return how many channels the first convolution takes; None leaves it to `profile`."""
    return next((part.in_channels for part in model.modules() if isinstance(part, nn.Conv2d)), None)
