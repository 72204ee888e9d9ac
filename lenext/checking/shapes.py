"""Sizes and aspect ratios, and which way of meeting a network's square they suit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lenext.data.decode import Fit

BEARABLE, LONG = 0.35, 0.5  # shares of an image that a crop may lose; of the middle one, and that count as much
OFTEN = 0.1  # share of images of which a crop loses more than `LONG`, that is too many
SAME = 0.05  # by which the shapes of most images differ at most where all have one


@dataclass(frozen=True)
class Shapes:
    """The sizes of images, in pixels, upright, and the `fit` that suits them, with the reason.

    `ratio` is width by height. `crop_loses` are percentages of the area that a square crop of the middle loses: of the
    median image, of the one in twenty that loses most, and of how many it is more than half.
    """

    width: tuple[int, int, int]
    height: tuple[int, int, int]
    ratio: tuple[float, float, float]
    crop_loses: tuple[float, float, float]
    fit: Fit
    why: str

    def to_json(self) -> dict[str, Any]:
        """Return the fields of the command's JSON."""
        spans = {"width": self.width, "height": self.height, "ratio": self.ratio}
        return {
            **{key: dict(zip(("least", "median", "most"), span, strict=True)) for key, span in spans.items()},
            "crop_loses": dict(zip(("median", "p95", "images_over_half"), self.crop_loses, strict=True)),
            "fit": self.fit,
            "why": self.why,
        }


def shapes_of(heights: NDArray[Any], widths: NDArray[Any]) -> Shapes | None:
    """Return what the sizes of the readable images (N,) are, and the fit that suits them; None of no images."""
    if not len(heights):
        return None
    ratios = widths / heights
    lost = 1 - np.minimum(ratios, 1 / ratios)  # of a square crop
    median, p95, over = float(np.median(lost)), float(np.quantile(lost, 0.95)), float((lost > LONG).mean())
    fit, why = _suited(ratios, median, p95, over)
    return Shapes(
        _span(widths),
        _span(heights),
        (round(float(ratios.min()), 3), round(float(np.median(ratios)), 3), round(float(ratios.max()), 3)),
        (round(100 * median, 1), round(100 * p95, 1), round(100 * over, 1)),
        fit,
        why,
    )


def _suited(ratios: NDArray[Any], median: float, p95: float, over: float) -> tuple[Fit, str]:
    if p95 <= SAME:
        return "crop", "nearly all images are square, so that nothing is lost either way"
    middle = float(np.median(ratios))
    same = float((np.abs(ratios / middle - 1) <= SAME).mean())
    if same >= 0.9 and median > BEARABLE:
        return "squash", (
            f"{100 * same:.0f} % of the images have one shape, {middle:.2f} times as wide as high, of which a crop "
            f"would lose {100 * median:.0f} %; squashed, all of each is seen, and all are changed alike (or give "
            "--size HEIGHTxWIDTH of that shape)"
        )
    if median > BEARABLE or over > OFTEN:
        return "pad", (
            f"a crop would lose {100 * median:.0f} % of the median image, and more than half of {100 * over:.0f} % of "
            "them; padded, all of each is seen, in its shape"
        )
    return "crop", (
        f"a crop loses {100 * median:.0f} % of the median image, at its edges, and more than half of "
        f"{100 * over:.0f} % of them; it leaves no black bars, and no shape changed"
    )


def _span(values: NDArray[Any]) -> tuple[int, int, int]:
    return int(values.min()), int(np.median(values)), int(values.max())
