from __future__ import annotations

import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import lenext
from lenext.data.opening import open_source
from lenext.weights.model_file import read_model_file, write_model_file

EXAMPLES = Path(__file__).parents[1] / "examples" / "digits"


@pytest.fixture(scope="module")
def classifier(digits_run: Path) -> lenext.Classifier:
    return lenext.load(digits_run)


def test_one_entry_an_input_in_order(classifier: lenext.Classifier, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no")
    entries = classifier.predict([EXAMPLES / "two.png", broken, str(EXAMPLES / "seven.png")], top=3)
    assert [entry["image"] for entry in entries] == [
        str(EXAMPLES / "two.png"), str(broken), str(EXAMPLES / "seven.png"),
    ]  # fmt: skip
    assert entries[1] == {"image": str(broken), "error": "not an image"}
    for entry in (entries[0], entries[2]):
        shares = [prediction["probability"] for prediction in entry["predictions"]]
        assert len(shares) == 3
        assert shares == sorted(shares, reverse=True)


@pytest.mark.parametrize("kind", ["str", "path", "pillow", "array", "array3", "list"])
def test_every_kind_of_picture_gives_the_same_answer(classifier: lenext.Classifier, kind: str) -> None:
    path = EXAMPLES / "two.png"
    with Image.open(path) as image:
        pixels = np.asarray(image)
    kinds: dict[str, Any] = {
        "str": str(path),
        "path": path,
        "pillow": Image.fromarray(pixels),
        "array": pixels,
        "array3": np.stack([pixels] * 3, -1),
        "list": [path],
    }
    answer = classifier.predict(kinds[kind])
    assert len(answer) == 1
    assert answer[0]["predictions"] == classifier.predict(path)[0]["predictions"]


def test_probabilities_of_all_classes_sum_to_one(classifier: lenext.Classifier) -> None:
    predictions = classifier.predict(EXAMPLES / "two.png", top=1000)[0]["predictions"]
    assert sorted(prediction["label"] for prediction in predictions) == list("0123456789")
    assert sum(prediction["probability"] for prediction in predictions) == pytest.approx(1)


def test_a_folder_is_its_images_in_order(classifier: lenext.Classifier) -> None:
    entries = classifier.predict(EXAMPLES)
    assert [Path(entry["image"]).name for entry in entries] == sorted(path.name for path in EXAMPLES.iterdir())


def test_more_images_than_a_batch_keep_their_order(classifier: lenext.Classifier) -> None:
    items = [item for item in open_source("digits").splits["all"].items[:150] if isinstance(item, np.ndarray)]
    together = classifier.predict(items, top=1)
    for index in (0, 63, 64, 149):
        alone = classifier.predict(items[index], top=1)[0]["predictions"][0]
        assert together[index]["predictions"][0]["label"] == alone["label"]
        assert together[index]["predictions"][0]["probability"] == pytest.approx(alone["probability"], rel=1e-4)


def test_predictions_agree_with_the_steps_by_hand(classifier: lenext.Classifier) -> None:
    with Image.open(EXAMPLES / "two.png") as image:
        pixels = np.asarray(image.resize((28, 28), Image.Resampling.BILINEAR))
    mean, std = classifier.preprocessing.mean[0], classifier.preprocessing.std[0]
    x = torch.from_numpy((pixels / 255 - mean) / std).float()[None, None]
    with torch.inference_mode():
        shares = classifier.model(x).softmax(1)[0]
    best = classifier.predict(EXAMPLES / "two.png", top=1)[0]["predictions"][0]
    assert best["label"] == classifier.class_names[int(shares.argmax())]
    assert best["probability"] == pytest.approx(float(shares.max()), rel=1e-4)


def test_what_is_no_picture_is_an_error_of_its_entry(classifier: lenext.Classifier, tmp_path: Path) -> None:
    entries = classifier.predict([tmp_path / "none.png", np.zeros((2, 2, 2, 2), np.uint8)])
    assert entries[0]["error"] == "there is no such file"
    assert "error" in entries[1]
    assert entries[1]["image"] == "image 1"
    with pytest.raises(lenext.UserError, match="top 0 cannot be"):
        classifier.predict(EXAMPLES, top=0)


@pytest.mark.parametrize("name", ["", "a" * 5000, "nul\0byte", "nothing"])
def test_names_that_lead_nowhere(classifier: lenext.Classifier, name: str) -> None:
    with pytest.raises(lenext.UserError, match="there is no"):
        lenext.load(name)
    assert "error" in classifier.predict(name)[0]


def test_weights_must_be_of_the_model_named(digits_run: Path) -> None:
    assert lenext.load("lenet5", weights=digits_run).name == "lenet5"
    with pytest.raises(lenext.UserError, match="holds a lenet5, not a mlp"):
        lenext.load("mlp", weights=digits_run)


def test_the_classifier_is_in_evaluation_mode(classifier: lenext.Classifier) -> None:
    assert not classifier.model.training
    assert classifier.name == "lenet5"
    assert classifier.metadata["figures"]["top1"] > 80


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 64}, "does not fit"),
        ({"depth": 64, "width": 64}, "names a model that cannot be built: depth 64 of 164 tensors"),
        ({"depth": 1e9}, "names a model that cannot be built"),
        ({"weights": "/etc/passwd"}, "weights cannot stand among its options"),
        ({"classes": 3}, "classes cannot stand among its options"),
        ({"dropout": "x"}, "names a model that cannot be built"),
    ],
)
def test_a_mislabelled_file_is_refused_before_its_network_takes_memory(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    lenext.train("digits", "mobilenet_v1_025", size=16, epochs=1, out=tmp_path / "run", overrides={"batch_size": 256})
    file = read_model_file(tmp_path / "run" / "model.safetensors")
    metadata = {key: value for key, value in file.metadata.items() if key not in ("format", "lenext_version")}
    write_model_file(tmp_path / "m.safetensors", file.tensors, {**metadata, "options": options}, file.trained_on)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(lenext.UserError, match=message):
        lenext.load(tmp_path / "m.safetensors")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # KB; in full it would be gigabytes
