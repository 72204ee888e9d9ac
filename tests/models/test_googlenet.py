"""GoogLeNet against the paper's table 1, and its auxiliary classifiers."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from pictures import class_folder
from skeletons import blank, skeleton, steps
from torch import nn

import lenext
from lenext.models.blocks import ConvReLU
from lenext.models.googlenet import AuxiliaryClassifier, GoogLeNet, Inception, InceptionStage, NaiveInception
from lenext.weights.loading import answering, load_strictly
from lenext.weights.model_file import read_model_file

NAMES = ["googlenet", "googlenet_bn"]


@pytest.mark.parametrize("name", NAMES)
def test_the_maps_are_those_of_the_table(name: str) -> None:
    """The pools round up: rounding down, 112 px would give 55."""
    model, x = skeleton(name), blank(name)
    stem = [shape for path, module, shape in steps(model.stem, x) if isinstance(module, nn.Conv2d | nn.MaxPool2d)]
    assert stem == [(64, 112, 112), (64, 56, 56), (64, 56, 56), (192, 56, 56), (192, 28, 28)]
    x, found = model.stem(x), []
    for stage in model.stages:
        assert isinstance(stage, InceptionStage)
        x = stage.pool(x)
        for block in stage.blocks:
            x = block(x)
            found.append(tuple(x.shape[1:]))
    assert found == [
        (256, 28, 28), (480, 28, 28),
        (512, 14, 14), (512, 14, 14), (512, 14, 14), (528, 14, 14), (832, 14, 14),
        (832, 7, 7), (1024, 7, 7),
    ]  # fmt: skip
    assert model.embed(blank(name)).shape == (2, 1024)


def test_the_first_module_has_the_weights_of_the_table() -> None:
    """159 K, in units of 1,024 and without biases."""
    module = Inception(192, 64, (96, 128), (16, 32), 32)
    assert sum(p.numel() for p in module.parameters() if p.ndim > 1) // 1024 == 159


def test_reducing_saves_nine_tenths_of_the_first_5x5_branch() -> None:
    """Lecture notes 004: 153,600 weights as in figure 2a, 15,872 with the 1x1 convolution before."""
    naive, reduced = NaiveInception(192, 64, 128, 32), Inception(192, 64, (96, 128), (16, 32), 32)
    assert sum(p.numel() for p in naive.five.parameters() if p.ndim > 1) == 153_600
    assert sum(p.numel() for p in reduced.five.parameters() if p.ndim > 1) == 15_872


@torch.no_grad()
def test_a_module_stacks_its_four_branches() -> None:
    module, x = Inception(12, 4, (3, 5), (2, 6), 7), torch.randn(2, 12, 9, 9)
    one, three, five, pool = module(x).split([4, 5, 6, 7], 1)
    torch.testing.assert_close(one, module.one(x))
    torch.testing.assert_close(three, module.three(x))
    torch.testing.assert_close(five, module.five(x))
    torch.testing.assert_close(pool, module.pool(x))
    assert module.channels == 22
    changed = x.clone()
    changed[:, :, 4, 4] += 10
    reach = [((module(changed) - module(x))[:, part].abs().sum((0, 1)) > 0).nonzero() for part in (
        slice(0, 4), slice(4, 9), slice(9, 15), slice(15, 22),
    )]  # fmt: skip
    assert [(int(found.min()), int(found.max())) for found in reach] == [(4, 4), (3, 5), (2, 6), (3, 5)]


@torch.no_grad()
def test_a_naive_module_passes_every_map_of_its_input_on() -> None:
    module, x = NaiveInception(12, 4, 5, 6), torch.randn(2, 12, 9, 9)
    *_, pool = module(x).split([4, 5, 6, 12], 1)
    torch.testing.assert_close(pool, nn.functional.max_pool2d(x, 3, 1, 1))
    assert module.channels == module(x).shape[1] == 27


def test_the_batch_normalised_form_has_no_biases_and_3x3_for_5x5() -> None:
    convolutions = {
        name: [module for module in skeleton(name).modules() if isinstance(module, nn.Conv2d)] for name in NAMES
    }
    assert {conv.bias is None for conv in convolutions["googlenet_bn"]} == {True}
    assert {conv.bias is None for conv in convolutions["googlenet"]} == {False}
    sides = {name: [conv.kernel_size[0] for conv in found] for name, found in convolutions.items()}
    assert [sides[name].count(5) for name in NAMES] == [9, 0]
    assert [sides[name].count(3) for name in NAMES] == [10, 19]


def test_the_published_form_normalises_responses_twice() -> None:
    """Table 1 leaves the norms out; figure 3: after the first pool, and before the second."""
    order = [type(module) for _, module, _ in steps(skeleton("googlenet").stem, blank("googlenet"))]
    assert order == [
        nn.Conv2d, nn.ReLU, nn.MaxPool2d, nn.LocalResponseNorm,
        nn.Conv2d, nn.ReLU, nn.Conv2d, nn.ReLU, nn.LocalResponseNorm, nn.MaxPool2d,
    ]  # fmt: skip


def test_dropout_is_the_papers() -> None:
    """40 % before the last layer, 70 % in the auxiliary classifiers; torchvision's form has 20 %."""
    rates = {
        name: {path: module.p for path, module in skeleton(name).named_modules() if isinstance(module, nn.Dropout)}
        for name in NAMES
    }
    places = ["stages.1.auxiliary.0.dropout", "stages.1.auxiliary.3.dropout", "head.dropout"]
    assert rates == {
        "googlenet": dict(zip(places, (0.7, 0.7, 0.4), strict=True)),
        "googlenet_bn": dict(zip(places, (0.7, 0.7, 0.2), strict=True)),
    }
    for name in NAMES:
        assert skeleton(name, dropout=0.1).get_submodule("head.dropout").p == 0.1


def test_parameters_with_auxiliary_classifiers() -> None:
    """Torchvision's count, and as published with biases in place of norms."""
    assert sum(p.numel() for p in skeleton("googlenet_bn").parameters()) == 13_004_888
    auxiliary = [512 * 128 + 128, 528 * 128 + 128, *[2048 * 1024 + 1024, 1024 * 1000 + 1000] * 2]
    assert sum(p.numel() for p in skeleton("googlenet").parameters()) == 6_998_552 + sum(auxiliary)


@torch.no_grad()
def test_an_auxiliary_classifier_pools_windows_of_five() -> None:
    """Section 5: 5x5 with stride 3 makes 4x4 of 14x14."""
    classifier = AuxiliaryClassifier(3, 2, conv=ConvReLU, windows=True).eval()
    seen = []
    classifier.conv.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    x = torch.randn(1, 3, 14, 14)
    assert classifier(x).shape == (1, 2)
    assert seen[0].shape == (1, 3, 4, 4)
    torch.testing.assert_close(seen[0][0, 1, 2, 3], x[0, 1, 6:11, 9:14].mean())


@torch.no_grad()
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("side", [32, 64, 96])
def test_training_brings_two_more_answers_at_any_size(name: str, side: int) -> None:
    model = lenext.create(name, classes=5)
    logits, auxiliary = model.forward_train(torch.randn(2, 3, side, side))
    assert [tuple(each.shape) for each in (logits, *auxiliary)] == [(2, 5)] * 3
    assert not torch.equal(auxiliary[0], auxiliary[1])


@torch.no_grad()
def test_auxiliary_classifiers_stand_after_4a_and_4d() -> None:
    model, x = lenext.create("googlenet", classes=2).eval(), torch.randn(2, 3, 64, 64)
    stage = model.stages[1]
    assert isinstance(stage, InceptionStage)
    maps, expected = stage.pool(model.stages[0](model.stem(x))), []
    for block, module in zip("abcde", stage.blocks, strict=True):
        maps = module(maps)
        if block in "ad":
            expected.append(stage.auxiliary["0" if block == "a" else "3"](maps))
    torch.testing.assert_close(model.forward_train(x)[1], expected)


@torch.no_grad()
@pytest.mark.parametrize("name", NAMES)
def test_without_auxiliary_classifiers_it_answers_alone(name: str) -> None:
    model = skeleton(name, auxiliary=False)
    assert isinstance(model, GoogLeNet)
    assert sum(p.numel() for p in model.parameters()) == lenext.models.lookup(name).facts.params
    assert model.forward_train(blank(name))[1] == []
    model.drop_training_only()
    assert model(blank(name)).shape == (2, 1000)


@torch.no_grad()
@pytest.mark.parametrize("name", NAMES)
def test_dropped_auxiliary_classifiers_leave_the_answer_as_it_is(name: str) -> None:
    model, x = lenext.create(name, classes=3).eval(), torch.randn(2, 3, 64, 64)
    bare = copy.deepcopy(model)
    bare.drop_training_only()
    assert torch.equal(bare(x), model(x))
    assert bare.forward_train(x)[1] == []
    gone = model.state_dict().keys() - bare.state_dict().keys()
    assert gone
    assert all(path.startswith(model.training_only) for path in gone)
    assert [path for path in bare.state_dict() if "auxiliary" in path] == []


def test_weights_without_auxiliary_classifiers_fit_and_leave_these_as_drawn() -> None:
    source, model = (lenext.create("googlenet_bn", classes=3) for _ in range(2))
    before = copy.deepcopy(model.state_dict())
    tensors = answering(source, source.state_dict())
    load_strictly(model, tensors, where="file")
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, (before if ".auxiliary." in name else source.state_dict())[name]), name
    assert len(tensors) < len(before)


def test_no_other_tensor_may_be_missing_and_none_may_be_too_much() -> None:
    model = lenext.create("googlenet_bn", classes=3)
    tensors = answering(model, model.state_dict())
    fewer = {name: tensor for name, tensor in tensors.items() if name != "head.classifier.bias"}
    with pytest.raises(lenext.UserError, match=r"does not fit GoogLeNet: -head\.classifier\.bias $"):
        load_strictly(model, fewer, where="file")
    with pytest.raises(lenext.UserError, match=r"\+stages\.1\.auxiliary\.1\.bias"):
        load_strictly(model, {**tensors, "stages.1.auxiliary.1.bias": torch.zeros(1)}, where="file")
    with pytest.raises(lenext.UserError, match=r"stages\.1\.auxiliary\.0\.classifier\.bias is 4, not 3"):
        load_strictly(
            model, {**model.state_dict(), "stages.1.auxiliary.0.classifier.bias": torch.zeros(4)}, where="file"
        )


def test_a_run_keeps_no_auxiliary_classifier_and_another_starts_from_it(tmp_path: Path) -> None:
    photos = class_folder(tmp_path / "photos")
    run = Path(lenext.train(photos, "googlenet_bn", size=32, epochs=1, out=tmp_path / "run").run)
    tensors = read_model_file(run / "model.safetensors").tensors
    assert not [name for name in tensors if "auxiliary" in name]

    classifier = lenext.load(run)
    assert classifier.model.forward_train(torch.zeros(2, 3, 32, 32))[1] == []
    entries = classifier.predict(photos, top=1)
    assert len(entries) == 24
    assert all("predictions" in entry for entry in entries)
    judged = lenext.evaluate(run, photos)
    assert judged.images > 0

    model = lenext.create("googlenet_bn", classes=2, size=32, weights=run)
    for name, tensor in tensors.items():
        assert torch.equal(model.state_dict()[name], tensor), name
    assert len(model.forward_train(torch.zeros(2, 3, 32, 32))[1]) == 2
    kept = {"fit_norms": False, "fit_head": False}  # so that nothing but the rate changes the weights
    again = lenext.train(
        photos, "googlenet_bn", epochs=1, lr=1e-9, weights=run, out=tmp_path / "again", overrides=kept
    ).run
    for name, tensor in read_model_file(Path(again) / "model.safetensors").tensors.items():
        if tensor.is_floating_point() and "running" not in name:
            torch.testing.assert_close(tensor, tensors[name], atol=1e-6, rtol=1e-3)
