"""Conversion: between the names of libraries and ours, with all that is known of the weights."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from golden_weights import FOLDER, OUR_NAMES, foreign_tensors, read_golden
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import lenext
from lenext.weights.model_file import KEY

QUICK = ("torchvision-mobilenet_v3_small", "timm-mobilenetv3_small_100", "timm-resnetv2_18", "torchvision-googlenet",
         "timm-efficientnet_b0", "torchvision-densenet121", "timm-mobilenetv1_100")  # fmt: skip


@pytest.mark.parametrize("name", QUICK)
def test_there_and_back_is_the_same_list_and_the_same_numbers(name: str, tmp_path: Path) -> None:
    golden = read_golden(FOLDER / f"{name}.json")
    theirs, library = foreign_tensors(golden), name.partition("-")[0]
    torch.save(theirs, tmp_path / "theirs.pth")
    ours = lenext.convert(tmp_path / "theirs.pth", golden["ours"], "lenext", tmp_path / "ours.safetensors")
    assert (ours.model, ours.tensors, ours.out) == (golden["ours"], len(theirs), str(tmp_path / "ours.safetensors"))
    lenext.convert(tmp_path / "ours.safetensors", golden["ours"], library, tmp_path / "back.safetensors")
    back = load_file(tmp_path / "back.safetensors")
    assert {key: list(tensor.shape) for key, tensor in back.items()} == golden["tensors"]
    assert all(torch.equal(tensor, theirs[key]) for key, tensor in back.items())


def test_from_one_library_to_another(tmp_path: Path) -> None:
    golden = read_golden(FOLDER / "torchvision-mobilenet_v2.json")
    torch.save(foreign_tensors(golden), tmp_path / "theirs.pth")
    lenext.convert(tmp_path / "theirs.pth", "mobilenet_v2", "timm", tmp_path / "timm.safetensors")
    (timm,) = (path for path in FOLDER.glob("timm-*.json") if OUR_NAMES.get(path.stem[5:]) == "mobilenet_v2")
    tensors = load_file(tmp_path / "timm.safetensors")
    assert {key: list(tensor.shape) for key, tensor in tensors.items()} == read_golden(timm)["tensors"]


def test_a_file_by_other_names_is_whole_and_loads_alone(digits_run: Path, tmp_path: Path) -> None:
    run = lenext.train("digits", "resnet20_cifar", epochs=1, size=16, channels=3, out=tmp_path / "run",
                       options={"depth": 0.34, "width": 0.25}, overrides={"batch_size": 256}).run  # fmt: skip
    out = tmp_path / "theirs.safetensors"
    lenext.convert(run, "resnet20_cifar", "pytorch_resnet_cifar10", out)
    with safe_open(out, framework="pt") as file:
        names, metadata = set(file.keys()), json.loads(file.metadata()[KEY])
    assert {"conv1.weight", "linear.bias"} <= names
    assert not any(name.startswith(("stem", "lenext")) for name in names)
    assert (metadata["layout"], metadata["class_names"]) == ("pytorch_resnet_cifar10", list("0123456789"))
    before, after = lenext.load(run), lenext.load(out)
    assert after.preprocessing == before.preprocessing
    assert np.array_equal(after.trained_on, before.trained_on)
    assert len(after.trained_on) > 1000
    pixels = np.zeros((1, 16, 16, 3), np.uint8)
    assert np.array_equal(after.probabilities(pixels), before.probabilities(pixels))
    assert lenext.evaluate(out, "digits").split == "held-out"


def test_classes_and_preprocessing_go_into_every_file(tmp_path: Path) -> None:
    golden = read_golden(FOLDER / "torchvision-mobilenet_v3_small.json")
    save_file(foreign_tensors(golden), tmp_path / "theirs.safetensors")
    result = lenext.convert(tmp_path / "theirs.safetensors", golden["ours"], "lenext", tmp_path / "ours.safetensors")
    assert "taken are classes as of mobilenet_v3_small:torchvision-v1 and preprocessing as of" in result.presumed
    ours = lenext.load(tmp_path / "ours.safetensors")
    assert "presumed are its classes and preprocessing" in ours.presumed  # no less a guess for having been written
    assert ours.classes.ids is not None
    assert (ours.class_names[0], ours.classes.ids[0]) == ("tench", "n01440764")
    assert ours.preprocessing.form.crop_ratio == 224 / 256
    answer = ours.predict(np.zeros((300, 300, 3), np.uint8), top=2)[0]["predictions"][0]
    assert answer["id"] == ours.classes.ids[ours.class_names.index(answer["label"])]
    assert ours.model.spec is not None
    assert ours.model.spec.options == {"norm_eps": 1e-3}


def test_auxiliary_classifiers_may_be_absent(tmp_path: Path) -> None:
    golden = read_golden(FOLDER / "torchvision-googlenet.json")
    tensors = {name: tensor for name, tensor in foreign_tensors(golden).items() if not name.startswith("aux")}
    torch.save(tensors, tmp_path / "theirs.pth")
    lenext.convert(tmp_path / "theirs.pth", "googlenet_bn", "torchvision", tmp_path / "back.safetensors")
    assert load_file(tmp_path / "back.safetensors").keys() == tensors.keys()


@pytest.mark.parametrize(
    ("to", "out", "message"),
    [
        ("lenext", "w.pth", r"w\.pth cannot be written: give a name that ends in \.safetensors"),
        ("lenext", "there.safetensors", r"there\.safetensors is there already; give another name"),
        ("lenext", "nowhere/w.safetensors", "there is no folder .*nowhere"),
        ("torchvision", "w.safetensors", "no names of torchvision are known for lenet5; give lenext"),
        ("keras", "w.safetensors", "no names of keras are known"),
    ],
)
def test_what_cannot_be_converted_is_told_and_nothing_is_written(
    digits_run: Path, tmp_path: Path, to: str, out: str, message: str
) -> None:
    (tmp_path / "there.safetensors").write_bytes(b"mine")
    with pytest.raises(lenext.UserError, match=message):
        lenext.convert(digits_run, "lenet5", to, tmp_path / out)
    assert [path.name for path in tmp_path.iterdir()] == ["there.safetensors"]
    assert (tmp_path / "there.safetensors").read_bytes() == b"mine"


def test_the_command(command: Callable[..., Any], tmp_path: Path) -> None:
    torch.save(lenext.create("resnet20_cifar", classes=7).state_dict(), tmp_path / "w.pth")
    words = ("convert", tmp_path / "w.pth", "--model", "resnet20_cifar", "--to", "timm")
    done = command(*words, "--out", tmp_path / "a.safetensors", "--json")
    assert done.code == 0
    assert {key: done.json[key] for key in ("schema", "model", "tensors", "out")} == {
        "schema": 1, "model": "resnet20_cifar", "tensors": 116, "out": str(tmp_path / "a.safetensors"),
    }  # fmt: skip
    assert done.err.startswith("note: ")
    assert "classes without names" in done.err
    told = command(*words, "--out", tmp_path / "b.safetensors")
    assert told.out == f"resnet20_cifar: 116 tensors by the names of timm in {tmp_path / 'b.safetensors'}\n"
    again = command(*words, "--out", tmp_path / "b.safetensors")
    assert (again.code, again.out) == (2, "")


def test_the_command_that_lists_weights(command: Callable[..., Any]) -> None:
    rows = command("weights", "resnet50", "--json").json
    assert [row["name"] for row in rows] == lenext.list_weights("resnet50")
    assert rows[0]["preprocessing"]["size"] == [224, 224]
    assert {"url", "hub", "sha256", "licence", "classes", "top1", "protocol"} <= rows[0].keys()
    shown = command("weights", "resnet50").out
    assert "resnet50:torchvision-v2" in shown
    assert "80.86" in shown
    none = command("weights", "lenet5")
    assert (none.code, none.err) == (
        2,
        "lenext: the catalog has no weights of lenet5; `lenext weights` lists those of others\n",
    )
    assert "no model is called 'resnet5'" in command("weights", "resnet5").err


@pytest.mark.parametrize("name", ["torchvision-mobilenet_v3_small", "timm-mobilenetv3_small_100"])
def test_the_network_answers_the_same_where_a_librarys_norms_differ(name: str, tmp_path: Path) -> None:
    """What the norms add to the variance is 1e-3 in torchvision and 1e-5 in timm; small variances show it."""
    golden = read_golden(FOLDER / f"{name}.json")
    tensors = foreign_tensors(golden)
    for key in tensors:
        if key.endswith("running_var"):
            tensors[key] *= 0.01
    torch.save(tensors, tmp_path / "theirs.pth")
    other = {"torchvision": "timm", "timm": "torchvision"}[name.partition("-")[0]]
    lenext.convert(tmp_path / "theirs.pth", golden["ours"], other, tmp_path / "other.safetensors")
    before = lenext.create(golden["ours"], weights=tmp_path / "theirs.pth").double().eval()
    after = lenext.create(golden["ours"], weights=tmp_path / "other.safetensors").double().eval()
    assert before.spec != after.spec
    x = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    with torch.no_grad():
        expected = before(x)
        assert (after(x) - expected).norm() < 1e-4 * expected.norm()


def test_classes_get_names(command: Callable[..., Any], digits_run: Path, tmp_path: Path) -> None:
    torch.save(lenext.create("lenet5", weights=digits_run).state_dict(), tmp_path / "w.pth")
    assert (
        "classes of lenet5 are called" in command("evaluate", "lenet5", "--weights", tmp_path / "w.pth", "digits").err
    )
    (tmp_path / "names.txt").write_text("\n".join("0123456789"))
    words = ("convert", tmp_path / "w.pth", "--model", "lenet5", "--to", "lenext", "--class-names")
    assert command(*words, tmp_path / "names.txt", "--out", tmp_path / "named.safetensors").code == 0
    assert command("evaluate", tmp_path / "named.safetensors", "digits", "--json").json["top1"] > 10
    (tmp_path / "names.txt").write_text("a\nb")
    few = command(*words, tmp_path / "names.txt", "--out", tmp_path / "few.safetensors")
    assert (few.code, few.err) == (2, "lenext: 2 class names cannot be: give 10 that differ, in order\n")
    assert (
        "cannot read the class names" in command(*words, tmp_path / "no.txt", "--out", tmp_path / "no.safetensors").err
    )
