"""Receptive fields against what a forward really depends on."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import lenext
from lenext.cost.geometry import Axis


def window(kernel: int, stride: int, padding: int, dilation: int, kind: str) -> nn.Module:
    if kind == "conv":
        return nn.Conv2d(1, 1, kernel, stride, padding, dilation)
    if kind == "max":
        return nn.MaxPool2d(kernel, stride, min(padding, kernel // 2), dilation, ceil_mode=True)
    return nn.AvgPool2d(kernel, stride, min(padding, kernel // 2))


layers = st.builds(
    window,
    kernel=st.integers(1, 4), stride=st.integers(1, 3), padding=st.integers(0, 2), dilation=st.integers(1, 2),
    kind=st.sampled_from(["conv", "max", "avg"]),
)  # fmt: skip

SIDE = 72


def touched(model: nn.Module, place: int) -> tuple[int, int]:
    """Return the first and the last input row on which the row `place` of the output depends, by its gradient."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(1.0)
    for module in model.modules():
        if isinstance(module, nn.MaxPool2d):  # a maximum has a gradient at one place only: take the sum in its stead
            module.forward = lambda x, pool=module: summed(x, pool)  # type: ignore[method-assign, misc]
    x = torch.ones(1, 1, SIDE, 3 * SIDE, dtype=torch.float64, requires_grad=True)
    y = model.double()(x)
    y[0, 0, place].sum().backward()
    assert x.grad is not None
    rows = x.grad[0, 0].abs().sum(1).nonzero().flatten()
    return int(rows[0]), int(rows[-1])


def summed(x: Tensor, pool: nn.MaxPool2d) -> Tensor:
    kernel = torch.ones(1, 1, int(pool.kernel_size), int(pool.kernel_size), dtype=x.dtype)  # type: ignore[arg-type]
    return nn.functional.conv2d(x, kernel, None, pool.stride, pool.padding, pool.dilation)


@given(st.lists(layers, min_size=1, max_size=4))
def test_field_stride_and_offset_are_what_the_gradient_touches(stack: list[nn.Module]) -> None:
    model = nn.Sequential(*stack)
    try:
        row = lenext.profile(model, size=(SIDE, 3 * SIDE)).rows[-1]
    except lenext.UserError:
        return  # a dilated window that does not fit
    assert row.geometry is not None
    axis = row.geometry[0]
    place = row.output[-2] // 2
    begin = axis.offset + place * axis.stride
    if begin < 0 or begin + axis.field > SIDE:
        return  # the field hangs over the border
    assert touched(model, place) == (begin, begin + axis.field - 1) or has_holes(stack)


def has_holes(stack: list[nn.Module]) -> bool:
    """Say whether a window steps over positions, which leaves the ends of a field without effect."""
    return any(max_of(m.stride) > max_of(m.kernel_size) for m in stack)  # type: ignore[arg-type]


def max_of(value: int | tuple[int, int]) -> int:
    return value if isinstance(value, int) else max(value)


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(2, 2, 3, padding=1), nn.Conv2d(2, 2, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.body(x)
        return out


class Shortcut(nn.Module):
    """Every second position, and a concatenation of what it and a convolution see."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 3, stride=2, padding=1)
        self.last = nn.Conv2d(4, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.last(torch.cat([x[:, :, ::2, ::2], self.conv(x)], 1))
        return out


class Gated(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv(x * x.mean((2, 3), keepdim=True))
        return out


@pytest.mark.parametrize(
    ("model", "axis"),
    [
        (nn.Sequential(Residual(), nn.Conv2d(2, 1, 1)), Axis(16, 5, 1, -2)),
        (Shortcut(), Axis(8, 3, 2, -1)),
        (Gated(), Axis(16, 16, 1, 0)),
        (nn.Sequential(nn.ZeroPad2d(2), nn.Conv2d(2, 1, 5, stride=2)), Axis(8, 5, 2, -2)),
        (nn.Sequential(nn.Conv2d(2, 1, 5, padding="same")), Axis(16, 5, 1, -2)),
        (nn.Sequential(nn.Conv2d(2, 1, 5, padding="valid")), Axis(12, 5, 1, 0)),
        (nn.Sequential(nn.Conv2d(2, 1, (3, 1))), Axis(14, 3, 1, 0)),
        (nn.Sequential(nn.MaxPool2d(3, 2), nn.MaxPool2d(2)), Axis(3, 5, 4, 0)),
        (nn.Sequential(nn.AdaptiveAvgPool2d(4)), Axis(4, 4, 4, 0)),
        (nn.Sequential(nn.AdaptiveAvgPool2d(1)), Axis(1, 16, 16, 0)),
        (nn.Sequential(nn.Conv2d(2, 1, 1, stride=4), nn.Flatten(), nn.Linear(16, 1)), Axis(1, 13, 4, 0)),
    ],
)
def test_geometry_by_hand(model: nn.Module, axis: Axis) -> None:
    row = lenext.profile(model, size=16, in_channels=2).rows[-1]
    assert row.geometry is not None
    assert row.geometry[0] == axis


def test_where_positions_have_no_place_nothing_is_claimed() -> None:
    model = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(2, 1, 3))
    row = lenext.profile(model, size=8).rows[-1]
    assert (row.receptive_field, row.stride, row.offset) == (None, None, None)


def test_published_field_of_alexnet() -> None:
    """Araujo et al. 2019 give 195 pixels and stride 32 for the last pool of AlexNet, VGG-16's is 212."""
    fields = {}
    for name in ("alexnet", "vgg16"):
        (row,) = [row for row in lenext.profile(name).rows if row.path.startswith("head.pool")]
        fields[name] = (row.receptive_field, row.stride)
    assert fields == {"alexnet": (195, 32), "vgg16": (212, 32)}
