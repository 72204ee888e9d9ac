"""ConvNeXt: its block by hand, its norms, its stochastic depth."""

from __future__ import annotations

import pytest
import torch
from skeletons import blank, skeleton, units
from torch import nn
from torch.nn import functional as F

import lenext
from lenext.models.blocks import StochasticDepth
from lenext.models.convnext import ChannelNorm, ConvNeXtBlock


@torch.no_grad()
def test_a_channel_norm_looks_at_one_place_alone() -> None:
    norm, x = ChannelNorm(6, eps=1e-6), torch.randn(2, 6, 3, 4)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    place = x[1, :, 2, 3]
    expected = (place - place.mean()) / (place.var(unbiased=False) + 1e-6).sqrt() * norm.weight + norm.bias
    torch.testing.assert_close(norm(x)[1, :, 2, 3], expected)


@torch.no_grad()
def test_a_block_by_hand() -> None:
    block, x = ConvNeXtBlock(4, 0.5, 0.0), torch.randn(2, 4, 9, 9)
    made = F.conv2d(x, block.depthwise.weight, block.depthwise.bias, padding=3, groups=4)
    made = (made - made.mean(1, keepdim=True)) / (made.var(1, unbiased=False, keepdim=True) + 1e-6).sqrt()
    made = F.gelu(F.conv2d(made, block.widen.weight[:, :, None, None], block.widen.bias))
    made = F.conv2d(made, block.narrow.weight[:, :, None, None], block.narrow.bias)
    torch.testing.assert_close(block(x), x + 0.5 * made)
    nn.init.zeros_(block.scale)
    assert torch.equal(block(x), x)


def test_every_residual_starts_at_a_millionth() -> None:
    model = lenext.create("convnext_tiny", width=0.25)
    scales = [module.scale for module in model.modules() if isinstance(module, ConvNeXtBlock)]
    assert len(scales) == 18
    assert all(bool((scale == 1e-6).all()) for scale in scales)
    assert lenext.create("convnext_tiny", width=0.25, layer_scale=0.1).get_parameter("stages.0.block1.scale")[0] == 0.1


@pytest.mark.parametrize(
    ("name", "rate"),
    [("convnext_tiny", 0.1), ("convnext_small", 0.4), ("convnext_base", 0.5), ("convnext_xlarge", 0.2)],
)
def test_stochastic_depth_rises_evenly_from_nothing_to_the_papers_rate(name: str, rate: float) -> None:
    rates = [module.rate for module in skeleton(name).modules() if isinstance(module, StochasticDepth)]
    assert rates == pytest.approx([rate * n / (len(rates) - 1) for n in range(len(rates))])
    one = skeleton(name, depth=0.01, stochastic_depth=0.3)
    assert max(module.rate for module in one.modules() if isinstance(module, StochasticDepth)) == pytest.approx(0.3)


def test_stages_halve_in_a_layer_of_their_own() -> None:
    model, x = skeleton("convnext_tiny"), blank("convnext_tiny")
    x = model.stem(x)
    assert x.shape == (2, 96, 56, 56)
    for number, (maps, count) in enumerate(((96, 3), (192, 3), (384, 9), (768, 3))):
        side = 56 // 2**number
        assert units(model.stages[number], x) == [(maps, side, side)] * (count + (number > 0))
        x = model.stages[number](x)


def test_the_head_norms_the_mean() -> None:
    model = lenext.create("convnext_tiny", width=0.25, depth=0.1).eval()
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        mean = model.features(x)[-1].mean((2, 3))
        torch.testing.assert_close(model.embed(x), F.layer_norm(mean, mean.shape[1:], eps=1e-6))
