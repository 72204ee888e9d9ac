"""Pre-activation ResNet, Wide ResNet and ResNeXt."""

from __future__ import annotations

import pytest
import torch
from skeletons import blank, skeleton
from torch import Tensor, nn
from torch.nn import functional as F

import lenext
from lenext.models.blocks import PreConv
from lenext.models.preresnet import PreBlock, basic_block, bottleneck_block
from lenext.models.resnet import Bottleneck


@torch.no_grad()
@pytest.mark.parametrize("make", [basic_block, bottleneck_block])
def test_nothing_but_an_addition_lies_on_the_shortcut(make: type[PreBlock]) -> None:
    block, x = make(16, 16, 1), torch.randn(2, 16, 6, 6)  # type: ignore[arg-type]
    for module in block.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.zeros_(module.weight)
    assert torch.equal(block(x), x)  # negative values too: no ReLU comes after the addition


@torch.no_grad()
def test_where_the_shape_changes_the_projection_sees_what_norm_and_relu_made() -> None:
    block, x = basic_block(4, 8, 2).eval(), torch.randn(2, 4, 6, 6)
    nn.init.zeros_(block.branch.get_parameter("conv2.conv.weight"))
    activated = (x / (1 + 1e-5) ** 0.5).relu()
    torch.testing.assert_close(block(x), F.conv2d(activated, block.shortcut.get_parameter("weight"), stride=2))
    padded = basic_block(4, 8, 2, shortcut="A").eval()
    nn.init.zeros_(padded.branch.get_parameter("conv2.conv.weight"))
    assert torch.equal(padded(x)[:, 2:6], x[:, :, ::2, ::2])  # the input itself
    assert padded(x)[:, [0, 1, 6, 7]].abs().max() == 0


@pytest.mark.parametrize(
    ("name", "projected", "padded"),
    [
        ("preresnet110_cifar", 1_730_522, 1_727_962),
        ("preresnet164_cifar", 1_703_258, 1_661_274),
        ("preresnet1001_cifar", 10_327_706, 10_285_722),
    ],
)
def test_projections_and_zero_padding(name: str, projected: int, padded: int) -> None:
    for shortcut, count in (("B", projected), ("A", padded)):
        assert lenext.profile(name, shortcut=shortcut).total.params == count


def test_the_stride_of_cifar_nets_is_in_the_first_1x1_and_of_the_others_in_the_3x3() -> None:
    for name, expected in (("preresnet164_cifar", (2, 1)), ("preresnet50", (1, 2))):
        block = skeleton(name).stages[1][0]  # type: ignore[index]
        assert isinstance(block, PreBlock)
        second = block.branch.get_submodule("conv2.conv")
        assert (block.branch.get_submodule("conv1").stride[0], second.stride[0]) == expected  # type: ignore[union-attr, index]


def test_wide_blocks_drop_out_between_their_convolutions() -> None:
    model = lenext.create("wrn16_8_cifar", width=0.25, dropout=0.3)
    rates = [m.dropout.p for m in model.modules() if isinstance(m, PreConv) and isinstance(m.dropout, nn.Dropout)]
    assert rates == [0.3] * 6
    assert not any(isinstance(m, nn.Dropout) and m.p for m in skeleton("wrn16_8_cifar").stages.modules())


@pytest.mark.parametrize(("name", "layers", "maps"), [("wrn40_4_cifar", 40, 256), ("wrn28_10_cifar", 28, 640)])
def test_the_first_number_of_a_wide_net_counts_convolutions_the_second_its_width(
    name: str, layers: int, maps: int
) -> None:
    model = skeleton(name)
    assert sum(isinstance(module, nn.Conv2d) for module in model.modules()) == layers  # projections count here
    assert model.embed(blank(name)).shape == (2, maps)


def test_wide_bottlenecks_are_twice_as_wide_inside_alone() -> None:
    wide, narrow = skeleton("wide_resnet50_2"), skeleton("resnet50")
    for ours, theirs in zip(wide.stages, narrow.stages, strict=True):
        for block, other in zip(ours, theirs, strict=True):  # type: ignore[arg-type]
            assert block.conv2.conv.out_channels == 2 * other.conv2.conv.out_channels
            assert block.conv3.conv.out_channels == other.conv3.conv.out_channels


@pytest.fixture
def block() -> Bottleneck:
    """A block of eight paths of four maps, its norms without their fresh values."""
    torch.manual_seed(0)
    made = Bottleneck(64, 16, 1, groups=8, base=16).eval()
    assert made.conv2.conv.groups == 8
    assert made.conv2.conv.out_channels == 32
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight, module.running_var):
                nn.init.uniform_(tensor, 0.5, 1.5)  # type: ignore[arg-type]
            for tensor in (module.bias, module.running_mean):
                nn.init.normal_(tensor)  # type: ignore[arg-type]
    return made


def path(block: Bottleneck, x: Tensor, number: int) -> Tensor:
    """Return what one path makes of the input, before its last convolution: (N, 64, H, W) -> (N, 4, H, W)."""
    own = slice(4 * number, 4 * number + 4)
    first, second = block.conv1, block.conv2

    def normed(norm: nn.Module, made: Tensor) -> Tensor:
        mean, var, scale, shift = (
            tensor[own]
            for tensor in (norm.running_mean, norm.running_var, norm.weight, norm.bias)  # type: ignore[index]
        )
        return F.batch_norm(made, mean, var, scale, shift).relu()

    made = normed(first.norm, F.conv2d(x, first.conv.weight[own]))
    return normed(second.norm, F.conv2d(made, second.conv.weight[own], padding=1))


@torch.no_grad()
def test_the_three_forms_of_figure_3_of_resnext_agree(block: Bottleneck) -> None:
    """(a) paths of their own last convolution, added; (b) paths stacked before one; (c) the grouped convolution."""
    x = torch.randn(2, 64, 9, 9)
    last = block.conv3
    paths = [path(block, x, number) for number in range(8)]
    added = sum(F.conv2d(made, last.conv.weight[:, 4 * n : 4 * n + 4]) for n, made in enumerate(paths))
    stacked = F.conv2d(torch.cat(paths, 1), last.conv.weight)
    form_a, form_b = ((last.norm(made) + x).relu() for made in (added, stacked))
    torch.testing.assert_close(form_a, block(x), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(form_b, block(x), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(form_a, (last.norm(torch.as_tensor(added) - paths[0].mean()) + x).relu())


def test_bad_options_are_refused() -> None:
    with pytest.raises(lenext.UserError, match="shortcut 'D' is not known here; give A or B"):
        lenext.create("preresnet50", shortcut="D")
    with pytest.raises(lenext.UserError, match="stem 'deep' is not known here; give 7x7 or 3x3"):
        lenext.create("preresnet50", stem="deep")
    with pytest.raises(lenext.UserError, match="stride_in '2x2' is not known"):
        lenext.create("preresnet50", stride_in="2x2")
