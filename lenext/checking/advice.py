"""What to do first about what was found, in the order in which it pays."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from lenext.checking.check import Check
from lenext.checking.wording import counted

EXCLUDED = "exclude.csv"
ACROSS = ("duplicate-across-splits", "near-duplicate-across-splits")


@dataclass(frozen=True)
class Advice:
    """What to do and why, and the commands that do it, "" where there are none."""

    text: str
    command: str = ""


def advice(found: Check) -> list[Advice]:
    """Return what to do about the findings of a check, the most urgent first."""
    kinds = {kind: len(those) for kind, those in found.kinds.items()}
    told = []
    if found.refusal:
        told.append(Advice(f"Training would not begin: {found.refusal}."))
    if "heic" in kinds:
        told.append(
            Advice(f"{counted(kinds['heic'], 'image')} need the decoder of HEIC.", "pip install 'lenext[heic]'")
        )
    outside = kinds.get("loose-image", 0) + kinds.get("unnamed-image", 0)
    if outside:
        told.append(
            Advice(
                f"{counted(outside, 'image')} would not be seen: give each a class folder, and a name with an ending."
            )
        )
    exclusions = found.exclusions()
    excluded = len(exclusions)
    if excluded:
        across = sum(each.kind in ACROSS for each in exclusions)
        leaks = f" {across:,} of them are copies across splits, which let figures come out too high." if across else ""
        data = shlex.quote(found.location)
        told.append(
            Advice(
                f"Leave out {counted(excluded, 'image')}: unreadable, blank, or copies of others.{leaks} The list is a "
                "table that you can look through and edit; no image is changed.",
                f"lenext check {data} --write-exclusions {EXCLUDED}\n"
                f"lenext train {data} --exclude {EXCLUDED} --model resnet18",
            )
        )
    if "imbalance" in kinds:
        told.append(
            Advice("Draw the classes equally often, and judge by the recall of each.", "--set sampling=balanced")
        )
    if "tiny-class" in kinds:
        told.append(Advice("Add images to the classes that have next to none, or drop them."))
    if found.shapes is not None and found.shapes.fit != "crop":
        told.append(Advice(f"Meet the network's square otherwise: {found.shapes.why}.", f"--fit {found.shapes.fit}"))
    return told
