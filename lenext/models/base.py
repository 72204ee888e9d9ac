"""The interface that every architecture offers: a stem, stages, a head, and what follows from them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Self

from torch import Tensor, nn

from lenext.errors import UserError
from lenext.models.heads import Head
from lenext.models.parts import parts_of, select_parts


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
        self.frozen: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name in the registry, or of the class where the model was built by hand."""
        return self.spec.name if self.spec else type(self).__name__

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
        self.require_stage(0)
        maps = []
        x = self.stem(x)
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps

    def feature_map(self, x: Tensor, stage: int) -> Tensor:
        """Return what one stage gives, the first being 0: (N, C, H, W) -> (N, C_k, H_k, W_k) for stage k.

        Raises:
            UserError: the model has no such stage.
        """
        self.require_stage(stage)
        x = self.stem(x)
        for part in self.stages[: stage + 1]:
            x = part(x)
        return x

    def answer(self, x: Tensor, stage: int) -> Tensor:
        """Return the logits for what `feature_map` gave, which may be worked on in place: -> (N, classes).

        Raises:
            UserError: the model has no such stage.
        """
        self.require_stage(stage)
        for part in self.stages[stage + 1 :]:
            x = part(x)
        logits: Tensor = self.head(x)
        return logits

    def logits_and_map(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits and the head's answer at each place of the last map: (N, classes), (N, classes, h, w)."""
        x = self.stem(x)
        for stage in self.stages:
            x = stage(x)
        return self.head.logits_and_map(x)

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
        """Raise UserError where the model has no such stage, the first being 0."""
        if not self.stages:
            raise UserError(f"{self.name} has no stages, so no feature maps; embed(x) gives what enters its last layer")
        if not 0 <= stage < len(self.stages):
            raise UserError(f"stage {stage} is out of range: the stages of {self.name} are 0 to {len(self.stages) - 1}")

    def freeze(self, parts: str) -> None:
        """Let nothing of these parts change in training: no weight, and no statistics of a normalisation.

            model.freeze("stem, stages.0-2")    # or "all but head"

        Frozen parts stay in evaluation mode, whatever `train` is told: norms use the statistics that they have, and
        nothing is dropped out. Whatever was frozen before and is not among `parts` is free again.

        Raises:
            UserError: there is no such part, or nothing would be left to train.
        """
        chosen = select_parts(self, parts)
        if set(chosen) >= {part for part, modules in parts_of(self).items() if any(map(_has_weights, modules))}:
            raise UserError(f"freezing {parts!r} leaves nothing of {self.name} to train; leave the head out")
        self.freeze_exactly(chosen)

    def freeze_exactly(self, parts: Iterable[str]) -> None:
        """Let these of `lenext.models.parts.parts_of` be frozen, and no others."""
        self.frozen = tuple(parts)
        for part, modules in parts_of(self).items():
            for module in modules:
                module.requires_grad_(part not in self.frozen)
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """Set training or evaluation mode; frozen parts stay in the latter."""
        super().train(mode)
        if mode and self.frozen:
            parts = parts_of(self)
            for part in self.frozen:
                for module in parts[part]:
                    module.eval()
        return self


def _has_weights(module: nn.Module) -> bool:
    return any(True for _ in module.parameters())
