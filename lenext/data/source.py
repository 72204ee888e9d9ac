"""What every source of labelled images becomes: splits of images with labels, and class names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.Image import Image

    Item = Path | bytes | NDArray[np.uint8] | Image

# What sources call their splits, and what lenext calls them. A source without splits has the one split "all".
SPLIT_NAMES = {
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val", "dev": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
ALL = "all"
HELD_OUT = "held-out"


@dataclass(frozen=True)
class Split:
    """Labelled images, not yet decoded.

    `items[i]` is a file, the bytes of one, or uint8 pixels (H, W) or (H, W, C); `labels[i]` its class as an
    index; `names[i]` what a message or a list calls it.
    """

    items: Sequence[Item]
    labels: NDArray[np.int64]
    names: Sequence[str]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: NDArray[np.int64]) -> Split:
        """Return the images at `indices`, in that order."""
        return Split(_taken(self.items, indices), self.labels[indices], _taken(self.names, indices))

    def readable(self, reasons: Sequence[str]) -> tuple[Split, list[tuple[str, str]]]:
        """Return the images without a reason why they cannot be read, and the names of the others with it."""
        skipped = [(self.names[i], reason) for i, reason in enumerate(reasons) if reason]
        if not skipped:
            return self, []
        return self.take(np.flatnonzero([not reason for reason in reasons])), skipped


def _taken(values: Any, indices: NDArray[np.int64]) -> Any:
    """Return the values at `indices`; those of a source that reads when it is asked to stay unread."""
    if isinstance(values, np.ndarray):
        return values[indices]
    if hasattr(values, "take"):
        return values.take(indices)
    return [values[i] for i in indices.tolist()]


@dataclass(frozen=True)
class Source:
    """An opened source: its splits by name (`train`, `val`, `test`, or `all`), and its classes in order."""

    location: str
    class_names: tuple[str, ...]
    splits: Mapping[str, Split]

    def __post_init__(self) -> None:
        """Put the splits in their usual order."""
        order = [*dict.fromkeys(SPLIT_NAMES.values()), ALL]
        object.__setattr__(self, "splits", {name: self.splits[name] for name in sorted(self.splits, key=order.index)})


def split_name(name: str) -> str | None:
    """Return lenext's name for a split that a source calls `name`, or None where that names no split."""
    return SPLIT_NAMES.get(name.lower())


def label_indices(labels: Iterable[str], class_names: Sequence[str]) -> NDArray[np.int64]:
    """Return each label's index in `class_names`."""
    index = {name: i for i, name in enumerate(class_names)}
    return np.array([index[label] for label in labels], np.int64)
