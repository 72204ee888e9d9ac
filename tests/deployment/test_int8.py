"""Files in eight bits are judged on images that they were not calibrated by, and refused where they lose too much."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Answer

import lenext
from lenext.classifier import load
from lenext.data.digits import open_digits
from lenext.data.holdout import digest
from lenext.deployment.exporting import int8
from lenext.deployment.exporting.export import export
from lenext.deployment.exporting.int8 import Labelled, TooWorseError, labelled_images
from lenext.deployment.exporting.quantisation import int8_layers
from lenext.engines.exported import read_exported


@pytest.fixture(scope="module")
def files(digits_run: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The digits' network in float32, and in int8 with what the command says of it."""
    place = tmp_path_factory.mktemp("files")
    return {
        name: export(digits_run, "openvino", place / f"{name}.xml", int8=name == "int8").out
        for name in ("float", "int8")
    }


def test_almost_all_work_is_done_in_eight_bits(files: dict[str, Path], digits_run: Path) -> None:
    whole, small = (int8_layers(files[name], (1, 28, 28, 3)) for name in ("float", "int8"))
    assert sum(macs for _, macs, _ in whole) == lenext.profile("lenet5").total.macs
    assert sum(macs for _, macs, inside in small if inside) >= 0.8 * sum(macs for _, macs, _ in small)
    assert not any(inside for _, _, inside in whole)
    weights = [files[name].with_suffix(".bin").stat().st_size for name in ("float", "int8")]
    assert weights[1] < 0.35 * weights[0]
    file = read_exported(files["int8"])
    assert file.metadata["precision"] == "int8"
    assert file.classes == load(digits_run).classes
    answers = lenext.load(files["int8"]).predict([np.zeros((28, 28), np.uint8)], top=10)
    assert sum(each["probability"] for each in answers[0]["predictions"]) == pytest.approx(1, abs=1e-4)


def test_the_images_judged_by_are_not_those_calibrated_by(files: dict[str, Path], digits_run: Path) -> None:
    classifier, file = load(digits_run), read_exported(files["float"])
    calibrating, judged = labelled_images(classifier, file, "digits")
    first, second = ({pixels.tobytes() for pixels in part.pixels} for part in (calibrating, judged))
    assert len(first) > 250
    assert len(second) > 250
    assert not first & second
    items = open_digits().splits["all"].items
    own = {digest(np.asarray(item)) for item in items} - set(classifier.trained_on.tolist())
    assert len(judged.labels) <= len(own)  # none of those judged by was trained on


def test_too_large_a_drop_leaves_no_file(digits_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = int8.labelled_images

    def dark(*arguments: Any) -> tuple[Labelled, Labelled]:
        calibrating, judged = right(*arguments)
        return Labelled([np.zeros_like(each) for each in calibrating.pixels[:4]], calibrating.labels[:4]), judged

    monkeypatch.setattr("lenext.deployment.exporting.export.labelled_images", dark)
    with pytest.raises(TooWorseError, match="more than 1 points of top-1 are lost"):
        export(digits_run, "openvino", tmp_path / "a.xml", int8=True, max_drop=1)
    assert not list(tmp_path.iterdir())


def test_the_command_says_what_eight_bits_cost(
    command: Callable[..., Answer], digits_run: Path, tmp_path: Path
) -> None:
    answer = command("export", digits_run, "--format", "onnx", "--int8", "--out", tmp_path / "a.onnx", "--json")
    assert answer.code == 0
    told = json.loads(answer.out)["int8"]
    assert told["drop"] == pytest.approx(told["float_top1"] - told["top1"])
    assert told["drop"] <= 2
    assert told["macs_share"] >= 80
    assert told["calibrated"] + told["judged"] <= 1797
    assert set(told["speed"]) == {"onnxruntime", "openvino"}
    lost = sum(each["right_before"] - each["right_after"] for each in told["classes"])
    assert lost >= round(told["drop"] * told["judged"] / 100)
