from __future__ import annotations

import numpy as np
import pytest

from lenext.cost.labels import leads, place_labels


@pytest.mark.parametrize("crowd", [1, 7, 40])
def test_labels_find_a_place_of_their_own(crowd: int) -> None:
    generator = np.random.default_rng(crowd)
    room = np.array([600.0, 360.0])
    dots = room / 2 + generator.normal(size=(crowd, 2)) * room / 7
    dots[1:2] = dots[:1]  # two models that cost and err alike
    sizes = np.stack([generator.uniform(50, 100, crowd), np.full(crowd, 11.0)], axis=1)
    radii = generator.uniform(0, 16, crowd)
    corners, clashes = place_labels(room, dots, radii, sizes)
    assert clashes == 0
    assert (corners > 0).all()
    assert (corners + sizes < room).all()
    for label, (corner, size) in enumerate(zip(corners, sizes, strict=True)):
        reach = np.linalg.norm(np.clip(dots, corner, corner + size) - dots, axis=1)
        assert reach.min() >= 3.5
        others = np.arange(crowd) != label
        apart = np.maximum(corner - corners - sizes, corners - corner - size).max(1)
        assert (apart[others] >= 0).all()
    assert np.array_equal(corners, place_labels(room, dots, radii, sizes)[0])


def test_clashes_that_remain_are_counted() -> None:
    dots, sizes = np.full((6, 2), 20.0), np.tile([35.0, 11.0], (6, 1))
    assert place_labels(np.array([40.0, 40.0]), dots, np.zeros(6), sizes)[1] > 0


def test_only_labels_that_stand_away_or_in_a_crowd_have_a_line() -> None:
    dots, sizes = np.array([[50.0, 50.0], [150.0, 50.0], [158.0, 60.0]]), np.tile([30.0, 10.0], (3, 1))
    corners = np.array([[54.0, 52.0], [190.0, 70.0], [162.0, 64.0]])
    near, far, crowded = leads(dots, np.full(3, 2.0), corners, sizes)
    assert near is None
    assert far is not None
    assert far.tolist() == [40.0, 20.0]
    assert crowded is None
