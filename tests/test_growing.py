"""Growing a VGG: what is copied, what is drawn, what the identity passes on, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Answer
from pictures import class_folder
from torch import Tensor
from torch.nn.functional import cross_entropy

import lenext
from lenext.models import ImageClassifier
from lenext.models.vgg import VGG
from lenext.training.run import TrainResult
from lenext.weights.model_file import read_model_file

SMALL: dict[str, Any] = {"classes": 4, "in_channels": 1, "size": 32}
# The first four convolutions, which the paper copies, by their stage and place.
FIRST_FOUR = {
    "vgg11": {(0, 1), (1, 1), (2, 1), (2, 2)},
    "vgg13": {(0, 1), (0, 2), (1, 1), (1, 2)},
}


def shaken(name: str, **options: Any) -> VGG:
    """A small VGG whose biases, norms and counters are not what every model starts with."""
    torch.manual_seed(0)
    model = lenext.create(name, **{**SMALL, **options})
    assert isinstance(model, VGG)
    with torch.no_grad():
        for path, tensor in model.state_dict().items():
            if path.endswith("num_batches_tracked"):
                tensor += 7
            elif tensor.ndim == 1:
                tensor += 0.1 * torch.rand_like(tensor)
    return model


def state(model: ImageClassifier) -> dict[str, Tensor]:
    return {path: tensor.clone() for path, tensor in model.state_dict().items()}


def images(dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(6, 1, 32, 32, generator=torch.Generator().manual_seed(1)).to(dtype)


LABELS = torch.arange(6) % 4


@pytest.mark.parametrize(
    ("name", "to"), [("vgg11", "vgg13"), ("vgg11", "vgg19"), ("vgg11", "vgg16_c"), ("vgg11_bn", "vgg16_bn"),
                     ("vgg13", "vgg16"), ("vgg16_c", "vgg19")],
)  # fmt: skip
def test_the_paper_copies_four_convolutions_and_the_dense_layers(name: str, to: str) -> None:
    model = shaken(name)
    before = state(model)
    grown = lenext.grow(model, to)
    places = FIRST_FOUR["vgg11" if name.startswith("vgg11") else "vgg13"]
    copied = tuple(f"stages.{stage}.conv{place}." for stage, place in places)
    count = 0
    for path, tensor in grown.state_dict().items():
        if path.startswith((*copied, "head.")):
            assert torch.equal(tensor, before[path]), path
            count += 1
        elif path.endswith("conv.weight"):
            assert path not in before or not torch.equal(tensor, before[path]), path
            assert tensor.std() == pytest.approx((2 / tensor[0].numel()) ** 0.5, rel=0.1)  # drawn anew, as He et al.
        elif path.endswith("conv.bias"):
            assert not tensor.any()
    assert count == 6 + 4 * (7 if "bn" in name else 2)
    for path, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[path]), path


@pytest.mark.parametrize(("name", "to"), [("vgg11", "vgg13"), ("vgg11", "vgg16_c"), ("vgg13", "vgg16_c")])
def test_the_identity_copies_every_layer_and_answers_the_same(name: str, to: str) -> None:
    model = shaken(name)
    before = state(model)
    grown = lenext.grow(model, to, how="identity")
    for path, tensor in before.items():
        assert torch.equal(grown.state_dict()[path], tensor), path
        assert torch.equal(model.state_dict()[path], tensor), path
    for mode in (False, True):
        losses = []
        for net in (model.train(mode), grown.train(mode)):
            torch.manual_seed(3)  # the same units are dropped
            losses.append(cross_entropy(net(images()), LABELS).item())
        assert losses[1] == pytest.approx(losses[0], abs=1e-5)
    torch.testing.assert_close(grown.eval()(images()), model.eval()(images()), rtol=1e-5, atol=1e-5)


def test_growing_step_by_step_ends_as_growing_at_once() -> None:
    model = shaken("vgg11").eval()
    grown: ImageClassifier = model
    for to in ("vgg13", "vgg16", "vgg19"):
        grown = lenext.grow(grown, to, how="identity")
        torch.testing.assert_close(grown(images()), model(images()), rtol=1e-5, atol=1e-5)
    assert grown.spec is not None
    assert grown.spec.name == "vgg19"
    at_once = lenext.grow(model, "vgg19", how="identity").state_dict()
    for path, tensor in grown.state_dict().items():
        assert torch.equal(tensor, at_once[path]), path


def test_layers_that_started_as_the_identity_learn() -> None:
    grown = lenext.grow(shaken("vgg11"), "vgg19", how="identity").train()
    before = state(grown)
    optimiser = torch.optim.SGD(grown.parameters(), lr=0.01)
    cross_entropy(grown(images()), LABELS).backward()
    optimiser.step()
    for path, parameter in grown.named_parameters():
        assert parameter.grad is not None
        assert not torch.equal(parameter, before[path]), path


def test_what_the_model_is_stays() -> None:
    model = shaken("vgg11", dropout=0.25, init="glorot", size=(32, 64)).double().eval()
    for how in ("paper", "identity"):
        grown = lenext.grow(model, "vgg13", how=how)  # type: ignore[arg-type]
        assert grown.spec is not None
        assert model.spec is not None
        assert grown.spec == type(model.spec)("vgg13", 4, 1, (32, 64), {"dropout": 0.25, "init": "glorot"})
        assert not grown.training
        assert not any(module.training for module in grown.modules())
        assert {tensor.dtype for tensor in grown.state_dict().values()} == {torch.float64}
        for path in ("head.dense.0.weight", "stages.0.conv1.conv.weight"):  # float64 all the way, so to the last bit
            assert torch.equal(grown.state_dict()[path], model.state_dict()[path])
        assert grown.train().training
    assert lenext.grow(model.train(), "vgg13").training


@pytest.mark.parametrize(
    ("name", "to", "how", "message"),
    [
        ("vgg11", "vgg13", "magic", "nothing grows by 'magic'; give paper or identity"),
        ("lenet5", "vgg13", "paper", "a lenet5 cannot grow; give a VGG"),
        ("vgg11", "alexnet", "paper", "vgg11 cannot grow into alexnet; give a deeper VGG"),
        ("vgg11", "vgg12", "paper", "no model is called 'vgg12'; did you mean"),
        ("vgg11", "vgg11", "identity", "vgg11 is not deeper than vgg11"),
        ("vgg16", "vgg13", "paper", "vgg13 is not deeper than vgg16"),
        ("vgg16_c", "vgg16", "paper", "vgg16 is not deeper than vgg16_c"),
        ("vgg16_c", "vgg19", "identity", "vgg16_c and vgg19 differ in the kernels"),
        ("vgg11", "vgg13_bn", "paper", "vgg11 and vgg13_bn differ in their norms"),
        ("vgg11_lrn", "vgg13", "paper", "vgg11_lrn and vgg13 differ in their norms"),
        ("vgg11_bn", "vgg13_bn", "identity", "vgg11_bn is batch-normalised: .* grow it by 'paper'"),
    ],
)
def test_what_cannot_grow_is_refused(name: str, to: str, how: Any, message: str) -> None:
    model = lenext.create(name, **SMALL)
    with pytest.raises(lenext.UserError, match=message):
        lenext.grow(model, to, how=how)


def test_a_model_built_by_hand_is_refused() -> None:
    model = VGG(kernels=((3,),) * 5, size=(32, 32), classes=2)
    with pytest.raises(lenext.UserError, match="a VGG that was built by hand cannot grow"):
        lenext.grow(model, "vgg13")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return class_folder(tmp_path_factory.mktemp("growing") / "photos")


@pytest.fixture(scope="module")
def shallow(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    """VGG-11, trained a little: its run is what the deeper ones grow from."""
    out = tmp_path_factory.mktemp("growing") / "vgg11"
    return lenext.train(photos, "vgg11", size=32, epochs=1, lr=1e-4, out=out)


@pytest.mark.parametrize("how", ["paper", "identity"])
def test_train_grows_the_model_of_a_run(
    command: Callable[..., Answer], photos: Path, shallow: TrainResult, tmp_path: Path, how: str
) -> None:
    answer = command(
        "train", photos, "--model", "vgg13", "--weights", shallow.run, "--grow", how, "--epochs", 1, "--lr", 1e-12,
        "--out", tmp_path / "run", "--json",
    )  # fmt: skip
    assert answer.code == 0, answer.err
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["settings"]["grow"] == how
    assert f"--weights {shallow.run} --grow {how}" in record["command"]
    file = read_model_file(tmp_path / "run" / "model.safetensors")
    assert file.metadata["model"] == "vgg13"
    kept = read_model_file(Path(shallow.run) / "model.safetensors").tensors
    for path in ("stages.0.conv1.conv.weight", "head.dense.0.weight", "head.classifier.weight"):
        torch.testing.assert_close(file.tensors[path], kept[path], rtol=0, atol=1e-9)
    if how == "identity":  # at such a rate nothing is learned: the answers are those of the shallower model
        assert answer.json["loss"] == pytest.approx(shallow.loss, abs=1e-5)
        assert answer.json["top1"] == shallow.top1
    else:
        assert answer.json["loss"] != pytest.approx(shallow.loss, abs=1e-3)


def test_growing_from_what_is_not_there_or_does_not_fit_is_refused(
    command: Callable[..., Answer], photos: Path, shallow: TrainResult, digits_run: Path, tmp_path: Path
) -> None:
    for words, message in (
        (["--model", "vgg13", "--grow", "paper"], "nothing to grow vgg13 from; give --weights"),
        (["--model", "vgg13", "--weights", shallow.run], "holds a vgg11, not a vgg13"),
        (["--model", "vgg11", "--weights", shallow.run, "--grow", "paper"], "vgg11 is not deeper than vgg11"),
        (["--model", "vgg13", "--weights", digits_run, "--grow", "paper"], "a lenet5 cannot grow"),
        (
            ["--model", "vgg13", "--weights", shallow.run, "--grow", "paper", "--size", 64],
            "is for images of (32, 32), not (64, 64)",
        ),
    ):
        answer = command("train", photos, *words, "--out", tmp_path / "run")
        assert answer.code == 2
        assert message in " ".join(answer.err.split())
    with pytest.raises(lenext.UserError, match="a lenet5 cannot grow"):
        lenext.train("digits", "vgg13", weights=digits_run, grow="paper", out=tmp_path / "run")
    with pytest.raises(lenext.UserError, match="nothing grows by 'magic'"):
        lenext.train("digits", "vgg13", weights=digits_run, grow="magic", out=tmp_path / "run")  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir()), "a run that never began leaves no folder"
