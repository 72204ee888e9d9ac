from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save_file

import lenext
from lenext.data.opening import open_source
from lenext.files import FORMAT
from lenext.weights.model_file import KEY, read_model_file

GOLDEN = Path(__file__).parents[1] / "golden" / "run-format-1"


def rewritten(source: Path, target: Path, change: Any) -> Path:
    """Write `source` to `target` with its metadata changed."""
    file = read_model_file(source)
    metadata = change(dict(file.metadata))
    save_file(file.tensors, target, metadata={KEY: json.dumps(metadata)})
    return target


def resized(metadata: dict[str, Any], size: list[int]) -> dict[str, Any]:
    return {**metadata, "size": size, "preprocessing": {**metadata["preprocessing"], "size": size}}


def test_one_file_carries_all_that_is_needed(digits_run: Path) -> None:
    with safe_open(digits_run / "model.safetensors", framework="pt") as file:
        metadata = json.loads(file.metadata()[KEY])
    assert metadata["format"] == FORMAT
    assert metadata["lenext_version"] == lenext.__version__
    assert metadata["model"] == "lenet5"
    assert metadata["class_names"] == list("0123456789")
    assert metadata["preprocessing"]["size"] == [28, 28]
    assert metadata["figures"]["split"] == "held-out"


def test_the_file_alone_is_a_target(digits_run: Path, tmp_path: Path) -> None:
    alone = tmp_path / "somewhere else.safetensors"
    shutil.copy(digits_run / "model.safetensors", alone)
    image = open_source("digits").splits["all"].items[0]
    assert lenext.load(alone).predict(image) == lenext.load(digits_run).predict(image)


@pytest.mark.parametrize("target", [GOLDEN, GOLDEN / "model.safetensors"])
def test_a_run_and_a_file_of_format_1_are_still_read(target: Path) -> None:
    """The sample, of version 0.1.0, is an mlp that tells dark from light."""
    classifier = lenext.load(target)
    assert classifier.name == "mlp"
    assert classifier.class_names == ("dark", "light")
    dark, light = torch.zeros(1, 8, 8, 1, dtype=torch.uint8), torch.full((1, 8, 8, 1), 255, dtype=torch.uint8)
    answers = classifier.probabilities(torch.cat([dark, light]).numpy()).argmax(1)
    assert answers.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: {**m, "format": 2, "lenext_version": "9.9"}, r"has format 2, written by lenext 9\.9"),
        (lambda m: {k: v for k, v in m.items() if k != "format"}, "is damaged: it carries no format number"),
        (
            lambda m: {k: v for k, v in m.items() if k != "class_names"},
            "is damaged: its metadata has no usable class_names",
        ),
        (lambda m: {**m, "class_names": ["a"]}, "no usable class_names: 1 for 10 classes"),
        (lambda m: {**m, "model": "lenet6"}, "names a model that cannot be built: no model is called 'lenet6'"),
        (lambda m: {**m, "model": "lenet5_1998"}, "does not fit LeNet1998"),
        (
            lambda m: {**m, "classes": 3, "class_names": list("abc")},
            "is damaged: it says classes 3, but has tensors for 10",
        ),
        (lambda m: {**m, "size": [40, 40]}, "preprocessing: it makes images that its model does not take"),
        (lambda m: resized(m, [40, 40]), "not 120x1024"),
        (lambda m: {**m, "size": "large"}, "no usable size"),
        (lambda m: resized(m, [0, 28]), "no usable size"),
        (lambda m: {**m, "class_ids": ["n01440764"]}, "no usable class_ids"),
        (lambda m: {**m, "class_names": list(range(10))}, "no usable class_names"),
        (lambda m: resized(m, [16384, 16384]), "no usable size"),
        (
            lambda m: {**m, "preprocessing": {**m["preprocessing"], "mean": [10**400]}},
            r"damaged: mean \[1000.* cannot be",
        ),
        (lambda m: {**m, "preprocessing": {**m["preprocessing"], "std": [True]}}, r"damaged: std \[True\] cannot be"),
        (lambda m: {**m, "preprocessing": {**m["preprocessing"], "std": [0.0]}}, r"damaged: std \[0.0\] cannot be"),
        (lambda m: {**m, "layout": "torchvision"}, "the layout 'torchvision', which lenet5 has not; it has lenext"),
        (lambda m: {**m, "options": {"wings": 2}}, "has no option 'wings'"),
        (lambda m: {**m, "preprocessing": {}}, "no usable preprocessing"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(digits_run: Path, tmp_path: Path, change: Any, message: str) -> None:
    path = rewritten(digits_run / "model.safetensors", tmp_path / "m.safetensors", change)
    with pytest.raises(lenext.UserError, match=message):
        lenext.load(path)


def complaint(path: Path) -> str:
    """Return the user's error that loading gives, or nothing where it loads; any other error is a failure."""
    try:
        lenext.load(path)
    except lenext.UserError as error:
        return str(error)
    return ""


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=3), st.lists, max_leaves=3)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_nonsense_in_the_metadata_is_a_users_error(digits_run: Path, tmp_path: Path, data: st.DataObject) -> None:
    def change(metadata: dict[str, Any]) -> dict[str, Any]:
        inner = data.draw(st.sampled_from([metadata, metadata["preprocessing"]]))
        inner[data.draw(st.sampled_from(sorted(inner)))] = data.draw(JSON)
        return metadata

    path = rewritten(digits_run / "model.safetensors", tmp_path / "m.safetensors", change)
    assert "\n" not in complaint(path)  # another figure or version does no harm


def test_files_of_others_are_told_apart(tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    save_file({"w": torch.zeros(2)}, other)
    with pytest.raises(lenext.UserError, match="does not say of which architecture it is"):
        lenext.load(other)
    pickled = tmp_path / "model.pth"
    torch.save({"w": torch.zeros(2)}, pickled)
    with pytest.raises(lenext.UserError, match="does not say of which architecture it is"):
        lenext.load(pickled)
    disguised = tmp_path / "disguised.safetensors"
    shutil.copy(pickled, disguised)
    with pytest.raises(
        lenext.UserError,
        match=r"is a pickled checkpoint, though its name says \.safetensors; rename it to disguised\.pth",
    ):
        lenext.load(disguised)
    with pytest.raises(lenext.UserError, match="there is no"):
        lenext.load(tmp_path / "nothing.safetensors")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 0.999))
def test_a_file_cut_anywhere_is_damaged(digits_run: Path, tmp_path: Path, share: float) -> None:
    whole = (digits_run / "model.safetensors").read_bytes()
    path = tmp_path / "cut.safetensors"
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(lenext.UserError, match="is damaged"):
        lenext.load(path)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 1500), bit=st.integers(0, 7))
def test_a_bit_flipped_in_the_header_never_gives_another_error(
    digits_run: Path, tmp_path: Path, place: int, bit: int
) -> None:
    data = bytearray((digits_run / "model.safetensors").read_bytes())
    data[place] ^= 1 << bit
    path = tmp_path / "flipped.safetensors"
    path.write_bytes(data)
    assert "\n" not in complaint(path)  # a flip in a name or a figure may leave a file that can be used
