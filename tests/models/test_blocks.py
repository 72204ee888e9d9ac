from __future__ import annotations

import torch
from torch import nn

from lenext.models.blocks import ConvReLU, cross_map_norm, named


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
