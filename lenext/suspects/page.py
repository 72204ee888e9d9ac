"""The page of suspects: self-contained, a picture each, those of one label taken for one class together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lenext.evaluation.pages.pieces import LISTED, original
from lenext.files import write_text
from lenext.pages.pictures import picture_address
from lenext.pages.templates import template
from lenext.suspects.result import Suspects

SHOWN = 300  # pictures; the list has all suspects


def write_page(path: Path, found: Suspects, command: str = "") -> None:
    """Write the page, beside and renamed; `command` is how to run it again.

    Raises:
        LenextError: the write failed.
    """
    html = template(__package__, "page.html.jinja").render(
        found=found,
        name=Path(found.data).resolve().name,
        groups=_groups(found),
        left_out=max(0, len(found.suspects) - SHOWN),
        command=command,
        skipped=found.skipped_files[:LISTED],
        skipped_left_out=max(0, len(found.skipped_files) - LISTED),
    )
    write_text(path, html)


def _groups(found: Suspects) -> list[dict[str, Any]]:
    """Return the suspects that are shown, by label and suggestion: the most frequent first, of each the worst first."""
    counts: dict[tuple[str, str], int] = {}
    shown: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for place, suspect in enumerate(found.suspects):
        pair = suspect.label, suspect.suggested
        counts[pair] = counts.get(pair, 0) + 1
        if place < SHOWN:
            photo, _ = original(found.reading, int(found.rows[place]))
            picture = picture_address(photo)
            shown.setdefault(pair, []).append({"picture": picture, "suspect": suspect})
    pairs = sorted(shown, key=lambda pair: -counts[pair])  # a stable order: of equal counts the worst first
    return [
        {"label": label, "suggested": suggested, "count": counts[label, suggested], "cards": shown[label, suggested]}
        for label, suggested in pairs
    ]
