from __future__ import annotations

import pytest
import torch
from torch import nn

from lenext.models.blocks import (
    Branches,
    ConvNorm,
    ConvReLU,
    SqueezeExcite,
    StochasticDepth,
    cross_map_norm,
    named,
)


def test_response_normalisation_is_the_papers() -> None:
    """Krizhevsky et al. 2012, section 3.3: a / (k + alpha * sum of a^2 over n maps)^beta, k 2, n 5, alpha 1e-4."""
    x = 100 * torch.randn(2, 8, 3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = torch.empty_like(x)
    for i in range(8):
        neighbours = x[:, max(0, i - 2) : min(8, i + 3)]  # at the first and the last maps there are fewer
        expected[:, i] = x[:, i] / (2 + 1e-4 * neighbours.square().sum(1)) ** 0.75
    torch.testing.assert_close(cross_map_norm()(x), expected)


def test_response_normalisation_of_one_pixel_by_hand() -> None:
    """Of maps 100, 200, 0, 0, 300, 0: the first sees the first three, the fifth the last four."""
    x = torch.tensor([100.0, 200, 0, 0, 300, 0]).view(1, 6, 1, 1)
    first, second, _, _, fifth, _ = cross_map_norm()(x).flatten().tolist()
    assert abs(first - 100 / (2 + 1e-4 * 50_000) ** 0.75) < 1e-3
    assert abs(second - 200 / (2 + 1e-4 * 50_000) ** 0.75) < 1e-3
    assert abs(fifth - 300 / (2 + 1e-4 * 90_000) ** 0.75) < 1e-3


def test_a_convolution_with_relu_by_hand() -> None:
    block = ConvReLU(1, 2, 3, stride=2, padding=1)
    with torch.no_grad():
        block.conv.weight.fill_(1)
        block.conv.bias.copy_(torch.tensor([0.0, -100.0]))  # type: ignore[union-attr]
    out = block(torch.arange(16.0).view(1, 1, 4, 4))
    assert out[0, 0].tolist() == [[0 + 1 + 4 + 5, 1 + 2 + 3 + 5 + 6 + 7], [4 + 5 + 8 + 9 + 12 + 13, 90]]
    assert out[0, 1].count_nonzero() == 0


def test_a_norm_stands_between_convolution_and_relu() -> None:
    block = ConvReLU(3, 4, 1, bias=False, norm=nn.BatchNorm2d)
    assert [type(module) for module in block] == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU]
    assert block.conv.bias is None
    assert [type(module) for module in ConvReLU(3, 4, 1)] == [nn.Conv2d, nn.ReLU]


def test_named_modules_work_in_order() -> None:
    modules = named(twice=nn.Conv2d(1, 1, 1), relu=nn.ReLU())
    assert [name for name, _ in modules.named_children()] == ["twice", "relu"]


def test_a_conv_norm_keeps_the_size_unless_it_is_told_otherwise() -> None:
    x = torch.zeros(1, 3, 9, 11)
    for kernel in (1, 3, 5, (1, 7), (7, 1)):
        assert ConvNorm(3, 4, kernel)(x).shape == (1, 4, 9, 11)
    assert ConvNorm(3, 4, 3, stride=2)(x).shape == (1, 4, 5, 6)
    assert ConvNorm(3, 4, 3, stride=2, padding=0)(x).shape == (1, 4, 4, 5)
    layer = ConvNorm(3, 4, activation=None)
    assert [name for name, _ in layer.named_children()] == ["conv", "norm"]
    assert layer.conv.bias is None


def test_branches_stack_their_maps_in_order() -> None:
    pair, x = Branches(first=nn.Identity(), second=nn.MaxPool2d(3, 1, padding=1)), torch.randn(2, 3, 5, 5)
    assert torch.equal(pair(x), torch.cat([x, nn.functional.max_pool2d(x, 3, 1, 1)], 1))


def test_stochastic_depth_drops_whole_images_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    layer, x = StochasticDepth(0.25), torch.ones(20_000, 2, 1, 1)
    kept = layer(x)
    assert torch.equal(kept[:, 0], kept[:, 1])
    values = kept.unique()
    torch.testing.assert_close(values, torch.tensor([0.0, 4 / 3]))
    assert kept.mean().item() == pytest.approx(1, abs=0.02)
    assert layer.eval()(x) is x
    assert StochasticDepth(0.0)(x) is x
    assert layer.train()(x.to(torch.bfloat16)).dtype == torch.bfloat16
    assert "rate=0.25" in repr(layer)
    for rate in (1.0, -0.1, float("nan")):
        with pytest.raises(ValueError, match="stochastic depth has to be at least 0 and below 1"):
            StochasticDepth(rate)


@torch.no_grad()
def test_squeeze_and_excitation_by_hand() -> None:
    layer, x = SqueezeExcite(4, 2), torch.randn(3, 4, 5, 5)
    means = x.mean((2, 3))
    squeezed = (means @ layer.reduce.weight[:, :, 0, 0].T + layer.reduce.bias).relu()
    weights = (squeezed @ layer.expand.weight[:, :, 0, 0].T + layer.expand.bias).sigmoid()
    torch.testing.assert_close(layer(x), x * weights[:, :, None, None])
