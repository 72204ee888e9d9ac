"""`lenext predict` on folders: what it prints and writes, going on after a kill, and a line for every wrong file."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow.parquet as pq
import pytest
from conftest import Answer
from PIL import Image
from sklearn.datasets import load_digits

import lenext

Command = Callable[..., Answer]
PLENTY, AT_LEAST = 200, 15  # images of which a command is to be killed at some, and lines before that


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Digits in folders, some with names that files seldom have, and some that are no images."""
    folder = tmp_path_factory.mktemp("photos")
    (folder / "below").mkdir()
    digits = (load_digits().images[:40] * (255 / 16)).astype(np.uint8)
    odd = ['q"uote,.png', "new\nline.png", "\r.png", "ünï .png", "[red]x[bold].png", "caf\udce9.png", "below/=1+1.png"]
    for number, pixels in enumerate(digits):
        name = odd[number] if number < len(odd) else f"{number:02}.png"
        with (folder / name).open("wb") as file:
            Image.fromarray(pixels).save(file, "PNG")
    (folder / "30 broken.png").write_bytes(b"no image")
    (folder / "below" / "empty.jpg").touch()
    return folder


def rows_of(path: Path) -> list[dict[str, Any]]:
    """Return image, label, probability, error and whether of low confidence, of a file of any kind."""
    if path.suffix == ".jsonl":
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        return [{**line, **(line.get("predictions") or [{}])[0]} for line in lines]
    if path.suffix == ".parquet":
        return list(pq.read_table(path).to_pylist())
    with path.open(newline="") as file:
        return [
            {
                "image": row["image"],
                "label": row["label"] or None,
                "probability": float(row["probability"]) if row["probability"] else None,
                "error": row["error"] or None,
                "low_confidence": {"": None, "true": True, "false": False}[row["low_confidence"]],
            }
            for row in csv.DictReader(file)
        ]


@pytest.mark.parametrize("target", ["run", "onnx"])
def test_every_kind_of_file_holds_the_same(
    command: Command, digits_run: Path, digits_files: dict[str, Path], photos: Path, tmp_path: Path, target: str
) -> None:
    where = digits_run if target == "run" else digits_files[target]
    printed = command("predict", where, photos, "--top", 2, "--low-confidence", 0.6, "--json")
    expected = [{**row, **(row.get("predictions") or [{}])[0]} for row in printed.json]
    images = [row["image"] for row in expected]
    assert images[-2:] == [str(photos / "below" / "=1+1.png"), str(photos / "below" / "empty.jpg")]
    low = sum(row.get("low_confidence") is True for row in expected)
    assert 0 < low < 40
    for kind in ("jsonl", "csv", "parquet"):
        out = tmp_path / f"answers.{kind}"
        answer = command("predict", where, photos, "--top", 2, "--low-confidence", 0.6, "--out", out)
        assert answer.code == 0, answer.err
        assert answer.out == f"{out}: 42 images, 2 unreadable, {low} below 0.6: look at it\n"
        assert "30 broken.png: not an image" in answer.err
        found = rows_of(out)
        assert [row["image"].replace("\\udce9", "\udce9") for row in found] == images
        for row, other in zip(found, expected, strict=True):
            for key in ("label", "error", "low_confidence"):
                assert row.get(key) == other.get(key)
            assert row.get("probability") == pytest.approx(other.get("probability"), abs=1e-6)


def test_low_confidence_is_marked_in_table_and_python(command: Command, digits_run: Path, photos: Path) -> None:
    answer = command("predict", digits_run, photos, "--low-confidence", 0.6)
    entries = lenext.load(digits_run).predict(photos, low_confidence=0.6)
    low = [entry["image"] for entry in entries if entry.get("low_confidence")]
    assert answer.out.splitlines()[-1] == f"{len(low)} of 42 below 0.6: look at it"
    marked = [line for line in answer.out.splitlines()[:-1] if "look at it" in line]
    assert len(marked) == len(low)
    assert all((entry["predictions"][0]["probability"] < 0.6) == (entry["image"] in low) for entry in entries[:5])
    assert all("low_confidence" not in entry for entry in lenext.load(digits_run).predict(photos))


def test_json_with_a_file_counts(command: Command, digits_run: Path, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "answers.csv"
    command("predict", digits_run, photos / "30 broken.png", photos / "10.png", "--out", out)
    found = command("predict", digits_run, photos, "--out", out, "--resume", "--json").json
    assert found == {"schema": 1, "out": str(out), "images": 42, "answered_before": 2, "unreadable": 2}
    tally = lenext.load(digits_run).record([photos], out, resume=True)
    assert (tally.images, tally.before) == (42, 42)


@pytest.fixture(scope="module")
def plenty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noise that takes its time to decode, so that a command can be killed in the middle."""
    folder = tmp_path_factory.mktemp("plenty")
    noise = np.random.default_rng(0).integers(0, 256, (4, 500, 500, 3), np.uint8)
    for number, pixels in enumerate(noise):
        Image.fromarray(pixels).save(folder / f".{number}.jpg", quality=95)
    for number in range(PLENTY):
        (folder / f"{number:04}.jpg").symlink_to(f".{number % 4}.jpg")
    (folder / "0021 broken.jpg").write_bytes(b"no")
    return folder


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no signals")
@pytest.mark.parametrize(
    ("kind", "number"), [("jsonl", "SIGKILL"), ("csv", "SIGKILL"), ("parquet", "SIGKILL"), ("csv", "SIGINT")]
)
def test_a_command_that_was_killed_goes_on(
    command: Command, digits_files: dict[str, Path], plenty: Path, tmp_path: Path, kind: str, number: str
) -> None:
    out = tmp_path / f"answers.{kind}"
    words = ("predict", digits_files["onnx"], plenty, "--top", "3", "--threads", "2", "--out")
    started = subprocess.Popen(
        [sys.executable, "-m", "lenext", *map(str, words), str(out)], stderr=subprocess.PIPE, text=True
    )
    growing, lines = out.with_name(out.name + ".part.jsonl") if kind == "parquet" else out, 0
    while lines < AT_LEAST and started.poll() is None:
        time.sleep(0.001)
        lines = growing.read_bytes().count(b"\n") if growing.exists() else 0
    started.send_signal(getattr(signal, number))
    _, err = started.communicate(timeout=60)
    assert started.returncode == (130 if number == "SIGINT" else -signal.SIGKILL)
    if number == "SIGINT":
        assert err.splitlines()[-1] == "lenext: interrupted"
    lines = growing.read_bytes().count(b"\n")
    assert AT_LEAST <= lines < PLENTY
    refused = command(*words, out)
    assert refused.code == 2
    assert "is there already; give --resume to go on with it, another name" in refused.err
    resumed = command(*words, out, "--resume")
    assert resumed.code == 0, resumed.err
    assert f"{PLENTY + 1} images" in resumed.out
    assert "of them answered before, 1 unreadable" in resumed.out
    whole = tmp_path / f"whole.{kind}"
    assert command(*words, whole).code == 0
    if kind == "parquet":
        assert pq.read_table(out).equals(pq.read_table(whole), check_metadata=True)
    else:
        assert out.read_bytes() == whole.read_bytes()


def test_another_model_or_other_options_are_refused(
    command: Command, digits_run: Path, other_run: Path, digits_files: dict[str, Path], photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "answers.jsonl"
    command("predict", digits_run, photos / "10.png", "--out", out)
    before = out.read_bytes()
    for words, message in (
        ((other_run,), "answers.jsonl holds the answers of lenet5"),
        ((digits_files["onnx"],), "answers.jsonl holds the answers of lenet5"),
        ((digits_run, "--top", 3), "was written with top 5, and now it is 3"),
        ((digits_run, "--low-confidence", 0.5), "was written with low-confidence None, and now it is 0.5"),
    ):
        answer = command("predict", words[0], photos, *words[1:], "--out", out, "--resume")
        assert (answer.code, answer.out) == (2, "")
        assert message in answer.err
        assert len(answer.err.splitlines()) == 1
    assert out.read_bytes() == before


def test_wrong_options_are_told_in_a_line(command: Command, digits_run: Path, photos: Path, tmp_path: Path) -> None:
    for words, message in (
        (("--out", tmp_path / "answers.txt"), "give a name that ends in .jsonl, .csv or .parquet"),
        (("--out", tmp_path / "no" / "answers.csv"), "there is no folder"),
        (("--resume",), "--resume goes on with a file: give --out FILE too"),
        (("--low-confidence", 60), "low confidence 60 is no probability; give 0 to 1"),
        (("--low-confidence", 60, "--out", tmp_path / "a.csv"), "low confidence 60 is no probability; give 0 to 1"),
        (("--top", 0, "--out", tmp_path / "a.csv"), "top 0 cannot be: give 1 or more"),
    ):
        answer = command("predict", digits_run, photos, *words)
        assert (answer.code, answer.out) == (2, "")
        assert message in answer.err
    assert not list(tmp_path.iterdir())


def test_strict_ends_at_the_first_and_keeps_what_came_before(
    command: Command, digits_run: Path, photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "answers.csv"
    answer = command("predict", digits_run, photos / "29.png", photos, "--out", out, "--strict")
    assert answer.code == 1
    assert "30 broken.png cannot be read: not an image" in answer.err
    assert 2 <= len(rows_of(out)) < 42
    assert command("predict", digits_run, photos / "29.png", photos, "--out", out, "--resume").code == 0
    assert len(rows_of(out)) == 43
    answer = command("predict", digits_run, photos / "30 broken.png", "--out", tmp_path / "none.csv")
    assert answer.code == 2
    assert "no image can be read" in answer.err


# Wrong files, each made of a sound one.


def _with_metadata(change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        model = onnx.load(path)
        entry = next(each for each in model.metadata_props if each.key == "lenext")
        value = json.loads(entry.value)
        change(value)
        entry.value = json.dumps(value)
        onnx.save(model, path)

    return spoil


def _foreign(path: Path) -> None:
    model = onnx.load(path)
    del model.metadata_props[:]
    onnx.save(model, path)


WRONG: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "foreign": ("onnx", _foreign, "was not written by lenext: it carries no class names or preprocessing"),
    "newer": ("onnx", _with_metadata(lambda value: value.update(format=9)), "has format 9, written by lenext"),
    "classless": ("onnx", _with_metadata(lambda value: value.pop("class_names")), "metadata has no usable class_names"),
    "fitless": ("onnx", _with_metadata(lambda v: v["preprocessing"].pop("fit")), "its preprocessing cannot be read"),
    "words": ("onnx", lambda path: path.write_text("hello, this is no protocol buffer\n"), "is damaged or no file of"),
    "empty": ("onnx", lambda path: path.write_bytes(b""), "is damaged or no file of this format"),
    "absent": ("onnx", lambda path: path.unlink(), "there is no file"),
    "without-bin": ("openvino", lambda path: path.with_suffix(".bin").unlink(), "there is no file"),
    "cut-xml": ("openvino", lambda path: path.write_bytes(path.read_bytes()[:5_000]), "is damaged or no file of"),
    "without-json": ("ncnn", lambda path: path.with_suffix(".json").unlink(), "there is no file"),
    "cut-json": ("ncnn", lambda p: p.with_suffix(".json").write_text('{"format": 1'), "is damaged"),
    "without-weights": ("ncnn", lambda path: path.with_suffix(".bin").unlink(), "there is no file"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_files_are_told_in_a_line(
    command: Command, digits_files: dict[str, Path], photos: Path, tmp_path: Path, wrong: str
) -> None:
    format, spoil, message = WRONG[wrong]
    folder = Path(shutil.copytree(digits_files[format].parent, tmp_path / "copied"))
    file = folder / digits_files[format].name
    spoil(file)
    for words in (("predict", file, photos, "--json"), ("evaluate", file, "digits"),
                  ("scan", file, photos / "10.png", "--class", "3", "--json")):  # fmt: skip
        answer = command(*words)
        assert (answer.code, answer.out) == (2, ""), answer.err
        assert message in answer.err
        assert len(answer.err.splitlines()) == 1


def test_a_file_that_is_cut_anywhere_is_told_in_a_line(
    command: Command, digits_files: dict[str, Path], photos: Path, tmp_path: Path
) -> None:
    data = digits_files["onnx"].read_bytes()
    file, out = tmp_path / "cut.onnx", tmp_path / "answers.csv"
    for end in {*range(0, len(data), len(data) // 23), 1, 2, 9, 40, len(data) - 1, len(data) - 300}:
        file.write_bytes(data[:end])
        answer = command("predict", file, photos / "10.png", "--out", out)
        assert (answer.code, answer.out) == (2, ""), end
        assert "cut.onnx is damaged" in answer.err or "cut.onnx cannot be loaded" in answer.err
        assert len(answer.err.splitlines()) == 1
        assert os.listdir(tmp_path) == ["cut.onnx"]  # noqa: PTH208
