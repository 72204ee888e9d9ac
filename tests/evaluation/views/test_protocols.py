"""Every protocol looks at an image as often, and where, its paper says: worked out by hand for one of 300x400."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lenext
from lenext.data.decode import ImageForm
from lenext.errors import UserError
from lenext.evaluation.views.geometry import View
from lenext.evaluation.views.protocols import PROTOCOLS, protocol
from lenext.models import lookup

SIDES = (300, 400)
FORM = ImageForm(size=(224, 224), channels=3, crop_ratio=0.875)
COUNTS = {
    "center": 1, "mirror": 2, "full": 1, "ten-crop": 10, "random-5": 10, "dense": 2, "multi-scale": 6,
    "multi-crop": 150, "crops-144": 144, "resnet-multi-scale": 5, "overfeat": 12,
}  # fmt: skip
UNMIRRORED = {"center", "full", "resnet-multi-scale"}


def views_of(name: str, sides: tuple[int, int] = SIDES, form: ImageForm = FORM, seed: int = 0) -> list[View]:
    return protocol(name).views(sides, form, np.random.default_rng(seed))


def starts(views: list[View]) -> list[tuple[int, int]]:
    return [view.box[:2] for view in views if not view.mirrored]


def test_every_protocol_is_here() -> None:
    assert set(PROTOCOLS) == set(COUNTS)


@pytest.mark.parametrize("name", COUNTS)
def test_the_number_of_views_is_the_papers_and_half_of_them_are_mirrored(name: str) -> None:
    for sides in (SIDES, (400, 300), (224, 224), (31, 1000), (1, 1)):
        views = views_of(name, sides)
        assert len(views) == COUNTS[name]
        plain = [view for view in views if not view.mirrored]
        if name in UNMIRRORED:
            assert plain == views
        else:
            assert Counter((v.scaled, v.box, v.size) for v in plain) == Counter(
                (v.scaled, v.box, v.size) for v in views if v.mirrored
            )


def test_ten_crop_takes_corners_and_middle_of_the_central_square_of_256() -> None:
    views = views_of("ten-crop")
    assert {view.scaled for view in views} == {(256, 341)}
    assert starts(views) == [(0, 42), (0, 74), (32, 42), (32, 74), (16, 58)]
    assert {view.size for view in views} == {(224, 224)}


def test_five_random_places_lie_in_the_central_square_and_are_drawn_anew_for_each_seed() -> None:
    found = [start for seed in range(400) for start in starts(views_of("random-5", seed=seed))]
    rows, columns = zip(*found, strict=True)
    assert (min(rows), max(rows)) == (0, 32)
    assert (min(columns), max(columns)) == (42, 74)
    assert np.bincount(rows).min() > 2000 / 33 / 2, "every place is as likely"
    assert views_of("random-5", seed=3) == views_of("random-5", seed=3)


def test_dense_protocols_bring_the_shorter_side_to_the_papers_scales() -> None:
    scales = {
        "full": [(256, 341)],
        "dense": [(256, 341)],
        "multi-scale": [(224, 298), (256, 341), (288, 384)],
        "resnet-multi-scale": [(224, 298), (256, 341), (384, 512), (480, 640), (640, 853)],
    }
    for name, wanted in scales.items():
        plain = [view for view in views_of(name) if not view.mirrored]
        assert [view.size for view in plain] == wanted
        assert all(view.box == (0, 0, *view.size) and view.scaled == view.size for view in plain), "the whole image"
        assert [view.size[::-1] for view in views_of(name, (400, 300)) if not view.mirrored] == wanted


def test_multi_crop_spreads_a_grid_of_five_over_each_of_three_scales() -> None:
    views = [view for view in views_of("multi-crop") if not view.mirrored]
    assert [view.scaled for view in views] == [(224, 298)] * 25 + [(256, 341)] * 25 + [(288, 384)] * 25
    assert starts(views[50:]) == [(row, column) for row in (0, 16, 32, 48, 64) for column in (0, 40, 80, 120, 160)]
    assert starts(views[:5]) == [(0, 0), (0, 18), (0, 37), (0, 56), (0, 74)]


def test_googlenets_crops_are_six_of_each_of_three_squares_at_four_scales() -> None:
    views = [view for view in views_of("crops-144") if not view.mirrored]
    assert Counter(view.scaled for view in views) == {(256, 341): 18, (288, 384): 18, (320, 426): 18, (352, 469): 18}
    first = views[:18]
    for square, left in zip((first[:6], first[6:12], first[12:]), (0, 42, 85), strict=True):
        corners = [(0, left), (0, left + 32), (32, left), (32, left + 32), (16, left + 16)]
        assert starts(square) == [*corners, (0, left)]
        assert square[-1].box == (0, left, 256, 256)
        assert square[-1].size == (224, 224), "the square itself, made smaller"
    upright = [view for view in views_of("crops-144", (400, 300)) if not view.mirrored]
    assert [view.box[:2] for view in upright[5:18:6]] == [(0, 0), (42, 0), (85, 0)]


def test_overfeats_scales_give_the_maps_of_its_table_5() -> None:
    form = ImageForm(size=(221, 221), channels=3)
    sizes = [view.size for view in views_of("overfeat", form=form) if not view.mirrored]
    assert sizes == [(245, 245), (281, 317), (317, 389), (389, 461), (425, 497), (461, 569)]
    assert [view.size[::-1] for view in views_of("overfeat", (400, 300), form) if not view.mirrored] == sizes
    dense = lenext.densify(lenext.create("overfeat_accurate", classes=2).eval(), 221, finer=True)
    empty = next(dense.parameters()).new_empty
    maps = [tuple(dense(empty(0, 3, *size)).shape[-2:]) for size in sizes]
    assert maps == [(3, 3), (6, 9), (9, 15), (15, 21), (18, 24), (21, 30)]
    assert lookup("overfeat_accurate").facts.size == 221


def test_scales_are_in_proportion_to_the_network() -> None:
    form = ImageForm(size=(32, 32), channels=3)
    assert [view.size for view in views_of("multi-scale", (64, 64), form)][:3] == [(32, 32), (37, 37), (41, 41)]
    assert [view.size for view in views_of("full", (64, 64), form)] == [(32, 32)]


@given(
    st.sampled_from(sorted(COUNTS)), st.integers(1, 900), st.integers(1, 900), st.sampled_from([(224, 224), (48, 80)])
)
def test_every_view_lies_inside_the_image_and_is_as_large_as_the_network_wants(
    name: str, height: int, width: int, size: tuple[int, int]
) -> None:
    form = ImageForm(size=size, channels=3, crop_ratio=0.9)
    for view in views_of(name, (height, width), form):
        top, left, down, right = view.box
        outer = view.scaled or size
        assert top >= 0
        assert left >= 0
        assert top + down <= outer[0]
        assert left + right <= outer[1]
        if protocol(name).dense:
            assert view.size[0] >= size[0]
            assert view.size[1] >= size[1]
        else:
            assert view.size == size


def test_an_unknown_protocol_is_told_with_what_there_is() -> None:
    with pytest.raises(UserError, match=r"no views are called 'tencrop'; did you mean ten-crop\? there are center"):
        protocol("tencrop")
