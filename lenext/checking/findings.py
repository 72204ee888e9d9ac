"""What is wrong with, or good to know of, each image by itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lenext.checking.copies import Places
from lenext.checking.kinds import KINDS, Problem
from lenext.checking.looks import ANIMATED, BLANK, CMYK, DEEP, KNOWN, TRANSPARENT

SUFFIXES = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "MPO": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "PNG": (".png", ".apng"),
    "GIF": (".gif",),
    "BMP": (".bmp", ".dib"),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "JPEG2000": (".jp2", ".j2k", ".jpx"),
    "AVIF": (".avif",),
    "ICO": (".ico",),
    "TGA": (".tga",),
    "PCX": (".pcx",),
    "HEIF": (".heic", ".heif"),
}
TURNS = {
    2: "mirrored", 3: "turned by 180 degrees", 4: "mirrored and turned by 180 degrees", 5: "mirrored and turned",
    6: "turned by 90 degrees clockwise", 7: "mirrored and turned", 8: "turned by 90 degrees counter-clockwise",
}  # fmt: skip
LARGE = 12_000_000  # pixels
SMALL, SMALLER = 32, 4  # pixels of the shorter side, and times the median, that an image is below
LONG, USUAL = 2.0, 1.6  # times longer than wide that an image is, and that the median is at most


def image_problems(looks: NDArray[Any], reasons: Mapping[int, str], places: Places, *, files: bool) -> list[Problem]:
    """Return the findings of each image; names count only where they are those of `files`."""
    return [*_unreadable(looks, reasons, places), *_of_flags(looks, places), *_of_sizes(looks, places)] + (
        list(_wrongly_named(looks, places)) if files else []
    )


def _unreadable(looks: NDArray[Any], reasons: Mapping[int, str], places: Places) -> Iterator[Problem]:
    kinds = list(KINDS)
    for i, reason in sorted(reasons.items()):
        yield Problem(kinds[int(looks["kind"][i]) - 1], places.names[i], reason)


def _of_flags(looks: NDArray[Any], places: Places) -> Iterator[Problem]:
    flags = looks["flags"]
    for i in np.flatnonzero(flags & BLANK).tolist():
        spread = float(looks["spread"][i])
        detail = "one colour" if spread < 0.05 else f"nearly one colour: {spread:.1f} grey levels of deviation"
        yield Problem("blank", places.names[i], detail)
    for i in np.flatnonzero(looks["orientation"] > 1).tolist():
        yield Problem("rotated", places.names[i], TURNS.get(int(looks["orientation"][i]), "turned"))
    for flag, kind, detail in (
        (DEEP, "deep", "more than 8 bits a channel"),
        (CMYK, "cmyk", "four printing inks"),
        (TRANSPARENT, "alpha", "with an alpha channel or a transparent colour"),
        (ANIMATED, "animated", "several pictures, of which the first is taken"),
    ):
        for i in np.flatnonzero(flags & flag).tolist():
            yield Problem(kind, places.names[i], detail)


def _of_sizes(looks: NDArray[Any], places: Places) -> Iterator[Problem]:
    sound = looks["kind"] == 0
    if not sound.any():
        return
    heights, widths = looks["height"].astype(np.int64), looks["width"].astype(np.int64)
    shorter, longer = np.minimum(heights, widths), np.maximum(heights, widths)
    ratios = longer / np.maximum(shorter, 1)
    usual = float(np.median(ratios[sound])) <= USUAL
    small = (shorter < SMALL) & (SMALLER * shorter < np.median(shorter[sound]))
    for kind, found in (
        ("large", heights * widths >= LARGE),
        ("small", small),
        ("long", (ratios > LONG) & usual),
    ):
        for i in np.flatnonzero(found & sound).tolist():
            detail = f"{widths[i]} x {heights[i]} pixels"
            if kind == "long":
                detail += f", of which a square crop loses {100 * (1 - 1 / ratios[i]):.0f} %"
            yield Problem(kind, places.names[i], detail)


def _wrongly_named(looks: NDArray[Any], places: Places) -> Iterator[Problem]:
    for i in np.flatnonzero(looks["kind"] == 0).tolist():
        kind = KNOWN[looks["format"][i]]
        suffix = PurePosixPath(places.names[i]).suffix.lower()
        if kind and suffix not in SUFFIXES[kind]:
            yield Problem("wrong-extension", places.names[i], f"is {kind}, and called {suffix or 'without an ending'}")
