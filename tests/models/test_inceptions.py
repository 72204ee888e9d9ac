"""BN-Inception, Inception v3 and v4, Inception-ResNet: the maps that their papers print, and their modules."""

from __future__ import annotations

import pytest
import torch
from skeletons import blank, skeleton, steps, units
from torch import Tensor, nn
from torch.nn import functional as F

import lenext
from lenext.models.blocks import Branches, ConvNorm
from lenext.models.inception_resnet import SCALES, ResidualInception
from lenext.models.inception_v3 import AuxiliaryClassifier


def maps_of(name: str) -> tuple[list[tuple[int, ...]], list[list[tuple[int, ...]]]]:
    """Return what the layers of the stem and the modules of each stage give at the native input."""
    model, x = skeleton(name), blank(name)
    stem, x = units(model.stem, x), model.stem(x)
    stages = []
    for stage in model.stages:
        stages.append(units(stage, x))
        x = stage(x)
    return stem, stages


def test_bn_inception_has_the_maps_of_its_figure_5() -> None:
    """But for 608 and 1,056 where it prints 576 and 1,024: the widths that it prints do not add up to these."""
    stem, stages = maps_of("bn_inception")
    assert stem == [(64, 112, 112), (64, 56, 56), (64, 56, 56), (192, 56, 56), (192, 28, 28)]
    assert stages == [
        [(256, 28, 28), (320, 28, 28)],
        [(576, 14, 14), (576, 14, 14), (576, 14, 14), (608, 14, 14), (608, 14, 14)],
        [(1056, 7, 7), (1024, 7, 7), (1024, 7, 7)],
    ]


def test_bn_inception_with_biases_has_the_parameters_of_the_public_weights() -> None:
    convs = [module.conv for module in skeleton("bn_inception").modules() if isinstance(module, ConvNorm)]
    assert 11_285_224 + sum(conv.out_channels for conv in convs) == 11_295_240


def test_inception_v3_has_the_maps_of_its_table_1() -> None:
    stem, stages = maps_of("inception_v3")
    assert [shape[1] for shape in stem] == [149, 147, 147, 73, 73, 71, 35]
    assert [shape[0] for shape in stem] == [32, 32, 64, 64, 80, 192, 192]
    assert stages == [
        [(256, 35, 35), (288, 35, 35), (288, 35, 35)],
        [(768, 17, 17)] * 5,
        [(1280, 8, 8), (2048, 8, 8), (2048, 8, 8)],
    ]


def test_inception_v4_has_the_maps_of_its_figures() -> None:
    stem, stages = maps_of("inception_v4")
    assert stem == [
        (32, 149, 149), (32, 147, 147), (64, 147, 147), (160, 73, 73), (192, 71, 71), (384, 35, 35),
    ]  # fmt: skip
    assert stages == [[(384, 35, 35)] * 4, [(1024, 17, 17)] * 8, [(1536, 8, 8)] * 4]


def test_inception_resnets_have_the_maps_of_their_figures() -> None:
    stem, stages = maps_of("inception_resnet_v1")
    assert stem[-1] == (256, 35, 35)
    assert stages == [[(256, 35, 35)] * 5, [(896, 17, 17)] * 11, [(1792, 8, 8)] * 6]
    stem, stages = maps_of("inception_resnet_v2")
    assert stem[-1] == (192, 35, 35)
    assert stages == [[(320, 35, 35)] * 11, [(1088, 17, 17)] * 21, [(2080, 8, 8)] * 11]
    assert skeleton("inception_resnet_v2").embed(blank("inception_resnet_v2")).shape == (2, 1536)


@pytest.mark.parametrize(
    ("name", "stage", "kernels"),
    [
        ("inception_v3", 0, {(1, 1), (3, 3), (5, 5)}),
        ("inception_v3", 1, {(1, 1), (3, 3), (1, 7), (7, 1)}),
        ("inception_v3", 2, {(1, 1), (3, 3), (1, 7), (7, 1), (1, 3), (3, 1)}),
        ("inception_v4", 0, {(1, 1), (3, 3)}),
        ("inception_v4", 1, {(1, 1), (3, 3), (1, 7), (7, 1)}),
        ("inception_resnet_v1", 2, {(1, 1), (3, 3), (1, 3), (3, 1)}),
    ],
)
def test_large_kernels_are_taken_apart(name: str, stage: int, kernels: set[tuple[int, int]]) -> None:
    found = {m.kernel_size for m in skeleton(name).stages[stage].modules() if isinstance(m, nn.Conv2d)}
    assert found == kernels


def test_a_1x7_and_a_7x1_cost_two_sevenths_of_a_7x7() -> None:
    pair = nn.Sequential(ConvNorm(8, 8, (1, 7)), ConvNorm(8, 8, (7, 1)))
    weights = sum(m.weight.numel() for m in pair.modules() if isinstance(m, nn.Conv2d))
    assert weights / (7 * 7 * 8 * 8) == pytest.approx(2 / 7)
    assert pair(torch.zeros(1, 8, 9, 11)).shape == (1, 8, 9, 11)


@torch.no_grad()
def test_residuals_are_scaled_before_they_are_added() -> None:
    branches = Branches(one=ConvNorm(6, 4, activation=None), two=ConvNorm(6, 5, activation=None)).eval()
    block, x = ResidualInception(branches, 9, 6, 0.17), torch.randn(2, 6, 5, 5)
    made = F.conv2d(torch.cat([block.branches.one(x), block.branches.two(x)], 1), block.mix.weight, block.mix.bias)  # type: ignore[operator]
    torch.testing.assert_close(block(x), (x + 0.17 * made).relu())
    last = ResidualInception(branches, 9, 6, 1.0, last=True)
    last.mix = block.mix
    torch.testing.assert_close(last(x), x + made)


@pytest.mark.parametrize("name", ["inception_resnet_v1", "inception_resnet_v2"])
def test_the_scales_are_those_of_the_paper(name: str) -> None:
    for stage, scale in zip(skeleton(name).stages, SCALES, strict=True):
        blocks = [block for block in stage if isinstance(block, ResidualInception)]  # type: ignore[union-attr]
        assert {block.scale for block in blocks[:-1]} == {scale}
        assert 0.1 <= scale <= 0.3


def test_the_auxiliary_classifier_of_v3_sits_on_the_second_stage_and_only_in_training() -> None:
    model = lenext.create("inception_v3", classes=4, size=80).eval()
    seen: list[Tensor] = []
    (classifier,) = model.get_submodule("auxiliary").children()
    assert isinstance(classifier, AuxiliaryClassifier)
    classifier.register_forward_hook(lambda _m, inputs, _o: seen.append(inputs[0]))
    x = torch.randn(2, 3, 80, 80)
    with torch.no_grad():
        model(x)
        assert not seen
        logits, (extra,) = model.forward_train(x)
        assert torch.equal(seen[0], model.features(x)[1])
    assert logits.shape == extra.shape == (2, 4)
    assert model.training_only == ("auxiliary",)
    assert len(lenext.create("inception_v3", auxiliary=False, classes=4, size=80).forward_train(x)[1]) == 0
    assert sum(p.numel() for p in skeleton("inception_v3").parameters()) == 27_161_264


@torch.no_grad()
def test_the_auxiliary_pool_of_v3_is_that_of_the_paper_at_299_pixels() -> None:
    classifier, x = AuxiliaryClassifier(3).eval(), torch.randn(1, 768, 17, 17)
    shapes = [shape for _, module, shape in steps(classifier, x) if isinstance(module, nn.Conv2d)]
    assert shapes == [(128, 5, 5), (768, 1, 1)]
    pooled = classifier.conv2(classifier.conv1(F.avg_pool2d(x, 5, 3)))
    torch.testing.assert_close(classifier(x), classifier.classifier(pooled.flatten(1)))


def test_published_costs_grow_with_the_versions() -> None:
    params = [lenext.models.lookup(f"inception_{name}").facts.params for name in ("resnet_v1", "v3", "v4", "resnet_v2")]
    assert params == sorted(params)


def test_pools_and_last_activations_are_as_printed() -> None:
    pools = [m for m in skeleton("bn_inception").stages.modules() if isinstance(m, nn.MaxPool2d | nn.AvgPool2d)]
    kinds = "".join("a" if isinstance(pool, nn.AvgPool2d) else "m" for pool in pools)
    assert kinds == "aa" + "maaaa" + "mam"
    for name in ("inception_resnet_v1", "inception_resnet_v2"):
        *others, last = [m for m in skeleton(name).modules() if isinstance(m, ResidualInception)]
        assert isinstance(last.activation, nn.Identity)
        assert all(isinstance(block.activation, nn.ReLU) for block in others)


# Every dropout that is not 0, of a net at its own settings: the path's end and the rate.
DROPOUTS = {
    "bn_inception": [],
    "inception_v3": [("head.dropout", 0.5)],
    "inception_v4": [("head.dropout", 0.2)],
    "inception_resnet_v1": [("head.dropout", 0.2)],
    "inception_resnet_v2": [("head.dropout", 0.2)],
    "highway19": [
        ("stem.dropout", 0.2), ("stages.1.dropout", 0.2), ("stages.2.dropout", 0.2), ("head.dropout", 0.2),
    ],
    "prelunet_a": [("head.dropout1", 0.5), ("head.dropout2", 0.5)],
    "resnet50": [],
    "densenet121": [],
    "mobilenet_v1": [("head.dropout", 0.001)],
    "mobilenet_v2": [("head.dropout", 0.2)],
    "mobilenet_v3_large": [("head.dropout", 0.2)],
    "efficientnet_b0": [("head.dropout", 0.2)],
    "efficientnet_b2": [("head.dropout", 0.3)],
    "efficientnet_b4": [("head.dropout", 0.4)],
    "efficientnet_b7": [("head.dropout", 0.5)],
    "convnext_tiny": [],
}  # fmt: skip


@pytest.mark.parametrize("name", DROPOUTS)
def test_dropout_is_where_and_as_often_as_published(name: str) -> None:
    found = [(path, m.p) for path, m in skeleton(name).named_modules() if isinstance(m, nn.Dropout) and m.p]
    assert found == DROPOUTS[name]
