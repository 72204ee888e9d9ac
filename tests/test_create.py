from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lenext
from lenext.weights.loading import load_strictly
from lenext.weights.model_file import read_model_file


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": 0}, "classes 0 is not a whole number above zero"),
        ({"classes": 2.0}, "classes 2.0 is not"),
        ({"classes": True}, "classes True is not"),
        ({"in_channels": -1}, "in_channels -1 is not"),
        ({"size": 11}, "image side 11 < 12, the smallest for lenet5"),
        ({"size": (28, 11)}, "image side 11 < 12"),
        ({"size": (28,)}, r"size \(28,\) is not a side in pixels"),
        ({"size": 0}, "size 0 is not a side"),
        ({"size": 100_000}, "image side 100,000 is above 16,384"),
        ({"depth": 3}, "lenet5 has no option 'depth'"),
    ],
)
def test_what_cannot_be_built_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(lenext.UserError, match=message):
        lenext.create("lenet5", **options)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("vgg16", {"dropout": 2}, "vgg16: dropout probability has to be between 0 and 1"),
        ("vgg16", {"init": "best"}, "init 'best' is not known; give he, glorot or paper"),
        ("vgg16", {"kernels": ()}, "vgg16 has no option 'kernels'"),
    ],
)
def test_options_that_cannot_be_are_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(lenext.UserError, match=message):
        lenext.create(name, size=32, classes=2, **options)


def test_height_and_width_may_differ() -> None:
    model = lenext.create("lenet5", size=(28, 44))
    assert model(torch.zeros(1, 1, 28, 44)).shape == (1, 10)


def test_weights_come_from_a_run_or_its_model_file(digits_run: Path) -> None:
    a = lenext.create("lenet5", weights=digits_run)
    b = lenext.create("lenet5", weights=digits_run / "model.safetensors")
    c = lenext.load(digits_run).model
    for name, tensor in a.state_dict().items():
        assert torch.equal(tensor, b.state_dict()[name])
        assert torch.equal(tensor, c.state_dict()[name])


def test_weights_that_do_not_fit_are_explained(digits_run: Path) -> None:
    with pytest.raises(lenext.UserError, match=r"is for images of \(28, 28\), not \(32, 32\), and its dense layers"):
        lenext.create("lenet5", size=32, weights=digits_run)
    with pytest.raises(lenext.UserError, match="holds a lenet5, not a lenet5_sigmoid"):
        lenext.create("lenet5_sigmoid", weights=digits_run)
    tensors = read_model_file(digits_run / "model.safetensors").tensors
    with pytest.raises(lenext.UserError, match=r"-stages\.1\.pool\.coefficient.* \+head"):
        load_strictly(lenext.create("lenet5_1998", size=28), tensors, where="file")


def test_nothing_is_loaded_where_something_does_not_fit(digits_run: Path) -> None:
    model = lenext.create("lenet5", classes=3)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(lenext.UserError):
        load_strictly(model, read_model_file(digits_run / "model.safetensors").tensors, where="file")
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name])


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("convnext_tiny", {"layer_scale": "x"}, "convnext_tiny: layer_scale 'x' cannot be; give a number"),
        ("convnext_tiny", {"stochastic_depth": None}, "stochastic_depth None cannot be; give a number"),
        ("convnext_tiny", {"layer_scale": float("nan")}, "layer_scale nan cannot be; give a number"),
        ("densenet121", {"memory_efficient": "no"}, "memory_efficient 'no' cannot be; give true or false"),
        ("inception_v3", {"auxiliary": 1}, "auxiliary 1 cannot be; give true or false"),
        ("mobilenet_v2", {"dropout": True}, "dropout True cannot be; give a number"),
        ("efficientnet_b1", {"depth": "2"}, "depth '2' cannot be; give a number"),
        ("mobilenet_v3_small", {"norm_eps": -1.0}, "norm_eps -1.0 cannot be: give a number above 0"),
        ("preresnet18", {"stem": []}, "stem [] cannot be; give a word"),
        ("wrn16_8_cifar", {"dropout": "x"}, "wrn16_8_cifar cannot be built with dropout='x'"),
        ("resnet50", {"groups": 1.5}, "groups 1.5 is not a whole number above zero"),
        ("resnet50", {"base": -1}, "base -1 is not a whole number above zero"),
        ("resnet18", {"shortcut": None}, "shortcut None is not known"),
        ("densenet121", {"plan": ()}, "densenet121 has no option 'plan'"),
    ],
)
def test_options_of_another_kind_are_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(lenext.UserError, match=re.escape(message)):
        lenext.create(name, **options)


def test_the_options_of_a_file_hold_where_none_are_given(tmp_path: Path) -> None:
    """Those of these shapes differ in nothing that loading could see."""
    run = lenext.train(
        "digits", "resnet50", size=16, epochs=1, out=tmp_path / "run",
        options={"stride_in": "1x1", "depth": 0.1, "width": 0.125},
    ).run  # fmt: skip
    x = torch.randn(2, 1, 16, 16)
    model = lenext.create("resnet50", classes=10, in_channels=1, size=16, weights=run).eval()
    with torch.no_grad():
        expected = lenext.load(run).model.cpu()(x)
        torch.testing.assert_close(model(x), expected, rtol=1e-3, atol=1e-4)
        other = lenext.create("resnet50", classes=10, in_channels=1, size=16, weights=run, stride_in="3x3").eval()
        assert not torch.allclose(other(x), expected, rtol=1e-2, atol=1e-2)
    assert model.spec is not None
    assert model.spec.options == {"stride_in": "1x1", "depth": 0.1, "width": 0.125}


def test_what_train_has_arguments_for_is_no_option(tmp_path: Path) -> None:
    for key in ("classes", "in_channels", "size", "weights", "name"):
        with pytest.raises(lenext.UserError, match=f"{key} is no option of an architecture"):
            lenext.train("digits", "resnet18", options={key: 3}, out=tmp_path / "run")


@pytest.mark.parametrize("weights", [b"", 123, True, {}, []])
def test_weights_of_another_type_are_told(weights: Any) -> None:
    with pytest.raises(lenext.UserError, match=r"^weights .* cannot be: give a file"):
        lenext.create("lenet5", weights=weights)


def test_an_architecture_is_no_weights_and_a_wrong_name_is_told_first(digits_run: Path) -> None:
    with pytest.raises(lenext.UserError, match="mobilenet_v2 is an architecture, whose weights stand in --weights"):
        lenext.load("mobilenet_v2")
    with pytest.raises(lenext.UserError, match="no model is called 'lenet6'; did you mean lenet5"):
        lenext.create("lenet6", weights=digits_run)


def test_classes_may_be_a_whole_number_of_numpys_but_no_set() -> None:
    assert lenext.create("lenet5", classes=np.int64(3))(torch.zeros(1, 1, 28, 28)).shape == (1, 3)
    with pytest.raises(lenext.UserError, match="give a number, or a list of names that differ"):
        lenext.create("lenet5", classes={"a", "b"})  # type: ignore[arg-type]


def test_weights_for_more_classes_than_there_are_images_are_refused(tmp_path: Path) -> None:
    tensors = dict(lenext.create("lenet5").state_dict())
    tensors["head.classifier.weight"] = torch.zeros(200_000, 84)
    tensors["head.classifier.bias"] = torch.zeros(200_000)
    torch.save(tensors, tmp_path / "w.pth")
    with pytest.raises(lenext.UserError, match="is refused: weights for 200,000 classes and 1 channels"):
        lenext.create("lenet5", weights=tmp_path / "w.pth")
