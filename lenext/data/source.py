"""`open_source`: one function that opens any source of labelled images."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lenext.errors import UserError
from lenext.files import exists, is_folder

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
        order = indices.tolist()
        return Split([self.items[i] for i in order], self.labels[indices], [self.names[i] for i in order])


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


def open_source(location: str | Path) -> Source:
    """Open a source of labelled images; nothing is decoded yet.

        source = open_source("photos/")
        source.class_names, source.splits["train"].labels

    `location` is `digits`, `hub:owner/name`, a folder of class folders (with or without `train`, `val` and
    `test`), a folder in the Hub's parquet layout, or a CSV or parquet table of path, label and split.

    Raises:
        UserError: nothing there, or no labelled images in it.
    """
    text = str(location)
    if text == "digits":
        from lenext.data.digits import open_digits

        return open_digits()
    if text.startswith("hub:"):
        from lenext.data.hub import open_hub

        return open_hub(text)
    path = Path(location).expanduser()
    if not text or not exists(path):
        raise UserError(f"there is no data at {text!r}; {_nearby(path)}")
    if not is_folder(path):
        from lenext.data.table import open_table

        return open_table(path)
    from lenext.data.parquet import find_parquet, open_parquet_folder

    if find_parquet(path):
        return open_parquet_folder(path)
    from lenext.data.folder import open_folder

    return open_folder(path)


def split_name(name: str) -> str | None:
    """Return lenext's name for a split that a source calls `name`, or None where that names no split."""
    return SPLIT_NAMES.get(name.lower())


def label_indices(labels: Iterable[str], class_names: Sequence[str]) -> NDArray[np.int64]:
    """Return each label's index in `class_names`."""
    index = {name: i for i, name in enumerate(class_names)}
    return np.array([index[label] for label in labels], np.int64)


def _nearby(path: Path) -> str:
    """Return what to do instead: a name like it in the nearest folder that is there, or the kinds of source."""
    folder = next((parent for parent in path.parents if parent.is_dir()), None)
    if folder is not None and folder == path.parent:
        close = difflib.get_close_matches(path.name, (entry.name for entry in folder.iterdir()), n=3)
        if close:
            return f"did you mean {' or '.join(str(folder / name) for name in close)}?"
    return "give a folder of class folders, a CSV or parquet table, hub:owner/name, or digits"
