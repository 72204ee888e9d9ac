"""LeNet against the papers, the lecture notes, and arithmetic by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

import lenext
from lenext.models.lenet import (
    C3_INPUTS,
    LeNet1998,
    PartialConv2d,
    RadialBasis,
    ScaledTanh,
    Subsampling,
    output_codes,
)


def test_lenet5_has_the_shapes_of_the_lecture() -> None:
    """Lecture notes 001 (architectures, LeNet): batch of five, padding 2."""
    model = lenext.create("lenet5")
    shapes: list[tuple[int, ...]] = []

    def note(_module: nn.Module, _inputs: object, output: Tensor) -> None:
        shapes.append(tuple(output.shape))

    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.MaxPool2d | nn.Flatten | nn.Linear):
            module.register_forward_hook(note)
    model(torch.zeros(5, 1, 28, 28))
    assert shapes == [
        (5, 6, 28, 28), (5, 6, 14, 14), (5, 16, 10, 10), (5, 16, 5, 5), (5, 400), (5, 120), (5, 84), (5, 10),
    ]  # fmt: skip


def test_lenet5_valid_flattens_256() -> None:
    """Lecture notes 002 (fully convolutional form): without padding the first dense layer is 256 -> 120."""
    first = lenext.create("lenet5_valid").head.get_submodule("dense.0")
    assert isinstance(first, nn.Linear)
    assert (first.in_features, first.out_features) == (256, 120)


def test_the_stages_are_two_resolutions() -> None:
    maps = lenext.create("lenet5").features(torch.zeros(1, 1, 28, 28))
    assert [tuple(m.shape[1:]) for m in maps] == [(6, 28, 28), (16, 10, 10)]


def test_sigmoid_form_has_no_relu_and_no_max_pooling() -> None:
    kinds = {type(module) for module in lenext.create("lenet5_sigmoid").modules()}
    assert nn.Sigmoid in kinds
    assert nn.AvgPool2d in kinds
    assert not kinds & {nn.ReLU, nn.MaxPool2d}


def test_lenet5_1998_has_the_parameters_of_the_paper_layer_by_layer() -> None:
    model = lenext.create("lenet5_1998")
    count = {path: sum(p.numel() for p in model.get_submodule(path).parameters()) for path in (
        "stages.0.conv", "stages.1.pool", "stages.1.conv", "head.pool", "head.dense.0", "head.dense.1",
        "head.classifier",
    )}  # fmt: skip
    assert list(count.values()) == [156, 12, 1516, 32, 48120, 10164, 0]


def test_lenet5_1998_has_340908_connections() -> None:
    """The paper's counts: C1 122,304, S2 5,880, C3 151,600, S4 2,000, C5 48,120, F6 10,164; and 840 fixed ones."""
    model = lenext.create("lenet5_1998")
    connections: list[int] = []

    def note(module: nn.Module, _inputs: object, output: Tensor) -> None:
        places = output[0, 0].numel() if output.ndim == 4 else 1
        if isinstance(module, Subsampling):
            connections.append(output[0].numel() * 5)  # four inputs and the bias
        elif isinstance(module, RadialBasis):
            connections.append(module.codes.numel())
        else:
            connections.append(places * sum(p.numel() for p in module.parameters()))

    for module in model.modules():
        if isinstance(module, nn.Conv2d | PartialConv2d | Subsampling | nn.Linear | RadialBasis):
            module.register_forward_hook(note)
    model(torch.zeros(1, 1, 32, 32))
    assert connections == [122_304, 5_880, 151_600, 2_000, 48_120, 10_164, 840]
    assert sum(connections) == 340_908


def test_the_squashing_function_meets_plus_and_minus_one() -> None:
    values = ScaledTanh()(torch.tensor([-1.0, 0.0, 1.0, 50.0]))
    torch.testing.assert_close(values, torch.tensor([-1.0, 0.0, 1.0, 1.7159]), rtol=0, atol=1e-4)


def test_subsampling_by_hand() -> None:
    layer = Subsampling(2)
    with torch.no_grad():
        layer.coefficient.copy_(torch.tensor([1.0, 0.5]))
        layer.bias.copy_(torch.tensor([0.0, -1.0]))
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0]]).expand(1, 2, 2, 2)
    assert layer(x).flatten().tolist() == [10.0, 4.0]


def test_partial_convolution_is_a_convolution_with_kernels_left_out() -> None:
    torch.manual_seed(0)
    layer = PartialConv2d(C3_INPUTS, 5)
    nn.init.normal_(layer.weight)
    nn.init.normal_(layer.bias)
    x = torch.randn(2, 6, 14, 14)
    pair = 0
    for out, channels in enumerate(C3_INPUTS):
        expected = layer.bias[out].expand(2, 10, 10).clone()
        for channel in channels:
            expected += nn.functional.conv2d(x[:, channel : channel + 1], layer.weight[pair][None, None])[:, 0]
            pair += 1
        torch.testing.assert_close(layer(x)[:, out], expected)


def test_the_connection_table_is_the_papers() -> None:
    assert [len(inputs) for inputs in C3_INPUTS] == [3] * 6 + [4] * 9 + [6]
    assert [sum(channel in inputs for inputs in C3_INPUTS) for channel in range(6)] == [10] * 6


def test_digit_codes_are_bitmaps_and_differ() -> None:
    codes = output_codes(10)
    assert codes.shape == (10, 84)
    assert set(codes.unique().tolist()) == {-1.0, 1.0}
    one = codes[1].reshape(12, 7)
    assert one[9].tolist() == [-1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0], "the foot of the one"
    apart = (codes[:, None] != codes[None]).sum(-1) + 84 * torch.eye(10, dtype=torch.long)
    assert apart.min() >= 6
    assert apart[3, 1] > apart[3, 8], "a 3 looks more like an 8 than like a 1"


@pytest.mark.parametrize("classes", [2, 9, 11, 1000])
def test_other_class_counts_get_codes_that_stay(classes: int) -> None:
    codes = output_codes(classes)
    torch.manual_seed(5)
    assert torch.equal(codes, output_codes(classes))
    assert codes.shape == (classes, 84)
    assert len(codes.unique(dim=0)) == classes


def test_the_output_is_minus_the_squared_distance() -> None:
    layer = RadialBasis(torch.tensor([[1.0, -1.0], [1.0, 1.0]]))
    torch.testing.assert_close(layer(torch.tensor([[2.0, -1.0]])), torch.tensor([[-1.0, -5.0]]))


def test_the_codes_are_not_trained() -> None:
    model = lenext.create("lenet5_1998")
    assert "head.classifier.codes" in model.state_dict()
    assert not [name for name, _ in model.named_parameters() if "codes" in name]


def test_weights_start_within_the_papers_bounds() -> None:
    model = lenext.create("lenet5_1998")
    assert isinstance(model, LeNet1998)
    bounds = {"stages.0.conv": 2.4 / 25, "head.dense.0": 2.4 / 400, "head.dense.1": 2.4 / 120}
    for path, bound in bounds.items():
        largest = model.get_submodule(path).get_parameter("weight").abs().max().item()
        assert 0.9 * bound < largest <= bound
    partial = model.get_submodule("stages.1.conv").get_parameter("weight")
    assert partial[:18].abs().max().item() <= 2.4 / 75 + 1e-7  # six maps of three inputs each
    assert partial[-6:].abs().max().item() <= 2.4 / 150 + 1e-7  # the last map, of all six


def test_the_sigmoid_form_starts_from_xavier_weights() -> None:
    weight = lenext.create("lenet5_sigmoid").get_parameter("head.dense.0.weight")
    assert math.isclose(weight.abs().max().item(), math.sqrt(6 / (400 + 120)), rel_tol=0.02)
