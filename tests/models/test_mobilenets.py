"""MobileNet v1, v2, v3 and EfficientNet: separable convolutions, inverted residuals, tables of widths."""

from __future__ import annotations

import pytest
import torch
from skeletons import blank, skeleton
from torch import nn

import lenext
from lenext.models import lookup
from lenext.models.blocks import ConvNorm, InvertedResidual, SqueezeExcite, StochasticDepth
from lenext.models.mobilenet import separable


def blocks_of(name: str) -> list[InvertedResidual]:
    return [module for module in skeleton(name).stages.modules() if isinstance(module, InvertedResidual)]


def conv_of(block: InvertedResidual, part: str) -> nn.Conv2d:
    conv = block.branch.get_submodule(f"{part}.conv")
    assert isinstance(conv, nn.Conv2d)
    return conv


def test_a_separable_convolution_costs_a_ninth_and_a_little() -> None:
    """1 / N + 1 / k^2 of a whole one (section 3.1 of the paper)."""
    whole = ConvNorm(64, 128, 3)
    apart, together = (
        sum(module.weight.numel() for module in part.modules() if isinstance(module, nn.Conv2d))
        for part in (separable(64, 128, 1), whole)
    )
    assert apart / together == pytest.approx(1 / 128 + 1 / 9)


@pytest.mark.parametrize(
    ("name", "maps"), [("mobilenet_v1", 1024), ("mobilenet_v1_075", 768), ("mobilenet_v1_025", 256)]
)
def test_the_multiplier_makes_every_layer_narrower(name: str, maps: int) -> None:
    assert skeleton(name).embed(blank(name)).shape == (2, maps)
    stem = skeleton(name).stem.get_submodule("conv")
    assert stem.out_channels == maps // 32  # type: ignore[operator]


def test_width_multiplies_that_of_the_name() -> None:
    assert lenext.profile("mobilenet_v1_050", width=0.5).total.params == lookup("mobilenet_v1_025").facts.params
    assert lenext.profile("mobilenet_v1", width=0.75).total.params == lookup("mobilenet_v1_075").facts.params


@torch.no_grad()
def test_the_narrow_ends_carry_the_residual_and_have_no_activation() -> None:
    block = InvertedResidual(8, 8, 3, stride=1, expanded=16, conv=ConvNorm).eval()
    x = torch.randn(2, 8, 6, 6)
    assert torch.equal(block(x), block.branch(x) + x)
    assert not hasattr(block.branch.get_submodule("project"), "activation")
    for stride, maps in ((2, 8), (1, 12)):
        other = InvertedResidual(8, maps, 3, stride=stride, expanded=16, conv=ConvNorm).eval()
        assert torch.equal(other(x), other.branch(x))


def test_mobilenet_v2_has_the_rows_of_its_table_2() -> None:
    """Expansion, maps and stride of each of the seventeen blocks."""
    rows = [(conv_of(b, "depthwise").stride[0], conv_of(b, "project").out_channels) for b in blocks_of("mobilenet_v2")]
    table = ((1, 16, 1), (2, 24, 2), (2, 32, 3), (2, 64, 4), (1, 96, 3), (2, 160, 3), (1, 320, 1))
    assert rows == [(stride if n == 0 else 1, maps) for stride, maps, count in table for n in range(count)]
    widening = [conv_of(block, "expand") for block in blocks_of("mobilenet_v2")[1:]]
    assert {conv.out_channels / conv.in_channels for conv in widening} == {6}
    assert skeleton("mobilenet_v2").head.classifier.in_features == 1280
    assert lenext.create("mobilenet_v2", width=0.5).head.classifier.in_features == 1280
    assert lenext.create("mobilenet_v2", width=1.4).head.classifier.in_features == 1792


@pytest.mark.parametrize(
    ("name", "kernels", "squeezed", "swishes"),
    [
        ("mobilenet_v3_large", "333555333333555", "000111000011111", "000000111111111"),
        ("mobilenet_v3_small", "33355555555", "10011111111", "00011111111"),
    ],
)
def test_mobilenet_v3_has_the_rows_of_its_tables(name: str, kernels: str, squeezed: str, swishes: str) -> None:
    blocks = blocks_of(name)
    assert "".join(str(conv_of(block, "depthwise").kernel_size[0]) for block in blocks) == kernels
    found = [any(isinstance(module, SqueezeExcite) for module in block.modules()) for block in blocks]
    assert "".join(str(int(each)) for each in found) == squeezed
    kinds = [block.branch.get_submodule("depthwise.activation") for block in blocks]
    assert "".join(str(int(isinstance(kind, nn.Hardswish))) for kind in kinds) == swishes


def test_v3_mixes_after_the_mean() -> None:
    """960 maps, their mean, 1,280, classes: the 1x1 of 1,280 works once instead of 49 times."""
    cost = lenext.profile("mobilenet_v3_large")
    rows = {row.path: row for row in cost.rows}
    assert rows["head.before.conv"].output == (960, 7, 7)
    assert rows["head.after.dense"].macs == 960 * 1280
    assert rows["head.after.dense"].output == (1280,)


# Depth and width of B0's stages times the factors of the published table, rounded as the authors' code does.
EFFICIENTNETS = {
    "efficientnet_b0": (32, [16, 24, 40, 80, 112, 192, 320], [1, 2, 2, 3, 3, 4, 1], 1280),
    "efficientnet_b1": (32, [16, 24, 40, 80, 112, 192, 320], [2, 3, 3, 4, 4, 5, 2], 1280),
    "efficientnet_b2": (32, [16, 24, 48, 88, 120, 208, 352], [2, 3, 3, 4, 4, 5, 2], 1408),
    "efficientnet_b3": (40, [24, 32, 48, 96, 136, 232, 384], [2, 3, 3, 5, 5, 6, 2], 1536),
    "efficientnet_b4": (48, [24, 32, 56, 112, 160, 272, 448], [2, 4, 4, 6, 6, 8, 2], 1792),
    "efficientnet_b5": (48, [24, 40, 64, 128, 176, 304, 512], [3, 5, 5, 7, 7, 9, 3], 2048),
    "efficientnet_b6": (56, [32, 40, 72, 144, 200, 344, 576], [3, 6, 6, 8, 8, 11, 3], 2304),
    "efficientnet_b7": (64, [32, 48, 80, 160, 224, 384, 640], [4, 7, 7, 10, 10, 13, 4], 2560),
}


@pytest.mark.parametrize("name", EFFICIENTNETS)
def test_efficientnets_have_the_rows_of_the_table(name: str) -> None:
    stem, maps, counts, last = EFFICIENTNETS[name]
    model = skeleton(name)
    assert model.stem.get_submodule("conv").out_channels == stem
    assert model.head.classifier.in_features == last
    found = [conv_of(block, "project").out_channels for block in blocks_of(name)]
    assert found == [width for width, count in zip(maps, counts, strict=True) for _ in range(count)]
    kernels = [conv_of(block, "depthwise").kernel_size[0] for block in blocks_of(name)]
    assert kernels == [side for side, count in zip((3, 3, 5, 3, 5, 5, 3), counts, strict=True) for _ in range(count)]


def test_squeezes_are_a_quarter_of_what_enters_the_block() -> None:
    for block in blocks_of("efficientnet_b0"):
        squeeze = block.branch.get_submodule("squeeze")
        assert isinstance(squeeze, SqueezeExcite)
        first, _ = next(block.branch.named_children())
        assert squeeze.reduce.out_channels == conv_of(block, first).in_channels // 4


def test_stochastic_depth_rises_block_by_block() -> None:
    model = lenext.create("efficientnet_b0", width=0.25)
    rates = [module.rate for module in model.modules() if isinstance(module, StochasticDepth)]
    assert rates == sorted(rates)
    assert rates[-1] == pytest.approx(0.2 * 14 / 16)  # the last block of all changes its width: nothing to drop
    off = lenext.create("efficientnet_b0", width=0.25, stochastic_depth=0.0)
    assert {module.rate for module in off.modules() if isinstance(module, StochasticDepth)} == {0}
    with pytest.raises(lenext.UserError, match="stochastic depth has to be at least 0 and below 1"):
        lenext.create("efficientnet_b0", stochastic_depth=1.5)


@pytest.mark.parametrize(
    ("name", "eps"), [("efficientnet_b0", 1e-5), ("efficientnet_b7", 1e-3), ("mobilenet_v3_small", 1e-3)]
)
def test_norms_add_what_public_weights_were_trained_with(name: str, eps: float) -> None:
    def found(**options: float) -> set[float]:
        modules = skeleton(name, depth=0.1, **options).modules()
        return {module.eps for module in modules if isinstance(module, nn.BatchNorm2d)}

    assert found() == {eps}
    assert found(norm_eps=0.01) == {0.01}
