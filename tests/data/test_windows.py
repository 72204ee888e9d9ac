"""Windows: where the papers' crops lie, how large they are, and that all of their places come equally often."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import chisquare, kstest

from lenext.data.augmentation.augmentation import CROPS, Augmentation, Crop
from lenext.data.draws import Purpose, uniforms
from lenext.data.windows import ATTEMPTS, DRAWS, draw_windows

LAST = 1 - 2.0**-53  # the largest number that is drawn
SCALE_JITTER = Augmentation(crop="random", scale=(256 / 224, 512 / 224))


def drawn(count: int, seed: int = 0) -> NDArray[np.float64]:
    return uniforms(seed, 1, np.arange(count), Purpose.WINDOW, DRAWS)


def windows_of(
    plan: Augmentation, sides: tuple[int, int], size: tuple[int, int], count: int = 20_000
) -> NDArray[np.int64]:
    return draw_windows(plan, drawn(count), np.tile(np.array(sides), (count, 1)), size)


def assert_equally_often(places: NDArray[np.int64], shape: tuple[int, ...]) -> None:
    """Hold how often each of the places of a grid comes against chance."""
    counts = np.bincount(np.ravel_multi_index(tuple(places.T), shape), minlength=math.prod(shape))
    assert len(counts) == math.prod(shape)
    assert chisquare(counts).pvalue > 0.001


def test_without_a_crop_all_is_shown() -> None:
    sides = np.array([[3, 4], [5, 1]])
    assert draw_windows(Augmentation(), drawn(2), sides, (3, 4)).tolist() == [[0, 0, 3, 4], [0, 0, 5, 1]]


@pytest.mark.parametrize("crop", ["pad", "translate"])
def test_shifts_reach_every_place_of_the_padding_equally_often(crop: Crop) -> None:
    windows = windows_of(Augmentation(crop=crop, padding=4), (32, 32), (32, 32))
    assert (windows[:, 2:] == 32).all()
    assert_equally_often(windows[:, :2] + 4, (9, 9))


def test_alexnet_has_33_by_33_places() -> None:
    windows = windows_of(Augmentation(crop="random"), (256, 256), (224, 224), 60_000)
    assert (windows[:, 2:] == 224).all()
    assert_equally_often(windows[:, :2], (33, 33))


def test_alexnet_shows_2048_views_of_an_image_with_their_mirror_images() -> None:
    windows = windows_of(Augmentation(crop="random"), (256, 256), (224, 224))
    mirrors = uniforms(0, 1, np.arange(len(windows)), Purpose.MIRROR, 1)[:, 0] < 0.5
    assert len({(*window, mirror) for window, mirror in zip(windows[:, :2].tolist(), mirrors, strict=True)}) >= 2048


def test_alexnet_cuts_photos_square_first() -> None:
    """Of 375x500 the middle 375, of which 224/256 is 328."""
    windows = windows_of(Augmentation(crop="random"), (375, 500), (224, 224))
    assert (windows[:, 2:] == 328).all()
    assert (windows[:, 0].min(), windows[:, 0].max()) == (0, 47)
    assert (windows[:, 1].min(), windows[:, 1].max()) == (62, 62 + 47)


def test_scale_jitter_draws_the_shorter_side_from_256_to_512() -> None:
    windows = windows_of(SCALE_JITTER, (30_000, 40_000), (224, 224))
    shorter = 30_000 * 224 / windows[:, 2]
    assert kstest(shorter, "uniform", (256, 256)).pvalue > 0.001
    assert (windows[:, 2] == windows[:, 3]).all()
    share = windows[:, :2] / (np.array([30_000, 40_000]) - windows[:, 2:])
    for column in range(2):
        assert kstest(share[:, column], "uniform").pvalue > 0.001


def test_inception_crops_have_the_documented_areas_and_aspects() -> None:
    """Up to a share of 3/4 every shape fits into a square, so that none is drawn again."""
    windows = windows_of(Augmentation(crop="inception", area=(0.08, 0.75)), (30_000, 30_000), (224, 224))
    height, width = windows[:, 2], windows[:, 3]
    assert kstest(height * width / 9e8, "uniform", (0.08, 0.67)).pvalue > 0.001
    low = math.log(3 / 4)
    assert kstest(np.log(width / height), "uniform", (low, -2 * low)).pvalue > 0.001
    share = windows[:, :2] / (30_000 - windows[:, 2:])
    for column in range(2):
        assert kstest(share[:, column], "uniform").pvalue > 0.001


def test_inception_crops_stay_within_their_bounds() -> None:
    height, width = 375, 500
    windows = windows_of(Augmentation(crop="inception"), (height, width), (224, 224))
    area, aspect = windows[:, 2] * windows[:, 3] / (height * width), windows[:, 3] / windows[:, 2]
    assert 0.078 < area.min() < 0.085
    assert area.max() > 0.9
    assert 0.74 < aspect.min() < 0.76
    assert 1.32 < aspect.max() < 1.345


def one_by_one(area: tuple[float, float], draws: list[float], height: int, width: int) -> tuple[int, int, int, int]:
    """The Inception crop as a loop, which is how the reference implementations write it."""
    low, high = math.log(3 / 4), math.log(4 / 3)
    for attempt in range(ATTEMPTS):
        pixels = height * width * (area[0] + draws[2 + attempt] * (area[1] - area[0]))
        aspect = math.exp(low + draws[2 + ATTEMPTS + attempt] * (high - low))
        w, h = round(math.sqrt(pixels * aspect)), round(math.sqrt(pixels / aspect))
        if 0 < w <= width and 0 < h <= height:
            return int(draws[0] * (height - h + 1)), int(draws[1] * (width - w + 1)), h, w
    h, w = height, width
    if width / height < 3 / 4:
        h = round(width * 4 / 3)
    elif width / height > 4 / 3:
        w = round(height * 4 / 3)
    return (height - h) // 2, (width - w) // 2, h, w


@given(
    sides=st.lists(st.tuples(st.integers(1, 90), st.integers(1, 90)), min_size=1, max_size=8),
    seed=st.integers(0, 99),
    low=st.floats(0.01, 1),
    high=st.floats(0.01, 1),
)
def test_inception_crops_are_those_drawn_one_by_one(
    sides: list[tuple[int, int]], seed: int, low: float, high: float
) -> None:
    area = (min(low, high), max(low, high))
    draws = drawn(len(sides), seed)
    found = draw_windows(Augmentation(crop="inception", area=area), draws, np.array(sides), (7, 7))
    expected = [one_by_one(area, row, *side) for row, side in zip(draws.tolist(), sides, strict=True)]
    assert list(map(tuple, found.tolist())) == expected


@pytest.mark.parametrize(
    ("sides", "window"),
    [((10, 100), [0, 43, 10, 13]), ((100, 10), [43, 0, 13, 10]), ((12, 13), [0, 0, 12, 13])],
)
def test_where_no_inception_crop_fits_the_middle_is_shown(sides: tuple[int, int], window: list[int]) -> None:
    draws = np.full((1, DRAWS), LAST)  # all of the area, and 4:3
    plan = Augmentation(crop="inception", area=(1.0, 1.0))
    assert draw_windows(plan, draws, np.array([sides]), (8, 8)).tolist() == [window]


@given(size=st.sampled_from([(32, 256), (256, 32), (50, 100)]), seed=st.integers(0, 99))
def test_an_inception_crop_is_about_of_the_models_shape(size: tuple[int, int], seed: int) -> None:
    sides = np.tile([[3 * size[0], 3 * size[1]]], (20, 1))
    found = draw_windows(Augmentation(crop="inception"), drawn(20, seed), sides, size)
    shapes = found[:, 3] / found[:, 2] / (size[1] / size[0])
    assert (shapes >= 3 / 4 * 0.93).all()  # to whole pixels
    assert (shapes <= 4 / 3 * 1.07).all()
    assert shapes.std() > 0.05


def test_where_none_of_the_models_shape_fits_the_middle_of_it_is_shown() -> None:
    draws = np.full((1, DRAWS), LAST)  # all of the area, and 4:3 of 4:1
    plan = Augmentation(crop="inception", area=(1.0, 1.0))
    assert draw_windows(plan, draws, np.array([[100, 100]]), (8, 32)).tolist() == [[33, 0, 33, 100]]


@given(
    crop=st.sampled_from(CROPS),
    sides=st.lists(st.tuples(st.integers(1, 400), st.integers(1, 400)), min_size=1, max_size=6),
    size=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    scale=st.tuples(st.floats(1, 8), st.floats(1, 8)),
    extreme=st.sampled_from([None, 0.0, LAST]),
)
def test_windows_lie_in_their_image_and_do_not_depend_on_the_batch(
    crop: Crop,
    sides: list[tuple[int, int]],
    size: tuple[int, int],
    scale: tuple[float, float],
    extreme: float | None,
) -> None:
    plan = Augmentation(crop=crop, scale=(min(scale), max(scale)))
    draws = drawn(len(sides)) if extreme is None else np.full((len(sides), DRAWS), extreme)
    shapes = np.array(sides)
    windows = draw_windows(plan, draws, shapes, size)
    assert windows.dtype == np.int64
    alone = [draw_windows(plan, draws[i : i + 1], shapes[i : i + 1], size)[0] for i in range(len(sides))]
    np.testing.assert_array_equal(windows, alone)
    assert (windows[:, 2:] >= 1).all()
    assert (windows[:, 2:] <= shapes).all()
    if crop in ("pad", "translate"):
        assert np.abs(windows[:, :2]).max() <= plan.padding
    else:
        assert (windows[:, :2] >= 0).all()
        assert (windows[:, :2] + windows[:, 2:] <= shapes).all()
