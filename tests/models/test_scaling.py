"""Deeper, wider, larger: the rule, its rounding, and every family that takes it."""

from __future__ import annotations

import math
import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import lenext
from lenext.models import lookup
from lenext.models.scaling import scale_depth, scale_width

STAGED = [
    "vgg16", "vgg11_bn", "resnet18", "resnet50", "plain18", "resnet50d", "resnet20_cifar", "preresnet50",
    "wrn16_8_cifar",
    "wide_resnet50_2", "resnext50_32x4d", "densenet121", "densenet40_12_cifar", "mobilenet_v1", "mobilenet_v1_050",
    "mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small", "efficientnet_b0", "efficientnet_b1", "convnext_tiny",
    "highway19", "prelunet_a",
]  # fmt: skip


def test_compound_by_hand() -> None:
    scale = lenext.compound(2)
    assert (scale.depth, scale.width, scale.resolution) == pytest.approx((1.44, 1.21, 1.3225))
    assert scale.size(224) == 296
    assert lenext.compound(0) == lenext.Compound(1.0, 1.0, 1.0)
    assert lenext.compound(1, alpha=2, beta=1, gamma=1) == lenext.Compound(2, 1, 1)
    half = lenext.compound(-1)
    assert (half.depth * 1.2, half.width * 1.1, half.resolution * 1.15) == pytest.approx((1, 1, 1))
    assert scale.options("efficientnet_b0") == {"depth": scale.depth, "width": scale.width, "size": 296}


@pytest.mark.parametrize("name", STAGED)
def test_any_staged_family_scales(name: str) -> None:
    """Cost about doubles, but for what rounding to whole blocks and multiples of eight maps adds to small nets."""
    small, large = lenext.profile(name), lenext.profile(name, **lenext.compound(1).options(name))
    assert 1.4 < large.total.macs / small.total.macs < 3.6
    assert large.total.params > small.total.params
    assert large.input[2] == round(1.15 * small.input[2])
    assert lenext.profile(name, **lenext.compound(0).options(name)).total == small.total


def test_a_scaled_model_is_made_and_answers() -> None:
    model = lenext.create("resnet18", classes=3, **{**lenext.compound(-4).options("resnet18"), "size": 64})
    assert model(torch.zeros(2, 3, 64, 64)).shape == (2, 3)
    assert model.spec is not None
    assert model.spec.options == {"depth": 1.2**-4, "width": 1.1**-4}
    assert [len(list(stage.children())) for stage in model.stages] == [1, 1, 1, 1]


def test_a_network_that_is_not_built_of_repeated_blocks_says_so() -> None:
    with pytest.raises(lenext.UserError, match="googlenet has no option 'depth'"):
        lenext.create("googlenet", **lenext.compound(1).options("googlenet"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"phi": math.nan}, "phi nan cannot be: give a number"),
        ({"phi": "1"}, "phi '1' cannot be"),
        ({"phi": 1, "alpha": 0}, "alpha 0 cannot be: give a number above 0"),
        ({"phi": 1, "gamma": -1.15}, "gamma -1.15 cannot be"),
        ({"phi": 10**400}, "phi 1000"),
        ({"phi": 1000}, "phi 1000 is beyond 64 times as deep, wide or large"),
        ({"phi": 1e308}, "beyond 64 times"),
        ({"phi": -1000}, "phi -1000 is beyond"),
    ],
)
def test_scales_that_cannot_be_are_refused(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(lenext.UserError, match=re.escape(message)):
        lenext.compound(**arguments)


@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf, 65, True, "2", None])
def test_factors_that_cannot_be_are_refused(value: object) -> None:
    for scale, name in ((scale_depth, "depth"), (scale_width, "width")):
        with pytest.raises(lenext.UserError, match=f"{name} .* cannot be: give a factor above 0, up to 64"):
            scale(8, value)  # type: ignore[arg-type]


def test_more_blocks_than_any_use_are_refused() -> None:
    with pytest.raises(lenext.UserError, match=r"depth 64 makes 12,800 blocks of 200 in a stage, more than 4,096"):
        lenext.create("resnet1202_cifar", depth=64)


@pytest.mark.parametrize(
    ("channels", "width", "expected"),
    [(32, 1.1, 32), (40, 1.1, 48), (80, 1.1, 88), (112, 1.2, 136), (16, 1.4, 24), (1280, 1.1, 1408), (12, 1.0, 12),
     (3, 0.1, 8), (24, 0.75, 24)],
)  # fmt: skip
def test_widths_round_as_the_authors_of_efficientnet_do(channels: int, width: float, expected: int) -> None:
    assert scale_width(channels, width) == expected


@given(st.integers(1, 4096), st.floats(0.01, 64, exclude_min=True))
def test_a_width_is_a_multiple_of_eight_and_not_much_less(channels: int, width: float) -> None:
    scaled = scale_width(channels, width)
    if width != 1:
        assert scaled % 8 == 0
    assert scaled >= 0.9 * channels * width - 1e-6
    assert scaled <= max(8, channels * width * 1.1 + 8)


@given(st.integers(1, 64), st.floats(0.01, 64))
def test_a_depth_rounds_up(blocks: int, depth: float) -> None:
    assert blocks * depth <= scale_depth(blocks, depth) < blocks * depth + 1


def test_the_published_table_and_the_rule_differ() -> None:
    """B7 by the rule, with phi 7, is deeper and less wide than by the table."""
    rule = lenext.compound(7)
    assert (rule.depth, rule.width) == pytest.approx((3.583, 1.949), abs=1e-3)
    by_rule = lenext.profile("efficientnet_b0", **rule.options("efficientnet_b0")).total.params
    assert by_rule != lookup("efficientnet_b7").facts.params
    assert by_rule == pytest.approx(lookup("efficientnet_b7").facts.params, rel=0.1)
