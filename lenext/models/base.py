"""The interface that every architecture offers: a stem, stages, a head, and what follows from them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from lenext.errors import UserError
from lenext.models.heads import Head


@dataclass(frozen=True)
class Spec:
    """What `lenext.create` needs to build a model again."""

    name: str
    classes: int
    in_channels: int
    size: tuple[int, int]
    options: dict[str, Any] = field(default_factory=dict)


class ImageClassifier(nn.Module, ABC):
    """A convolutional classifier: `stem`, then `stages`, then `head`.

    A family sets the three attributes in its constructor and inherits the rest:

        class LeNet(ImageClassifier):
            def __init__(self, *, classes=10, in_channels=1):
                super().__init__()
                self.stem, self.stages, self.head = nn.Identity(), nn.ModuleList(...), DenseHead(...)

    One stage is one resolution, and its downsampling comes first. A stem may be the identity; a pool that
    follows the last stage belongs to the head; a model without convolutions has no stages. `spec` is how
    `lenext.create` built the model, and None for a model that was built by hand.
    """

    stem: nn.Module
    stages: nn.ModuleList
    head: Head

    @abstractmethod
    def __init__(self) -> None:
        super().__init__()
        self.spec: Spec | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits: (N, C, H, W) -> (N, classes)."""
        x = self.stem(x)
        for stage in self.stages:
            x = stage(x)
        logits: Tensor = self.head(x)
        return logits

    def forward_train(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the logits, and those of auxiliary classifiers, each (N, classes); only training asks for these."""
        return self.forward(x), []

    def features(self, x: Tensor) -> list[Tensor]:
        """Return what each stage gives: (N, C, H, W) -> one (N, C_k, H_k, W_k) for stage k.

        Raises:
            UserError: the model has no stages.
        """
        if not self.stages:
            raise UserError(f"{self._name()} has no stages, so no features; embed(x) gives what enters its last layer")
        maps = []
        x = self.stem(x)
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps

    def feature_map(self, x: Tensor, stage: int) -> Tensor:
        """Return what one stage gives, the first being 1: (N, C, H, W) -> (N, C_k, H_k, W_k) for stage k.

        Raises:
            UserError: the model has no such stage.
        """
        self.require_stage(stage)
        x = self.stem(x)
        for part in self.stages[:stage]:
            x = part(x)
        return x

    def answer(self, x: Tensor, stage: int) -> Tensor:
        """Return the logits for what `feature_map` gave, which may be worked on in place: -> (N, classes).

        Raises:
            UserError: the model has no such stage.
        """
        self.require_stage(stage)
        for part in self.stages[stage:]:
            x = part(x)
        logits: Tensor = self.head(x)
        return logits

    def embed(self, x: Tensor) -> Tensor:
        """Return what enters the last layer, the one that makes the logits: (N, C, H, W) -> (N, D)."""
        x = self.stem(x)
        for stage in self.stages:
            x = stage(x)
        return self.head.embed(x)

    @property
    def first_convolution(self) -> str | None:
        """The path of the convolution that sees the image; None for a model without convolutions."""
        return next((path for path, part in self.named_modules() if isinstance(part, nn.Conv2d)), None)

    @property
    def training_only(self) -> tuple[str, ...]:
        """The paths of what only `forward_train` uses, such as auxiliary classifiers."""
        return ()

    def drop_training_only(self) -> None:
        """Remove what only training uses: afterwards `forward_train` gives the logits alone."""
        for path in self.training_only:
            parent, _, name = path.rpartition(".")
            part = self.get_submodule(path)
            setattr(self.get_submodule(parent), name, type(part)())

    def require_stage(self, stage: int) -> None:
        """Raise UserError where the model has no such stage, the first being 1."""
        if not self.stages:
            raise UserError(f"{self._name()} has no stages, so no feature maps")
        if not 1 <= stage <= len(self.stages):
            raise UserError(f"{self._name()} has no stage {stage}; give 1 to {len(self.stages)}")

    def _name(self) -> str:
        return self.spec.name if self.spec else type(self).__name__
