"""What there is to check: the images of any source, also of a folder or a table that training would refuse."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from lenext.checking.kinds import Problem
from lenext.data.source import Source

NO_CLASS = -1  # the label of an image outside of class folders


@dataclass(frozen=True)
class Listing:
    """The images by split, those without a class labelled `NO_CLASS`, and the problems that no image need be read for.

    `named` says whether the classes stand in plain order of their names, and `root` is what the names of images that
    are files are relative to.
    """

    source: Source
    problems: list[Problem] = field(default_factory=list)
    named: bool = False
    root: Path | None = None
