"""ResNet, its CIFAR form, its tweaks and its plain nets."""

from __future__ import annotations

import re

import pytest
import torch
from skeletons import blank, skeleton, steps
from torch import nn
from torch.nn import functional as F

import lenext
from lenext.models import lookup
from lenext.models.resnet import BasicBlock, Bottleneck, PaddedIdentity, make_shortcut


def params(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def last_norms_zero(block: BasicBlock | Bottleneck) -> None:
    """Make the branch of a block zero."""
    last = block.conv3 if isinstance(block, Bottleneck) else block.conv2
    nn.init.zeros_(last.norm.get_parameter("weight"))


@torch.no_grad()
@pytest.mark.parametrize("block", [BasicBlock(8, 8, 1), Bottleneck(32, 8, 1)], ids=["basic", "bottleneck"])
def test_a_block_whose_branch_is_zero_passes_its_input_on(block: BasicBlock | Bottleneck) -> None:
    x = torch.randn(2, block.conv1.conv.in_channels, 6, 6)
    assert not torch.equal(block(x), x.relu())
    last_norms_zero(block)
    assert torch.equal(block(x), x.relu())
    block.shortcut = None
    assert block(x).abs().max() == 0


@torch.no_grad()
def test_a_basic_block_by_hand() -> None:
    block, x = BasicBlock(3, 5, 2).eval(), torch.randn(2, 3, 8, 8)
    first, second = block.conv1, block.conv2
    assert block.shortcut is not None
    made = F.conv2d(
        first.norm(F.conv2d(x, first.conv.weight, stride=2, padding=1)).relu(), second.conv.weight, padding=1
    )
    past = F.conv2d(x[:, :, ::2, ::2], block.shortcut.get_parameter("conv.weight"))
    expected = (second.norm(made) + past / (1 + 1e-5) ** 0.5).relu()  # a fresh norm only divides by its eps
    torch.testing.assert_close(block(x), expected)


def test_the_padded_identity_skips_places_and_adds_zero_maps() -> None:
    x = torch.arange(2 * 16.0).reshape(1, 2, 4, 4)
    padded = PaddedIdentity(2, 5, 2)(x)
    assert padded.shape == (1, 5, 2, 2)
    assert padded[0, 1].tolist() == [[0, 2], [8, 10]]
    assert padded[0, 2].tolist() == [[16, 18], [24, 26]]
    assert padded[0, [0, 3, 4]].abs().max() == 0


def test_shortcuts_project_where_their_kind_says() -> None:
    assert isinstance(make_shortcut("A", 8, 16, 2), PaddedIdentity)
    for kind in ("A", "B", "D"):
        assert isinstance(make_shortcut(kind, 8, 8, 1), nn.Identity)  # type: ignore[arg-type]
    assert make_shortcut("none", 8, 16, 2) is None
    for kind, same in (("B", False), ("C", True), ("D", False)):
        shortcut = make_shortcut(kind, 8, 8 if same else 16, 1 if same else 2)  # type: ignore[arg-type]
        assert shortcut is not None
        assert params(shortcut) == 8 * (8 if same else 16) + 2 * (8 if same else 16)


@torch.no_grad()
def test_shortcut_d_sees_all_four_places() -> None:
    shortcut = make_shortcut("D", 4, 6, 2)
    assert shortcut is not None
    x = torch.randn(1, 4, 6, 6)
    mean = x.unfold(2, 2, 2).unfold(3, 2, 2).mean((-1, -2))
    expected = F.conv2d(mean, shortcut.get_parameter("project.conv.weight"))
    torch.testing.assert_close(shortcut.eval()(x), expected, rtol=1e-4, atol=1e-4)


def test_option_b_adds_2752_parameters_to_resnet20() -> None:
    counts = {kind: params(skeleton("resnet20_cifar", shortcut=kind)) for kind in ("none", "A", "B", "C")}
    assert counts["none"] == counts["A"] == 269_722
    assert counts["B"] == 269_722 + 2_752
    projections = 3 * (16 * 16 + 32) + (16 * 32 + 64) + 2 * (32 * 32 + 64) + (32 * 64 + 128) + 2 * (64 * 64 + 128)
    assert counts["C"] == 269_722 + projections


@pytest.mark.parametrize("depth", [20, 32, 44, 56])
def test_a_residual_net_has_the_parameters_and_macs_of_the_plain_one(depth: int) -> None:
    residual, plain = lookup(f"resnet{depth}_cifar").facts, lookup(f"plain{depth}_cifar").facts
    assert (residual.params, residual.macs) == (plain.params, plain.macs)
    for depth_of_imagenet in (18, 34):
        with_a = skeleton(f"resnet{depth_of_imagenet}", shortcut="A")
        assert params(with_a) == lookup(f"plain{depth_of_imagenet}").facts.params


NUMBERED = [name for name in lenext.list_models() if re.match(r"(resnet|plain|preresnet)\d", name)]


@pytest.mark.parametrize("name", NUMBERED)
def test_the_number_in_the_name_counts_layers_with_weights(name: str) -> None:
    """Convolutions and the dense layer; shortcuts do not count, and three convolutions of a stem count as one."""
    layers = [path for path, module in skeleton(name).named_modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    counted = {re.sub(r"^stem\..*", "stem", path) for path in layers if ".shortcut" not in path}
    number = re.search(r"\d+", name)
    assert number is not None
    assert len(counted) == int(number[0])


@pytest.mark.parametrize("depth", [50, 101, 152])
def test_the_stride_is_in_the_3x3_or_as_published_in_the_1x1(depth: int) -> None:
    strides = {}
    for name in (f"resnet{depth}", f"resnet{depth}_v1"):
        blocks = [stage[0] for stage in skeleton(name).stages]  # type: ignore[index]
        strides[name] = [(block.conv1.conv.stride[0], block.conv2.conv.stride[0]) for block in blocks]
    assert strides == {
        f"resnet{depth}": [(1, 1), (1, 2), (1, 2), (1, 2)],
        f"resnet{depth}_v1": [(1, 1), (2, 1), (2, 1), (2, 1)],
    }


def test_each_tweak_alone() -> None:
    """Stem C costs 0.24 G, shortcut D nothing, the stride in the 1x1 saves 0.23 G; all give a map of 7x7."""
    macs = {
        tweak: lenext.profile("resnet50", **options).total.macs / 1e9
        for tweak, options in {
            "none": {}, "stem": {"stem": "deep"}, "shortcut": {"shortcut": "D"}, "stride": {"stride_in": "1x1"},
            "all": {"stem": "deep", "shortcut": "D"},
        }.items()
    }  # fmt: skip
    rounded = {tweak: round(count, 3) for tweak, count in macs.items()}
    assert rounded == {"none": 4.089, "stem": 4.329, "shortcut": 4.089, "stride": 3.858, "all": 4.329}
    assert lookup("resnet50d").facts.macs == round(macs["all"] * 1e9)


def test_the_deep_stem_has_maps_32_32_64() -> None:
    widths = [m.out_channels for m in skeleton("resnet50c").stem.modules() if isinstance(m, nn.Conv2d)]
    assert widths == [32, 32, 64]
    assert lenext.profile("resnet50c").output_of("stem").shape == (64, 56, 56)


def test_000_structure_of_resnet18() -> None:
    """Lecture notes 000: (Conv:BN:Max):(R:R):(R':R)x3:Avg:FC; five halvings bring 224 px to 7 before the mean."""
    model, x = skeleton("resnet18"), blank("resnet18")
    assert [type(m) for _, m, _ in steps(model.stem, x)] == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.MaxPool2d]
    kinds = [[(type(block), block.conv1.conv.stride[0]) for block in stage] for stage in model.stages]  # type: ignore[union-attr]
    assert kinds == [[(BasicBlock, 1)] * 2, *[[(BasicBlock, 2), (BasicBlock, 1)]] * 3]
    assert [m.shape[-1] for m in model.features(x)] == [56, 28, 14, 7]
    assert isinstance(model.head.classifier, nn.Linear)
    assert model.head.get_submodule("pool")(torch.ones(1, 512, 7, 7)).shape == (1, 512, 1, 1)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("resnet50", {"shortcut": "E"}, "shortcut 'E' is not known; give A, B, C, D or none"),
        ("resnet50", {"stem": "9x9"}, "stem '9x9' is not known; give 7x7, deep or 3x3"),
        ("resnet50", {"stride_in": "5x5"}, "stride_in '5x5' is not known; give 1x1 or 3x3"),
        ("resnet18", {"stride_in": "1x1"}, "resnet18 has no option 'stride_in'"),
        ("resnet18", {"depth": 0}, "depth 0 cannot be: give a factor above 0"),
        ("resnet18", {"width": "wide"}, "width 'wide' cannot be; give a number"),
        ("resnet18", {"init": "luck"}, "init 'luck' is not known; give he, glorot or paper"),
    ],
)
def test_options_that_cannot_be_are_refused(name: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(lenext.UserError, match=re.escape(message)):
        lenext.create(name, **options)  # type: ignore[arg-type]
