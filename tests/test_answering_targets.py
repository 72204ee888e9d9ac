"""Exported files as targets: judged and scanned as the run that they are from, and refused where weights are needed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Answer
from PIL import Image
from sklearn.datasets import load_digits

import lenext
from lenext.answering import answering
from lenext.classifier import Classifier
from lenext.data.decode import ImageForm
from lenext.data.preprocessing import Preprocessing
from lenext.errors import UserError
from lenext.weights.classes import unnamed_classes

Command = Callable[..., Answer]
FORMATS = ("onnx", "openvino", "ncnn")
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of built-in digits, each as the trained network sees it, four by three."""
    images = load_digits().images[:12] * (255 / 16)
    tiles = [np.asarray(Image.fromarray(each.astype(np.uint8)).resize((28, 28))) for each in images]
    path = tmp_path_factory.mktemp("page") / "page.png"
    Image.fromarray(np.block([tiles[row : row + 4] for row in (0, 4, 8)])).save(path)
    return path


@pytest.mark.parametrize("format", FORMATS)
def test_figures_are_those_of_the_run(
    digits_run: Path, digits_files: dict[str, Path], format: str, command: Command
) -> None:
    expected = lenext.evaluate(digits_run, "digits")
    found = command("evaluate", digits_files[format], "digits", "--json").json
    assert (found["top1"], found["images"], found["split"]) == (expected.top1, 330, "held-out")
    assert found["loss"] == pytest.approx(expected.loss, abs=1e-3)
    assert (found["model"], found["seen"]) == ("lenet5", 0)


def test_views_that_ask_only_for_answers_are_those_of_the_run(
    digits_run: Path, digits_files: dict[str, Path], command: Command
) -> None:
    for views in ("mirror", "ten-crop"):
        expected = lenext.evaluate(digits_run, "digits", views=views)
        found = lenext.evaluate(digits_files["onnx"], "digits", views=views)
        assert found.top1 == expected.top1
        assert found.loss == pytest.approx(expected.loss, abs=1e-3)
    answer = command("evaluate", digits_files["onnx"], "digits", "--views", "dense")
    assert (answer.code, answer.out) == (2, "")
    assert "digits.onnx is an exported file, which answers but has no network" in answer.err
    assert str(digits_run) in answer.err


def test_an_image_that_is_cut_is_given_whole_to_the_graph(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = lenext.create("resnet20_cifar", classes=5, size=(30, 34)).eval()
    form = ImageForm(size=(30, 34), channels=3, crop_ratio=0.8)
    classes = unnamed_classes(5)
    preprocessing = Preprocessing(form, (0.5, 0.4, 0.3), (0.25, 0.3, 0.2))
    own = Classifier(model, preprocessing, classes, {}, np.empty(0, np.uint64), torch.device("cpu"))
    pixels = np.random.default_rng(0).integers(0, 256, (3, 30, 34, 3), np.uint8)
    Image.fromarray(np.kron(pixels[0], np.ones((2, 3, 1), np.uint8))).save(tmp_path / "a.png")
    file = lenext.export(own, "onnx", tmp_path / "m.onnx", check=tmp_path).out
    exported = answering(file)
    assert exported.model.given != exported.model.size  # type: ignore[comparison-overlap]
    assert exported.probabilities(pixels) == pytest.approx(own.probabilities(pixels), abs=1e-5)
    assert exported.form == own.form


def test_a_run_and_its_file_are_averaged(
    digits_run: Path, digits_files: dict[str, Path], other_run: Path, command: Command, tmp_path: Path
) -> None:
    members = [other_run, digits_files["onnx"]]
    expected = lenext.ensemble([other_run, digits_run], "digits")
    found = lenext.ensemble([other_run, lenext.load(digits_files["onnx"])], "digits")
    assert (found.top1, found.loss) == (expected.top1, pytest.approx(expected.loss, abs=1e-4))
    page = tmp_path / "page.html"
    assert command("evaluate", digits_files["onnx"], "digits", "--report", page).code == 0
    assert page.stat().st_size > 10_000
    answer = command("evaluate", *members, "digits", "--ensemble", "--average", "weights")
    assert answer.code == 2
    assert "has no network to look into, to average" in answer.err
    each = command("evaluate", *members, "digits", "--json").json
    assert [row["model"] for row in each["models"]] == ["lenet5", "lenet5"]


def test_each_window_of_a_scan_has_the_answer_of_the_run(
    digits_run: Path, digits_files: dict[str, Path], page: Path
) -> None:
    run, pixels = lenext.load(digits_run), np.asarray(Image.open(page))
    for finer, stride in ((False, 7), (True, 3)):
        found = lenext.scan(digits_files["onnx"], page, "3", scales=(1,), finer=finer, tile=40)
        assert (found.stride, found.window) == (stride, (28, 28))
        probability = found.maps[0].probability
        assert probability.shape == ((84 - 28) // stride + 1, (112 - 28) // stride + 1)
        for row, column in ((0, 0), (3, 5), (probability.shape[0] - 1, probability.shape[1] - 1)):
            window = pixels[row * stride :, column * stride :][:28, :28]
            assert probability[row, column] == pytest.approx(run.probabilities(window[None, ..., None])[0, 3], abs=1e-5)
        whole = lenext.scan(digits_files["onnx"], page, "3", scales=(1,), finer=finer)
        assert whole.maps[0].probability == pytest.approx(probability, abs=1e-6)


@pytest.mark.parametrize("format", FORMATS)
def test_a_digit_is_found_by_a_file_as_by_its_run(
    digits_run: Path, digits_files: dict[str, Path], page: Path, format: str, command: Command
) -> None:
    words = ("--class", "3", "--scales", "1", "--json")
    found, expected = (command("scan", target, page, *words).json for target in (digits_files[format], digits_run))
    assert (found["model"], found["stride"], found["window"]) == ("lenet5", 7, [28, 28])

    def best(peaks: list[dict[str, float]]) -> float:
        return max(peak["probability"] for peak in peaks if max(abs(peak["x"] - 98), abs(peak["y"] - 14)) <= 6)

    assert best(found["peaks"]) == pytest.approx(best(expected["peaks"]), abs=0.02), "the fourth of the first row"


def test_tiles_that_are_too_small_are_told(digits_files: dict[str, Path], page: Path, command: Command) -> None:
    answer = command("scan", digits_files["onnx"], page, "--class", "3", "--tile", "27", "--json")
    assert (answer.code, answer.out) == (2, "")
    assert "a tile of 27 pixels is too small: a window has 28" in answer.err


@pytest.mark.parametrize("format", FORMATS)
def test_whatever_needs_the_weights_says_so_in_a_line(
    digits_files: dict[str, Path], page: Path, tmp_path: Path, format: str, command: Command
) -> None:
    file, out = digits_files[format], tmp_path / "out"
    for words in (
        ("explain", file, page, "--json"),
        ("features", file, "digits", "--out", out.with_suffix(".parquet")),
        ("probe", "digits", "--models", file),
        ("convert", file, "--model", "lenet5", "--to", "lenext", "--out", out.with_suffix(".safetensors")),
        ("train", "digits", "--model", "lenet5", "--weights", file, "--out", out),
        ("export", file, "--format", "onnx", "--out", out.with_suffix(".onnx")),
        ("predict", "lenet5", "--weights", file, page),
        ("evaluate", "lenet5", "--weights", file, "digits"),
    ):
        answer = command(*words)
        assert (answer.code, answer.out) == (2, ""), words
        assert "is a file for other engines, which answers (predict, evaluate, scan) but has no weights" in answer.err
        assert len(answer.err.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_what_is_inside_cannot_be_had(digits_files: dict[str, Path]) -> None:
    model = answering(digits_files["onnx"]).model
    for ask in (lambda: model.stem, lambda: model.head, lambda: model.features(torch.zeros(1, 1, 28, 28)),
                model.state_dict, lambda: lenext.densify(model)):  # fmt: skip
        with pytest.raises(UserError, match="is an exported file, which answers but has no network"):
            ask()
    with pytest.raises(UserError, match="run by another engine than torch, on the CPU"):
        answering(digits_files["onnx"], device="cuda")
