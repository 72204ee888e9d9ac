"""Figures of the lecture notes in shared/seeds, each under the number of its note; docs/papers.md has them all."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import lenext
from lenext.cost.cost import Total
from lenext.models.googlenet import Inception, NaiveInception
from lenext.models.heads import DenseHead
from lenext.models.resnet import BasicBlock, Bottleneck

MIB = 2**20


def of(cost: lenext.Cost, *paths: str) -> Total:
    """Return the sum of the rows below `paths`."""
    rows = [row for row in cost.rows if f"{row.path}.".startswith(tuple(f"{path}." for path in paths))]
    assert rows
    return Total.of(rows, cost.batch)


def test_001_shapes_of_lenet() -> None:
    cost = lenext.profile("lenet5", batch=5)
    assert cost.input == (5, 1, 28, 28)
    shapes = [row.output for row in cost.rows]
    assert shapes == [(6, 28, 28), (6, 14, 14), (16, 10, 10), (16, 5, 5), (120,), (84,), (10,)]
    model = lenext.create("lenet5")
    flat = model.head.flatten(model.head.pool(model.features(torch.zeros(5, 1, 28, 28))[-1]))  # type: ignore[operator]
    assert flat.shape == (5, 400)


def test_002_first_dense_layer_of_lenet_without_padding() -> None:
    first = lenext.create("lenet5_valid").get_submodule("head.dense.0")
    assert isinstance(first, nn.Linear)
    assert (first.in_features, first.out_features) == (256, 120)


def test_002_layers_of_alexnet() -> None:
    model = lenext.create("alexnet")
    printed = [repr(module) for module in model.modules() if isinstance(module, nn.Conv2d | nn.MaxPool2d | nn.Linear)]
    assert printed == [
        "Conv2d(3, 64, kernel_size=(11, 11), stride=(4, 4), padding=(2, 2))",
        "MaxPool2d(kernel_size=3, stride=2, padding=0, dilation=1, ceil_mode=False)",
        "Conv2d(64, 192, kernel_size=(5, 5), stride=(1, 1), padding=(2, 2))",
        "MaxPool2d(kernel_size=3, stride=2, padding=0, dilation=1, ceil_mode=False)",
        "Conv2d(192, 384, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))",
        "Conv2d(384, 256, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))",
        "Conv2d(256, 256, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))",
        "MaxPool2d(kernel_size=3, stride=2, padding=0, dilation=1, ceil_mode=False)",
        "Linear(in_features=9216, out_features=4096, bias=True)",
        "Linear(in_features=4096, out_features=4096, bias=True)",
        "Linear(in_features=4096, out_features=1000, bias=True)",
    ]


def test_002_convolutional_form_of_alexnet() -> None:
    torch.manual_seed(0)
    model = lenext.create("alexnet").eval()
    assert isinstance(model.head, DenseHead)
    head = model.head.sliding((13, 13))
    printed = [repr(module) for module in head.modules() if isinstance(module, nn.Conv2d)]
    assert printed == [
        "Conv2d(256, 4096, kernel_size=(6, 6), stride=(1, 1))",
        "Conv2d(4096, 4096, kernel_size=(1, 1), stride=(1, 1))",
        "Conv2d(4096, 1000, kernel_size=(1, 1), stride=(1, 1))",
    ]
    maps = torch.randn(2, 256, 13, 13)
    with torch.no_grad():
        torch.testing.assert_close(head(maps).flatten(1), model.head(maps), rtol=1e-4, atol=1e-5)
        assert head(torch.randn(1, 256, 15, 17)).shape == (1, 1000, 2, 3)


def test_003_input_of_alexnet() -> None:
    assert lenext.profile("alexnet_96", batch=128).input_bytes == 73.5 * MIB


def test_003_first_layer_of_alexnet() -> None:
    cost = lenext.profile("alexnet_96", batch=128)
    first, total = cost.rows[0], of(cost, "stem.conv1")
    assert first.output == (96, 55, 55)
    assert total.params == 34_944
    assert total.flops / 1e9 == pytest.approx(26.98, abs=0.01)
    assert total.training_activation_bytes / MIB == pytest.approx(283.6, abs=0.05)


def test_003_shares_of_alexnet() -> None:
    cost = lenext.profile("alexnet_96")
    dense = of(cost, "head")
    assert 100 * dense.params / cost.total.params == pytest.approx(94.0, abs=0.05)
    assert 100 * (1 - dense.macs / cost.total.macs) == pytest.approx(94.8, abs=0.05)


def test_003_memory_of_alexnet() -> None:
    """Four copies of the weights take more than the activations with gradients, three do not."""
    total = lenext.profile("alexnet_96", batch=128).total
    assert total.training_activation_bytes / MIB == pytest.approx(763, abs=0.5)
    copies = {name: size - total.training_activation_bytes for name, size in total.training_bytes.items()}
    assert copies["adam"] / MIB == pytest.approx(952, abs=0.5)
    assert copies["momentum"] / MIB == pytest.approx(714, abs=0.5)
    assert copies["momentum"] < total.training_activation_bytes < copies["adam"]


@pytest.mark.parametrize(("layers", "side"), [(2, 5), (3, 7), (5, 11)])
def test_000_004_receptive_field_of_3x3_layers(layers: int, side: int) -> None:
    stack = nn.Sequential(*(nn.Conv2d(3, 3, 3) for _ in range(layers)))
    assert lenext.profile(stack, size=32).rows[-1].receptive_field == side


def test_003_first_stage_of_vgg16() -> None:
    cost = lenext.profile("vgg16", batch=128)
    for number in (1, 2):
        assert of(cost, f"stages.0.conv{number}").training_activation_bytes == 3136 * MIB


def test_003_dense_part_of_vgg16() -> None:
    dense = of(lenext.profile("vgg16", batch=128), "head")
    assert dense.params / 1e6 == pytest.approx(123.6, abs=0.05)
    assert dense.flops / 1e9 == pytest.approx(31.65, abs=0.005)


def test_003_vgg16_down_to_28() -> None:
    cost = lenext.profile("vgg16", batch=128)
    total = of(cost, "stages.0", "stages.1", "stages.2", "stages.3.pool")
    kinds = [row.kind for row in cost.rows[:10]]
    assert (kinds.count("Conv2d"), kinds.count("MaxPool2d"), cost.rows[9].output) == (7, 3, (256, 28, 28))
    assert total.flops / 1e12 == pytest.approx(2.390, abs=0.0005)
    assert total.params == 1_735_488
    assert total.training_activation_bytes == 13_132 * MIB


def test_003_stem_of_googlenet() -> None:
    stem = of(lenext.profile("googlenet", batch=128), "stem")
    assert stem.flops / 1e9 == pytest.approx(122.3, abs=0.05)
    assert stem.params == 124_416
    assert stem.training_activation_bytes == 1911 * MIB


def test_003_004_last_layer_of_googlenet() -> None:
    cost = lenext.profile("googlenet", batch=128)
    last = of(cost, "head.classifier")
    assert last.params - 1000 == 1_024_000
    assert last.flops / 1e6 == pytest.approx(262, abs=0.2)
    assert 100 * last.params / cost.total.params == pytest.approx(15, abs=0.5)


def test_003_googlenet() -> None:
    published, batch_norm = (lenext.profile(name, batch=128).total for name in ("googlenet", "googlenet_bn"))
    assert published.params == 6_998_552
    assert published.flops / 1e9 == pytest.approx(405.2, abs=0.05)
    assert batch_norm.flops / 1e9 == pytest.approx(383.6, abs=0.05)


def test_003_memory_of_googlenet_with_one_output_a_module() -> None:
    """The note's 3.3 GB keeps one map an inception module, and four copies of the weights."""
    cost = lenext.profile("googlenet", batch=128)
    modules = [path for path in cost.outputs if path.startswith("stages.") and path.count(".") == 3]
    outside = sum(row.activations for row in cost.rows if ".blocks." not in row.path)
    inside = sum(torch.Size(cost.outputs[path].shape).numel() for path in modules)
    assert len(modules) == 9
    memory = 8 * 128 * (outside + inside) + 4 * cost.total.parameter_bytes
    assert memory / 2**30 == pytest.approx(3.3, abs=0.05)


def test_004_inception_module_naive_and_reduced() -> None:
    naive, reduced = NaiveInception(192, 64, 128, 32), Inception(192, 64, (96, 128), (16, 32), 32)

    def weights(module: nn.Module) -> int:
        return sum(parameter.numel() for parameter in module.parameters() if parameter.ndim == 4)

    assert weights(naive.five) == 153_600
    assert weights(reduced.five) == 15_872
    costs = [lenext.profile(module, size=28, in_channels=192).total for module in (naive, reduced)]
    assert costs[0].macs > 2 * costs[1].macs


def test_004_dense_layer_in_place_of_average_pooling() -> None:
    dense = nn.Sequential(nn.Flatten(), nn.Linear(7 * 7 * 1024, 1024, bias=False, device="meta"))
    assert lenext.profile(dense, size=7, in_channels=1024).total.params == 51_380_224


def test_002_errors_of_ensembles() -> None:
    from lenext.registry import lookup

    errors = {
        (name, error.top5)
        for name in ("vgg16", "googlenet", "prelunet_a", "bn_inception", "resnet152_v1")
        for error in lookup(name).facts.errors
        if "ensemble" in error.protocol
    }
    assert errors == {
        ("vgg16", 7.32), ("vgg16", 6.8), ("googlenet", 6.66), ("prelunet_a", 4.94), ("bn_inception", 4.82),
        ("resnet152_v1", 3.57),
    }  # fmt: skip


def test_002_residual_blocks() -> None:
    """As the note counts, with biases in the 3x3 convolutions and no norms, and as they are."""
    three = nn.Conv2d(64, 64, 3)
    assert 2 * params(three) == 73_856
    assert 2 * params(nn.Conv2d(256, 256, 3)) == 1_180_160
    assert 256 * 64 + params(three) + 64 * 256 == 69_696
    assert [params(block) for block in (BasicBlock(64, 64, 1), BasicBlock(256, 256, 1), Bottleneck(256, 64, 1))] == [
        73_984, 1_180_672, 70_400,
    ]  # fmt: skip


def test_003_a_bottleneck_has_17_c_squared_weights_where_two_3x3_have_18() -> None:
    """For C maps inside and 4C outside; the note says 11."""
    weights = [p.numel() for p in Bottleneck(4 * 32, 32, 1).parameters() if p.ndim == 4]
    assert sum(weights) == 17 * 32**2
    assert sum(p.numel() for p in BasicBlock(32, 32, 1).parameters() if p.ndim == 4) == 18 * 32**2


def test_003_resnext_groups_the_3x3() -> None:
    """The note says that the 1x1 convolutions are grouped."""
    block = lenext.create("resnext50_32x4d", depth=0.1).stages[1][0]  # type: ignore[index]
    assert [conv.conv.groups for conv in (block.conv1, block.conv2, block.conv3)] == [1, 32, 1]


def params(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
