"""A folder of class folders as it is: every image in it, and whatever keeps it from being what training expects."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lenext.checking.kinds import Problem
from lenext.checking.listing import NO_CLASS, Listing
from lenext.checking.wording import counted
from lenext.data.decode import UnreadableImageError, image_header, is_image_name
from lenext.data.folder import is_hidden, split_folders, subfolders, visible_files
from lenext.data.source import ALL, Source, Split
from lenext.errors import UserError

SHOWN = 20  # hidden files that are told one by one
SEQUENCE = re.compile(r"(?P<before>.*?)(?P<number>\d+)(?P<after>\D*)", re.DOTALL)
DENSE = 2  # times as many numbers as files that a sequence has at most


def list_folder(folder: Path) -> Listing:
    """List a folder of class folders, with or without splits, whether or not `open_folder` would open it.

    Raises:
        UserError: the folder itself cannot be read.
    """
    return _Lister(folder).listing()


class _Lister:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.problems: list[Problem] = []
        self.hidden: list[Path] = []

    def listing(self) -> Listing:
        found = split_folders(self.folder)
        parts = found or {ALL: [self.folder]}
        self.hidden += _hidden_in(self.folder)
        images: dict[str, list[tuple[str | None, Path]]] = {}
        for split, roots in parts.items():
            images[split] = [pair for root in roots for pair in self._labelled(root, split)]
        if found:
            self._beside([root for roots in parts.values() for root in roots])
        class_names = tuple(sorted({label for pairs in images.values() for label, _ in pairs if label is not None}))
        if not class_names:
            self._add("no-classes", self.folder, f"{self.folder} has no class folder with images")
        index: dict[str | None, int] = {name: i for i, name in enumerate(class_names)} | {None: NO_CLASS}
        splits = {
            split: Split(
                [path for _, path in pairs],
                np.array([index[label] for label, _ in pairs], np.int64),
                [self._name(path) for _, path in pairs],
            )
            for split, pairs in images.items()
            if pairs
        }
        self._tell_hidden()
        return Listing(Source(str(self.folder), class_names, splits), self.problems, named=True, root=self.folder)

    def _name(self, path: Path) -> str:
        return path.relative_to(self.folder).as_posix()

    def _add(self, kind: str, path: Path, detail: str) -> None:
        self.problems.append(Problem(kind, self._name(path), detail))

    def _labelled(self, root: Path, split: str) -> Iterator[tuple[str | None, Path]]:
        """Yield the class and the path of each image below a split, those outside of class folders first."""
        if root != self.folder:
            self.hidden += _hidden_in(root)
        try:
            classes = subfolders(root)
        except UserError as error:
            if root == self.folder:
                raise
            self._add("unreadable-folder", root, str(error))
            return
        for path in sorted(root.iterdir()):
            if not is_hidden(path.name) and not path.is_dir() and is_image_name(path.name):
                of = "" if split == ALL else f" of {split}"
                self._add("loose-image", path, f"lies outside of the class folders{of}, so that it has no label")
                yield None, path
        for entry in classes:
            yield from ((entry.name, path) for path in self._images(entry))

    def _images(self, entry: Path) -> list[Path]:
        """Return the images of a class, and tell of what else lies there."""
        unreadable: list[OSError] = []
        files = list(visible_files(entry, unreadable=unreadable.append, hidden=self.hidden.append))
        for error in unreadable:
            self._add("unreadable-folder", Path(error.filename), f"cannot be read: {error.strerror}")
        images = [path for path in files if is_image_name(path.name)]
        others = Counter[str]()
        for path in files:
            if is_image_name(path.name):
                continue
            if _is_image(path):
                called = f"ends in {path.suffix}" if path.suffix else "has no ending"
                self._add("unnamed-image", path, f"is an image whose name {called}, so that it is ignored")
            else:
                others[path.suffix or path.name] += 1
        if others:
            told = ", ".join(f"{count:,} {ending}" for ending, count in others.most_common(5))
            self._add("ignored", entry, f"{counted(others.total(), 'file')} beside the images: {told}")
        if not images and not unreadable:
            self._add("empty-class", entry, "a class folder without images")
        self._tell_sequences(images)
        return images

    def _tell_sequences(self, images: list[Path]) -> None:
        """Tell where files of a folder are numbered, and plain order is not that of the numbers."""
        by_folder: dict[Path, list[str]] = {}
        for path in images:
            by_folder.setdefault(path.parent, []).append(path.name)
        for folder, names in by_folder.items():
            matches = [SEQUENCE.fullmatch(name) for name in names]
            if len(names) < 3 or not all(matches) or len({(m["before"], m["after"]) for m in matches if m}) > 1:
                continue
            numbers = [int(match["number"]) for match in matches if match]
            if numbers != sorted(numbers) and max(numbers) - min(numbers) < DENSE * len(numbers):
                at = next(i for i, number in enumerate(numbers) if number > numbers[i + 1])
                self._add("order", folder, f"plain order puts {names[at]!r} before {names[at + 1]!r}")

    def _beside(self, roots: list[Path]) -> None:
        """Tell of what lies beside the splits, which is no data."""
        for path in sorted(self.folder.iterdir()):
            if is_hidden(path.name) or path in roots:
                continue
            if path.is_dir():
                count = sum(is_image_name(file.name) for file in visible_files(path, unreadable=lambda error: None))
                self._add(
                    "ignored", path, f"a folder beside the splits, with {counted(count, 'image')}, which are no data"
                )
            elif is_image_name(path.name):
                self._add("loose-image", path, "lies beside the splits, so that it is no data")

    def _tell_hidden(self) -> None:
        folders = [path for path in self.hidden if path.is_dir()]
        files = [path for path in self.hidden if not path.is_dir()]
        for path in folders:
            count = sum(1 for file in path.rglob("*") if is_image_name(file.name)) if not path.is_symlink() else 0
            self._add("hidden", path, f"a hidden folder, with {counted(count, 'image')}")
        for path in files[:SHOWN]:
            self._add("hidden", path, "a hidden file")
        if len(files) > SHOWN:
            self._add("hidden", self.folder, f"{len(files) - SHOWN:,} more hidden files")


def _hidden_in(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if is_hidden(path.name))
    except OSError:
        return []


def _is_image(path: Path) -> bool:
    try:
        image_header(path)
    except UnreadableImageError:
        return False
    return True
