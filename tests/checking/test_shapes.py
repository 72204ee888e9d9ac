from __future__ import annotations

import numpy as np
import pytest

from lenext.checking.shapes import shapes_of


@pytest.mark.parametrize(
    ("sizes", "fit", "reason"),
    [
        ([(32, 32)] * 20, "crop", "nearly all images are square"),
        ([(375, 500)] * 18 + [(500, 375)] * 2, "crop", "a crop loses 25 % of the median image"),
        ([(400, 600)] * 20, "crop", "a crop loses 33 % of the median image"),
        ([(100, 300)] * 20, "squash", "100 % of the images have one shape, 3.00 times as wide as high"),
        ([(100, 300)] * 10 + [(300, 100)] * 10, "pad", "a crop would lose 67 % of the median image"),
        ([(375, 500)] * 16 + [(100, 500)] * 4, "pad", "more than half of 20 % of them"),
    ],
)
def test_the_fit_follows_from_what_a_crop_loses(sizes: list[tuple[int, int]], fit: str, reason: str) -> None:
    heights, widths = np.array(sizes).T
    shapes = shapes_of(heights, widths)
    assert shapes is not None
    assert shapes.fit == fit
    assert reason in shapes.why


def test_figures_are_those_of_the_images() -> None:
    shapes = shapes_of(np.array([100, 200, 300]), np.array([200, 200, 150]))
    assert shapes is not None
    assert (shapes.width, shapes.height, shapes.ratio) == ((150, 200, 200), (100, 200, 300), (0.5, 1.0, 2.0))
    assert shapes.crop_loses == (50.0, 50.0, 0.0)
    assert shapes.to_json()["width"] == {"least": 150, "median": 200, "most": 200}
    assert shapes_of(np.array([]), np.array([])) is None
