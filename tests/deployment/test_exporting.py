"""Exported files answer as the run does, in engines of their own, and what does not is never left."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest
import torch
from conftest import Answer
from PIL import Image

import lenext
from lenext.classifier import Classifier
from lenext.classifier import load as load_classifier
from lenext.data.decode import ImageForm, decode, open_image
from lenext.data.digits import open_digits
from lenext.data.preprocessing import Preprocessing
from lenext.deployment.exporting import onnx_file, preprocessing_graph
from lenext.deployment.exporting.export import export
from lenext.deployment.proof import NotProvedError, compared
from lenext.engines.exported import CLASS_MAP, LOGITS, PROBABILITIES, read_exported
from lenext.engines.opening import open_engine
from lenext.errors import UserError
from lenext.weights.classes import ClassList

FILES = {"onnx": "a.onnx", "openvino": "a.xml", "ncnn": "a.param", "safetensors": "a.safetensors"}


@pytest.fixture(scope="module")
def colour_run(tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    """LeNet-5 that tells coloured digits apart."""
    overrides = {"precision": "float32", "compile": "no"}
    place = tmp_path_factory.mktemp("colour") / "run"
    return load_classifier(lenext.train("digits", "lenet5", epochs=3, channels=3, out=place, overrides=overrides).run)


@pytest.fixture(scope="module")
def pooled() -> Classifier:
    """A network with norms that ends in a pool and one dense layer, as it was drawn."""
    torch.manual_seed(0)
    names = tuple("0123456789")
    model = lenext.create("resnet20_cifar", classes=names, size=16, depth=0.34, width=0.5).eval()
    for norm in (each for each in model.modules() if isinstance(each, torch.nn.BatchNorm2d)):
        torch.nn.init.uniform_(norm.weight, 0.5, 1.5)
        torch.nn.init.uniform_(norm.running_mean, -0.5, 0.5)
    form = ImageForm(size=(16, 16), channels=3)
    whole = Preprocessing(form, (0.5,) * 3, (0.5,) * 3)
    return Classifier(model, whole, ClassList(names), {}, np.arange(3, dtype=np.uint64), torch.device("cpu"))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Coloured digits on fine patterns, far larger than the network sees, none of the size of another."""
    folder = tmp_path_factory.mktemp("photos")
    digits = open_digits().splits["all"]
    rng = np.random.default_rng(0)
    for number in range(40):
        small = Image.fromarray(np.asarray(digits.items[40 * number]).squeeze())
        large = np.asarray(small.resize((90 + number, 110 - number), Image.Resampling.BICUBIC))
        colour = rng.uniform(0.3, 1, 3)
        pixels = large[..., None] * colour * rng.uniform(0.4, 1, (*large.shape, 3))  # which only antialiasing evens out
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number:02}.png")
    return folder


@pytest.mark.parametrize("format", FILES)
def test_every_format_answers_as_the_run_does(
    colour_run: Classifier, photos: Path, tmp_path: Path, format: Any
) -> None:
    made = export(colour_run, format, tmp_path / FILES[format], check=photos)
    assert {proof.agreement for proof in made.proofs} == {100.0}
    assert max(proof.largest_gap for proof in made.proofs) <= 5e-3
    assert made.to_json()["images"] == 40
    expected = colour_run.predict(photos, top=3)
    found = lenext.load(made.out).predict(photos, top=3)
    assert [entry["image"] for entry in found] == [entry["image"] for entry in expected]
    for one, other in zip(found, expected, strict=True):
        assert abs(one["predictions"][0]["probability"] - other["predictions"][0]["probability"]) <= 5e-3
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("format", ["onnx", "openvino"])
def test_the_class_map_is_what_the_logits_are_the_mean_of(
    pooled: Classifier, photos: Path, tmp_path: Path, format: Any
) -> None:
    file = read_exported(export(pooled, format, tmp_path / FILES[format], check=photos).out)
    pixels = np.stack([decode(path, file.given) for path in sorted(photos.iterdir())[:3]])
    engine = open_engine(file, threads=1)
    classes, logits = engine.answer(pixels, CLASS_MAP), engine.answer(pixels, LOGITS)
    assert classes.shape == (3, 10, 4, 4)
    np.testing.assert_allclose(classes.mean((2, 3)), logits, atol=1e-4)
    powers = np.exp(logits - logits.max(1, keepdims=True))
    np.testing.assert_allclose(engine.answer(pixels, PROBABILITIES), powers / powers.sum(1, keepdims=True), atol=1e-5)


SCRIPT = """
import json, sys
import numpy as np, onnxruntime
from PIL import Image

class Forbidden:
    def find_spec(self, name, *_):
        if name.split(".")[0] in ("lenext", "torch"):
            raise ImportError(name)

sys.meta_path.insert(0, Forbidden())
session = onnxruntime.InferenceSession(sys.argv[1])
names = json.loads(session.get_modelmeta().custom_metadata_map["lenext"])["class_names"]
for path in sys.argv[2:]:
    pixels = np.asarray(Image.open(path).convert("RGB"))[None]
    chances = session.run(["probabilities"], {"images": pixels})[0][0]
    print(json.dumps([names[int(chances.argmax())], float(chances.max())]))
"""


def test_a_plain_script_needs_nothing_of_ours(digits_run: Path, photos: Path, tmp_path: Path) -> None:
    made = export(digits_run, "onnx", tmp_path / "digits.onnx", check=photos)
    paths = sorted(map(str, photos.iterdir()))
    done = subprocess.run([sys.executable, "-c", SCRIPT, made.out, *paths], capture_output=True, text=True, check=True)
    expected = lenext.load(digits_run).predict(paths, top=1)
    for line, entry in zip(done.stdout.splitlines(), expected, strict=True):
        name, chance = json.loads(line)
        best = entry["predictions"][0]
        assert abs(chance - best["probability"]) <= 5e-3
        assert name == best["label"] or best["probability"] < 0.51


def _off_by(preprocessing: Any, **values: Any) -> Any:
    return dataclasses.replace(preprocessing, **values)


@pytest.fixture(params=["channels", "normalisation", "mean", "antialias"])
def broken(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let the graph be built wrong in one way."""
    right = preprocessing_graph.preprocessing_nodes

    def wrong(images: Any, preprocessing: Any) -> Any:
        if request.param == "normalisation":
            return right(images, _off_by(preprocessing, mean=(0.0,) * 3, std=(1.0,) * 3))
        if request.param == "mean":
            return right(images, _off_by(preprocessing, mean=tuple(value + 0.01 for value in preprocessing.mean)))
        nodes, seen = right(images, preprocessing)
        return (nodes, nodes.op("Gather", seen, [2, 1, 0], axis=1)) if request.param == "channels" else (nodes, seen)

    monkeypatch.setattr(onnx_file, "preprocessing_nodes", wrong)
    if request.param == "antialias":
        monkeypatch.setitem(preprocessing_graph.RESIZING, "bilinear", {"mode": "linear"})
    return str(request.param)


def test_a_graph_that_is_wrong_is_refused_and_nothing_is_left(
    colour_run: Classifier, photos: Path, tmp_path: Path, broken: str
) -> None:
    with pytest.raises(NotProvedError, match="does not answer as the classifier does"):
        export(colour_run, "onnx", tmp_path / "a.onnx", check=photos)
    assert not list(tmp_path.iterdir())


def test_the_proof_lets_pass_what_rounding_explains_and_no_more() -> None:
    expected = np.array([[0.5, 0.496, 0.004], [0.7, 0.2, 0.1]], np.float32)
    swapped = np.array([[0.497, 0.499, 0.004], [0.7, 0.2, 0.1]], np.float32)  # a margin of 0.004 may turn
    proof = compared("ncnn", [expected, swapped], expected)
    assert (proof.agreement, proof.unlike) == (50.0, 0)
    assert proof.largest_gap == pytest.approx(0.003, abs=1e-6)
    with pytest.raises(NotProvedError, match=r"0.006"):
        compared("ncnn", [expected + np.float32([0, 0.006, 0])], expected)
    clear = np.array([[0.511, 0.489]], np.float32)
    with pytest.raises(NotProvedError, match="1 have another first class"):
        compared("ncnn", [clear[:, ::-1]], clear)
    with pytest.raises(NotProvedError):
        compared("ncnn", [np.full_like(expected, np.nan)], expected)


def test_norms_are_folded_and_the_file_says_where_it_is_from(pooled: Classifier, photos: Path, tmp_path: Path) -> None:
    made = export(pooled, "onnx", tmp_path / "a.onnx", check=photos)
    kinds = {node.op_type for node in ir.load(made.out).graph}
    assert "Conv" in kinds
    assert "BatchNormalization" not in kinds
    file = read_exported(made.out)
    assert (file.classes, file.preprocessing) == (pooled.classes, pooled.preprocessing)
    assert np.array_equal(file.trained_on, pooled.trained_on)
    stored = onnxruntime.InferenceSession(made.out).get_modelmeta().custom_metadata_map["lenext"]
    assert json.loads(stored)["preprocessing"]["size"] == [16, 16]


@pytest.mark.parametrize("format", ["onnx", "openvino"])
def test_lanczos_stands_beside_the_graph(colour_run: Classifier, photos: Path, tmp_path: Path, format: Any) -> None:
    form = dataclasses.replace(colour_run.preprocessing.form, interpolation="lanczos")
    other = dataclasses.replace(colour_run, preprocessing=dataclasses.replace(colour_run.preprocessing, form=form))
    made = export(other, format, tmp_path / FILES[format], check=photos)
    assert not made.inside
    assert lenext.load(made.out).predict(photos, top=1)[0]["predictions"][0]["probability"] == pytest.approx(
        other.predict(photos, top=1)[0]["predictions"][0]["probability"], abs=5e-3
    )


def test_the_command_prints_what_was_proved(
    command: Callable[..., Answer], digits_run: Path, photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "a.onnx"
    answer = command("export", digits_run, "--format", "onnx", "--out", out, "--check", photos, "--json")
    told = json.loads(answer.out)
    assert (answer.code, told["schema"], told["out"], told["format"]) == (0, 1, str(out), "onnx")
    assert (told["images"], told["agreement"], told["preprocessing_inside"]) == (40, 100.0, True)
    assert {each["engine"] for each in told["engines"]} == {"onnxruntime", "openvino"}
    before = out.read_bytes()
    again = command("export", digits_run, "--format", "onnx", "--out", out, "--check", photos)
    assert (again.code, again.err.count("\n")) == (2, 1)
    assert "is there already" in again.err
    assert out.read_bytes() == before


def test_without_what_writes_onnx_the_command_says_how_to_get_it(digits_run: Path, tmp_path: Path) -> None:
    script = "import sys; sys.modules['onnx_ir'] = None; from lenext.cli import main; main()"
    words = ["export", str(digits_run), "--format", "onnx", "--out", str(tmp_path / "a.onnx")]
    answer = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True)
    assert (answer.returncode, answer.stderr.count("\n")) == (2, 1)
    assert "lenext export needs onnx_ir: pip install 'lenext[export]'" in answer.stderr


def test_a_run_is_proved_by_its_own_images(digits_run: Path, tmp_path: Path) -> None:
    assert export(digits_run, "onnx", tmp_path / "a.onnx").to_json()["images"] == 200


@pytest.mark.parametrize(
    ("format", "out", "options", "told"),
    [
        ("onnx", "a.xml", {}, "ends in .onnx"),
        ("tflite", "a.tflite", {}, "there is no format 'tflite'"),
        ("onnx", "nowhere/a.onnx", {}, "there is no folder"),
        ("onnx", "a.onnx", {"check": "nowhere"}, "nowhere"),
        ("ncnn", "a.param", {"int8": True}, "ncnn cannot be written in int8"),
        ("onnx", "a.onnx", {"int8": True, "max_drop": -1.0}, "a drop of -1 points"),
    ],
)
def test_mistakes_are_told_before_anything_is_written(
    digits_run: Path, tmp_path: Path, format: Any, out: str, options: dict[str, Any], told: str
) -> None:
    with pytest.raises(UserError, match=told):
        export(digits_run, format, tmp_path / out, **options)
    assert not list(tmp_path.iterdir())


def test_weights_without_a_run_need_images_to_be_proved_by(digits_run: Path, tmp_path: Path) -> None:
    whole = load_classifier(digits_run)
    alone = dataclasses.replace(whole, metadata={**whole.metadata, "trained_on": {}})
    with pytest.raises(UserError, match="Give --check DATA"):
        export(alone, "onnx", tmp_path / "a.onnx")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "a.txt").write_text("no image")
    with pytest.raises(UserError):
        export(alone, "onnx", tmp_path / "a.onnx", check=tmp_path / "empty")


def test_a_grey_network_takes_colour_images_as_decoding_does(digits_run: Path, photos: Path, tmp_path: Path) -> None:
    file = read_exported(export(digits_run, "onnx", tmp_path / "a.onnx", check=photos).out)
    engine, classifier = open_engine(file, "onnxruntime", threads=1), load_classifier(digits_run)
    for path in sorted(photos.iterdir())[:10]:
        found = engine.answer(np.asarray(open_image(path, 3))[None])
        expected = classifier.probabilities(decode(path, classifier.form)[None])
        np.testing.assert_allclose(found, expected, atol=5e-3)
