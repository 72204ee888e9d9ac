"""The page of a check: what was found, what to do first, and the images that it is about; one file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lenext.checking.advice import advice
from lenext.checking.check import Check
from lenext.checking.kinds import KINDS, NOTE, PROBLEM, Problem
from lenext.checking.pages.charts import draw_sizes
from lenext.data.decode import UnreadableImageError, open_image
from lenext.errors import LenextError
from lenext.files import write_text
from lenext.pages.pictures import picture_address
from lenext.pages.templates import template

SHOWN = 24  # findings of a kind, and half as many pairs
CLASSES = 60  # rows of the table of classes


def write_check_page(path: Path, found: Check) -> None:
    """Write the page, beside and renamed.

    Raises:
        LenextError: the write failed.
    """
    pictures = _Pictures(found)
    sound = found.looks[found.looks["kind"] == 0]
    classes, left_out = _classes(found)
    html = template(__package__, "check.html.jinja").render(
        found=found,
        title=f"{Path(found.location).name or found.location}, checked",
        problems=len(found.serious),
        notes=len(found.problems) - len(found.serious),
        advice=advice(found),
        parts=[
            (heading, [_section(kind, those, pictures) for kind, those in found.kinds.items() if _is(kind, severity)])
            for heading, severity in (("Problems", PROBLEM), ("Good to know", NOTE))
        ],
        sizes=draw_sizes(sound["height"], sound["width"]) if len(sound) else "",
        classes=classes,
        classes_left_out=left_out,
        most={name: max(1, int(counts.max(initial=0))) for name, counts in found.counts.items()},
    )
    write_text(path, html)


def _is(kind: str, severity: str) -> bool:
    return KINDS[kind].severity == severity


def _section(kind: str, those: Sequence[Problem], pictures: _Pictures) -> dict[str, Any]:
    """Return what the page shows of one kind: pairs side by side, images, or lines where there is nothing to see."""
    pairs = [each for each in those if each.other is not None and each.path in pictures]
    count = len(those)
    if pairs:  # each pair once, also where both images are told
        those = list({frozenset((each.path, each.other)): each for each in reversed(those)}.values())[::-1]
    limit = SHOWN // 2 if pairs else SHOWN
    shown = [{"path": each.path, "detail": each.detail, "pictures": pictures.of(each)} for each in those[:limit]]
    return {
        "kind": kind,
        "title": KINDS[kind].title,
        "means": KINDS[kind].means,
        "count": count,
        "paired": bool(pairs),
        "pictured": any(picture["address"] for each in those[:limit] for picture in pictures.of(each)),
        "rows": shown,
        "left_out": len(those) - len(shown),
    }


def _classes(found: Check) -> tuple[list[dict[str, Any]], int]:
    """Return the rows of the table of classes, the largest first, and how many of the middle are left out."""
    totals = [sum(int(counts[i]) for counts in found.counts.values()) for i in range(len(found.class_names))]
    order = sorted(range(len(totals)), key=lambda i: -totals[i])
    if len(order) > CLASSES:
        order = order[: CLASSES // 2] + order[-CLASSES // 2 :]
    rows = [
        {"name": found.class_names[i], "counts": {name: int(counts[i]) for name, counts in found.counts.items()}}
        for i in order
    ]
    return rows, len(found.class_names) - len(rows)


class _Pictures:
    """The images of a check by their names, as pictures of a page."""

    def __init__(self, found: Check) -> None:
        self.found = found
        self.index: dict[str, tuple[str, int]] = {
            name: (split, i) for split, images in found.splits.items() for i, name in enumerate(images.names)
        }
        self.addresses: dict[str, str] = {}

    def __contains__(self, name: object) -> bool:
        return name in self.index

    def of(self, each: Problem) -> list[dict[str, str]]:
        """Return the images that a finding is about, the kept one of a pair first."""
        return [
            {"address": self.address(name), "path": name, "place": self.place(name)}
            for name in (each.other, each.path)
            if name is not None and name in self
        ]

    def address(self, name: str) -> str:
        """Return the image as a data address, "" where it cannot be read."""
        if name not in self.addresses:
            split, i = self.index[name]
            try:
                self.addresses[name] = picture_address(open_image(self.found.splits[split].items[i]))
            except (UnreadableImageError, LenextError):
                self.addresses[name] = ""
        return self.addresses[name]

    def place(self, name: str) -> str:
        """Return the split and the class of an image."""
        split, i = self.index[name]
        label = int(self.found.splits[split].labels[i])
        said = [] if split == "all" else [split]
        return ", ".join([*said, self.found.class_names[label] if label >= 0 else "no class"])
