from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
import torch
from skeletons import reduced
from torch import Tensor, nn
from torch.nn import functional as F

import lenext
from lenext.cost.profile import _run, _run_on_meta
from lenext.models import lookup

NAMES = lenext.list_models()


@pytest.mark.parametrize("name", NAMES)
def test_totals_are_those_of_the_facts(name: str) -> None:
    facts = lookup(name).facts
    cost = lenext.profile(name)
    assert (cost.total.params, cost.total.macs) == (facts.params, facts.macs)
    assert cost.input == (1, facts.channels, facts.size, facts.size)
    assert not [row for row in cost.rows if row.uncounted]
    sums = [sum(getattr(row, figure) for row in cost.rows) for figure in ("params", "macs", "activations")]
    assert sums == [cost.total.params, cost.total.macs, cost.total.activations]


@pytest.mark.parametrize(
    ("name", "options"),
    [pytest.param(name, reduced(name), id=name) for name in NAMES]
    + [pytest.param(name, {}, id=f"{name}-full", marks=pytest.mark.full) for name in NAMES if reduced(name)],
)
def test_a_batch_of_none_and_an_image_on_the_meta_device_agree(name: str, options: dict[str, Any]) -> None:
    facts = lookup(name).facts
    model = lenext.create(name, size=facts.smallest, classes=3, **options)
    shape = (facts.channels, facts.smallest, facts.smallest)
    (empty, missed), (meta, missed_on_meta) = _run(model, shape), _run_on_meta(model, shape)
    assert empty.rows == meta.rows
    assert missed == missed_on_meta


# fvcore counts batch norm at two operations an element, and average pools, among its "flops", which are
# multiply-adds; of operations that both count, the figures are the same.
BOTH = ("conv", "linear", "matmul")


@pytest.mark.parametrize(
    ("name", "size"),
    [("vgg11", 64), ("vgg11_bn", (64, 96)), ("googlenet", 95), ("googlenet_bn", 64), ("nin_cifar", 40),
     ("nin_imagenet", 100), ("alexnet", 100), ("alexnet_2012", 100), ("zfnet", 99), ("overfeat_fast", 101),
     ("lenet5", 36), ("lenet5_sigmoid", 28), ("mlp", 9)],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore")
def test_fvcore_agrees_where_it_counts_the_same(name: str, size: int | tuple[int, int]) -> None:
    from fvcore.nn import FlopCountAnalysis

    model = lenext.create(name, classes=10, size=size).eval()
    cost = lenext.profile(name, classes=10, size=size)
    analysis = FlopCountAnalysis(model, torch.zeros(1, *cost.input[1:]))
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    counted = analysis.by_operator()
    assert sum(counted[operation] for operation in BOTH) == cost.total.macs
    assert set(counted) - set(BOTH) <= {"batch_norm", "adaptive_avg_pool2d"}


@pytest.mark.filterwarnings("ignore")
def test_fvcore_counts_kernels_that_the_connection_table_leaves_out() -> None:
    from fvcore.nn import FlopCountAnalysis

    analysis = FlopCountAnalysis(lenext.create("lenet5_1998").eval(), torch.zeros(1, 1, 32, 32))
    analysis.unsupported_ops_warnings(False)
    absent = (6 * 16 - 60) * 25 * 10 * 10  # kernels of 5x5 at 10x10 places
    assert analysis.total() - lenext.profile("lenet5_1998").total.macs == absent


def test_widening_a_layer_changes_the_totals() -> None:
    model = lenext.create("vgg11", size=32, classes=10)
    before = lenext.profile(model).total
    first = model.get_submodule("stages.0.conv1")
    first.conv = nn.Conv2d(3, 65, 3, padding=1)
    second = model.get_submodule("stages.1.conv1")
    second.conv = nn.Conv2d(65, 128, 3, padding=1)
    after = lenext.profile(model).total
    assert after.params - before.params == 27 + 1 + 9 * 128
    assert after.macs - before.macs == 27 * 32 * 32 + 9 * 128 * 16 * 16
    assert after.activations - before.activations == 32 * 32 + 16 * 16  # the convolution's map and the pool's


class Odd(nn.Module):
    """What people write: functions in place of modules, a view, a weight of its own, a layer that is not used."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.weight = nn.Parameter(torch.randn(8, 5))
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.dense = nn.Linear(8 * 4 * 4, 6)
        self.unused = nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.norm(self.conv(x))), 2)
        tokens = x.flatten(2).transpose(1, 2)
        tokens = self.attention(tokens, tokens, tokens)[0] @ self.weight
        pooled = F.adaptive_avg_pool2d(x, 4).view(x.size(0), -1)
        return F.linear(pooled, self.dense.weight, self.dense.bias) + tokens.mean()


def test_any_module_is_counted_and_what_is_not_known_is_named() -> None:
    cost = lenext.profile(Odd(), size=16)
    rows = {(row.path, row.kind): row for row in cost.rows}
    assert rows["conv", "Conv2d"].macs == 16 * 16 * 8 * 27
    assert rows["", "max_pool2d"].output == (8, 8, 8)
    assert rows["", "max_pool2d"].receptive_field == 4
    assert rows["", "matmul"].macs == 64 * 8 * 5
    assert rows["", "linear"].macs == 128 * 6
    assert rows["attention", "multi_head_attention_forward"].uncounted == ("multi_head_attention_forward",)
    assert cost.total.params == sum(p.numel() for p in Odd().parameters()) - 20
    assert cost.not_run == (("unused", 20),)
    (named,) = cost.fields()["uncounted"]
    assert named["operations"] == ["multi_head_attention_forward"]


class Folded(nn.Module):
    """A dense layer on every pixel, with the batch folded into the pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Linear(3, 7)

    def forward(self, x: Tensor) -> Tensor:
        pixels: Tensor = self.dense(x.permute(0, 2, 3, 1).reshape(-1, 3))
        return pixels


class Stranger(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.sigmoid() * x


class Constant(nn.Module):
    """A tensor that is neither parameter nor buffer, and so stays where it is."""

    def __init__(self) -> None:
        super().__init__()
        self.mean = torch.zeros(3, 1, 1)
        self.conv = nn.Conv2d(3, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv(x - self.mean)
        return out


class Patches(nn.Module):
    """A convolution on the four quarters of an image, which stand in the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        quarters = x.unfold(2, 4, 4).unfold(3, 4, 4).permute(0, 2, 3, 1, 4, 5).reshape(-1, 3, 4, 4)
        out: Tensor = self.conv(quarters)
        return out


class Flat(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(3, 5, 3)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv(x.flatten(2))
        return out


@pytest.mark.parametrize(
    ("model", "macs"),
    [
        (Folded(), 8 * 8 * 21),
        (Constant(), 8 * 8 * 6),
        (nn.Conv2d(3, 4, 3, groups=1), 36 * 108),
        (nn.ConvTranspose2d(3, 4, 2, 2), 64 * 48),
        (nn.Sequential(nn.Conv2d(6, 4, 1, groups=2)), 64 * 12),
        (nn.Linear(8, 5), 3 * 8 * 40),
        (Patches(), 4 * 4 * 4 * 108),
        (Flat(), 62 * 45),
    ],
)
def test_macs_of_other_modules(model: nn.Module, macs: int) -> None:
    assert lenext.profile(model, size=8).total.macs == macs


def test_a_leaf_of_a_class_that_is_not_known_has_a_row() -> None:
    cost = lenext.profile(nn.Sequential(nn.Conv2d(3, 4, 1), Stranger()), size=8)
    assert [(row.path, row.kind, row.macs) for row in cost.rows] == [("0", "Conv2d", 768), ("1", "Stranger", 0)]


def test_a_shared_layer_works_twice_and_weighs_once() -> None:
    conv = nn.Conv2d(3, 3, 3, padding=1)
    cost = lenext.profile(nn.Sequential(conv, nn.ReLU(), conv), size=8)
    assert [row.params for row in cost.rows] == [84, 0]
    assert [row.macs for row in cost.rows] == [81 * 64, 81 * 64]


def test_the_module_is_left_as_it_was() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout())
    model.train()
    model[1].eval()
    before = {name: (id(p), p.clone(), p.requires_grad) for name, p in model.named_parameters()}
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    lenext.profile(model, size=9, batch=4)
    with pytest.raises(lenext.UserError):
        lenext.profile(model, size=1)
    assert [module.training for module in model] == [True, False, True]
    for name, parameter in model.named_parameters():
        assert (id(parameter), parameter.requires_grad) == (before[name][0], before[name][2])
        assert torch.equal(parameter, before[name][1])
    for name, buffer in model.named_buffers():
        assert torch.equal(buffer, buffers[name])
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_bytes_follow_the_kind_of_number() -> None:
    model = nn.Conv2d(3, 4, 3)
    single, double = (lenext.profile(m, size=8, batch=2).total for m in (model, nn.Conv2d(3, 4, 3).double()))
    assert (single.parameter_bytes, double.parameter_bytes) == (4 * 112, 8 * 112)
    assert single.activation_bytes == 2 * 4 * (4 * 36)
    assert double.activation_bytes == 2 * single.activation_bytes
    assert single.training_activation_bytes == 2 * single.activation_bytes
    assert single.flops == 2 * 2 * single.macs
    assert single.training_bytes["sgd"] == single.training_activation_bytes + 2 * 4 * 112


def test_auxiliary_classifiers_are_told_but_not_counted() -> None:
    cost = lenext.profile("googlenet")
    assert sum(params for _, params in cost.not_run) == sum(
        parameter.numel()
        for name, parameter in lenext.create("googlenet").named_parameters()
        if name.startswith("stages.1.auxiliary")
    )
    assert lenext.profile("googlenet", auxiliary=False).not_run == ()
    assert lenext.profile("googlenet", auxiliary=False).total == cost.total


def test_json_and_csv() -> None:
    cost = lenext.profile("lenet5", batch=3)
    value = json.loads(cost.to_json())
    assert value["schema"] == 1
    assert value["input"] == [3, 1, 28, 28]
    assert value["layers"][0] == {
        "path": "stages.0.conv", "kind": "Conv2d", "output": [6, 28, 28], "params": 156, "macs": 117_600,
        "activations": 4704, "parameter_bytes": 624, "receptive_field": 5, "stride": 1, "offset": -2,
        "batch": {"flops": 705_600, "activation_bytes": 56_448, "training_activation_bytes": 112_896},
    }  # fmt: skip
    assert [group["path"] for group in value["groups"]] == ["stages.0", "stages.1", "head"]
    assert sum(group["macs"] for group in value["groups"]) == value["total"]["macs"] == 416_520
    assert value["groups"][1]["output"] == [16, 10, 10]
    rows = list(csv.DictReader(io.StringIO(cost.to_csv())))
    assert [row["path"] for row in rows] == [layer["path"] for layer in value["layers"]]
    assert rows[0]["output"] == "6x28x28"
    assert sum(int(row["params"]) for row in rows) == 61_706


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: lenext.profile("vgg16", batch=0), "batch 0 is not a whole number above zero"),
        (lambda: lenext.profile("vgg16", batch=-3), "batch -3 is not"),
        (lambda: lenext.profile("vgg16", batch=True), "batch True is not"),
        (lambda: lenext.profile("vgg16", classes=0), "classes 0 is not a whole number above zero"),
        (lambda: lenext.profile("vgg16", size=31), "image side 31 < 32, the smallest for vgg16"),
        (lambda: lenext.profile("vgg17"), "no model is called 'vgg17'; did you mean vgg1"),
        (lambda: lenext.profile(nn.Module()), "Module has no forward"),
        (lambda: lenext.profile(nn.ModuleList()), "ModuleList has no forward"),
        (lambda: lenext.profile(3), "3 is neither the name of a model nor a torch module"),  # type: ignore[arg-type]
        (lambda: lenext.profile(nn.Linear(5, 5)), "Linear cannot be run on an image of 3x224x224"),
        (lambda: lenext.profile(nn.Linear(5, 5), classes=3), "classes cannot be given with a module that is built"),
        (lambda: lenext.profile(lenext.create("lenet5"), size=32), "dense layers were built for 16x5x5"),
        (lambda: lenext.profile(nn.LazyConv2d(5, 3)), "has layers without a size yet; run it once"),
        (lambda: lenext.profile(torch.jit.script(nn.ReLU())), "holds a scripted module"),
        (lambda: lenext.profile(nn.ReLU(), size=8.5), "size 8.5 is not a side"),  # type: ignore[arg-type]
        (lambda: lenext.profile(nn.ReLU(), in_channels=0), "in_channels 0 is not a whole number"),
        (lambda: lenext.profile(lenext.create("lenet5"), in_channels=3), "this lenet5 takes 1"),
        (lambda: lenext.profile(lenext.create("lenet5"), size=4), "image side 4 < 12, the smallest for lenet5"),
    ],
)
def test_what_cannot_be_profiled_is_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(lenext.UserError, match=message):
        call()


def test_a_skeleton_has_shapes_and_no_memory() -> None:
    from lenext.models.skeleton import Skeleton

    with Skeleton():
        model = lenext.create("vgg19")
    weight = model.get_parameter("head.dense.0.weight")
    assert weight.shape == (4096, 25088)
    assert weight.untyped_storage().nbytes() <= 16
    state = torch.random.get_rng_state()
    lenext.profile("vgg19")
    assert torch.equal(torch.random.get_rng_state(), state)
