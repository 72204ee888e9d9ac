"""`lenext scan`: the picture, the peaks, and a line for every mistake."""

from __future__ import annotations

import io
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Answer
from interruptible import interruptible
from PIL import Image
from sklearn.datasets import load_digits

import lenext
from lenext.errors import UserError
from lenext.scanning.overlay import heat_map
from lenext.training.run import TrainResult

Command = Callable[..., Answer]


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A page of built-in digits, each as the trained network sees it, four by three."""
    images = load_digits().images[:12] * (255 / 16)
    tiles = [np.asarray(Image.fromarray(each.astype(np.uint8)).resize((28, 28))) for each in images]
    Image.fromarray(np.block([tiles[row : row + 4] for row in (0, 4, 8)])).save(tmp_path / "page.png")
    return tmp_path / "page.png"


def test_picture_table_and_json(command: Command, digits_run: Path, page: Path, tmp_path: Path) -> None:
    answer = command("scan", digits_run, page, "--class", "3", "--scales", "1", "--out", tmp_path / "map.png")
    assert answer.code == 0, answer.err
    assert answer.out.split()[:4] == ["probability", "x", "y", "scale"]
    assert "map.png" in answer.err
    with Image.open(tmp_path / "map.png") as picture:
        assert picture.format == "PNG"
        assert max(picture.size) <= 2_000
    found = command("scan", digits_run, page, "--class", "3", "--scales", "1", "--json").json
    assert list(found) == [
        "schema", "model", "image", "class", "height", "width", "window", "stride", "scales", "threshold", "peaks",
    ]  # fmt: skip
    assert (found["schema"], found["model"], found["class"], found["image"]) == (1, "lenet5", "3", str(page))
    assert (found["height"], found["width"], found["window"], found["stride"]) == (84, 112, [28, 28], 4)
    assert found["scales"] == [1.0]
    best = found["peaks"][0]
    assert set(best) == {"x", "y", "probability", "scale", "box"}
    near = [peak for peak in found["peaks"] if max(abs(peak["x"] - 98), abs(peak["y"] - 14)) <= 6]
    assert near, "the fourth of the first row"
    assert [best["box"][2] - best["box"][0], best["box"][3] - best["box"][1]] == pytest.approx([28, 28], abs=0.02)
    assert found["peaks"] == sorted(found["peaks"], key=lambda peak: -peak["probability"])


def test_the_same_in_python(digits_run: Path, page: Path, command: Command) -> None:
    classifier = lenext.load(digits_run)
    fields = [
        lenext.scan(classifier, image, "3", scales=(1,)).fields()["peaks"]
        for image in (page, str(page), Image.open(page), np.asarray(Image.open(page)))
    ]
    assert all(each == fields[0] for each in fields)
    tiled = lenext.scan(digits_run, page, "3", scales=(1,), tile=40).fields()["peaks"]
    chances = [[peak["probability"] for peak in peaks] for peaks in (tiled, fields[0])]
    assert chances[0] == pytest.approx(chances[1], abs=1e-4)
    assert Image.open(io.BytesIO(lenext.scan(classifier, page, "3").picture())).format == "PNG"


def test_scales_at_which_the_image_is_too_small_are_left_out(command: Command, digits_run: Path, page: Path) -> None:
    found = command("scan", digits_run, page, "--class", "3", "--scales", "0.1,0.5,2,2", "--json").json
    assert found["scales"] == [0.5, 2.0]
    answer = command("scan", digits_run, page, "--class", "3", "--scales", "0.1,0.2", "--json")
    assert answer.code == 2
    assert "image smaller than the window: 84x112 pixels at scale 0.2, and lenet5 sees 28x28" in answer.err


def test_a_turned_image_is_scanned_upright(command: Command, digits_run: Path, page: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = page.with_name("turned.png")
    Image.open(page).transpose(Image.Transpose.ROTATE_90).save(turned, exif=exif)
    upright, ours = (command("scan", digits_run, path, "--class", "3", "--json").json for path in (page, turned))
    assert (ours["height"], ours["width"]) == (84, 112)
    assert ours["peaks"] == upright["peaks"]


def test_large_images_get_the_same_answers_by_regions(
    command: Command, digits_run: Path, page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pyvips")
    Image.open(page).resize((224, 168)).save(page)
    whole = command("scan", digits_run, page, "--class", "3", "--json").json
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)
    out = page.with_name("large.png")
    answer = command("scan", digits_run, page, "--class", "3", "--tile", 150, "--json", "--out", out)
    assert answer.code == 0, answer.err
    for ours, theirs in zip(answer.json["peaks"], whole["peaks"], strict=True):
        assert ours["probability"] == pytest.approx(theirs["probability"], abs=0.02)
        assert (ours["x"], ours["y"]) == pytest.approx((theirs["x"], theirs["y"]), abs=1)
    assert out.stat().st_size > 1_000


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--class", "seven"), "lenet5 has no class 'seven' among its 10; give one of 0, 1, 2, 3, 4, 5, 6, 7, 8, 9"),
        (("--class", "3", "--scales", "a,b"), "--scales 'a,b': give numbers above zero"),
        (("--class", "3", "--scales", "1,-1"), "give numbers above zero"),
        (("--class", "3", "--scales", "99"), "scales 99: give numbers up to 16"),
        (("--class", "3", "--threshold", "1.5"), "threshold 1.5 is no probability; give 0 to 1"),
        (("--class", "3", "--tile", "0"), "tile 0 is not a number of pixels above zero"),
        (("--class", "3", "--tile", "20"), "a tile of 20 pixels is too small"),
        (("--class", "3", "--device", "tpu"), "the device 'tpu' cannot be used here"),
        ((), "Missing option '--class'"),
    ],
)
def test_mistakes_are_told_in_a_line(
    command: Command, digits_run: Path, page: Path, words: tuple[str, ...], message: str
) -> None:
    answer = command("scan", digits_run, page, "--json", *words)
    assert (answer.code, answer.out) == (2, "")
    assert message in answer.err
    assert len(answer.err.splitlines()) == 1


def test_images_that_cannot_be_had(command: Command, digits_run: Path, tmp_path: Path) -> None:
    (tmp_path / "words.png").write_text("words")
    for name, message in (("words.png", "not an image"), ("absent.png", "no such file"), (".", "is a folder")):
        answer = command("scan", digits_run, tmp_path / name, "--class", "3", "--json")
        assert answer.code == 2
        assert message in answer.err
        assert len(answer.err.splitlines()) == 1


def test_nothing_is_written_over(command: Command, digits_run: Path, page: Path, tmp_path: Path) -> None:
    for out, message in ((page, "is there already"), (tmp_path / "no" / "map.png", "there is no folder")):
        before = page.read_bytes()
        answer = command("scan", digits_run, page, "--class", "3", "--out", out)
        assert answer.code == 2
        assert message in answer.err
        assert page.read_bytes() == before
    answer = command("scan", digits_run, page, "--class", "3")
    assert (answer.code, "--out map.png" in answer.err) == (2, True)


def test_no_peak_says_how_near_it_came(command: Command, digits_run: Path, page: Path, tmp_path: Path) -> None:
    answer = command("scan", digits_run, page, "--class", "3", "--threshold", "1", "--out", tmp_path / "map.png")
    assert answer.code == 0
    assert answer.out.startswith("no peak of 3 at 1 or above; its largest probability is 0.")
    assert (tmp_path / "map.png").stat().st_size > 1_000


def test_classes_of_imagenet_by_name_id_and_synonym(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save(lenext.create("resnet18").state_dict(), tmp_path / "weights.pth")
    image = tmp_path / "grey.png"
    Image.new("L", (230, 240), 90).save(image)
    start = ("scan", "resnet18", image, "--weights", tmp_path / "weights.pth", "--json", "--class")
    for label in ("German short-haired pointer", "n02100236", "german_short-haired_POINTER"):
        found = command(*start, label).json
        assert (found["class"], found["id"]) == ("German short-haired pointer", "n02100236")
    answer = command(*start, "German shorthair pointer")
    assert answer.code == 2
    assert "has no class 'German shorthair pointer' among its 1,000; did you mean German short-haired" in answer.err
    assert "2 classes of the model are called 'crane'" in command(*start, "crane").err


def test_the_scale_decides_who_is_found(digits_result: TrainResult) -> None:
    with pytest.raises(UserError, match="scales none: give numbers"):
        lenext.scan(digits_result.run, np.zeros((30, 30), np.uint8), "3", scales=())


def test_heat_fades_beyond_the_outermost_cells(digits_run: Path, page: Path) -> None:
    scan = lenext.scan(digits_run, page, "3", scales=(1, 2))
    heat = heat_map(scan.maps, (84, 112), 1.0)
    assert heat.shape == (84, 112)
    assert 0 <= heat.min() <= heat.max() <= 1
    assert heat.max() == pytest.approx(max(each.probability.max() for each in scan.maps), abs=0.1)


@pytest.mark.skipif(not hasattr(signal, "SIGINT") or os.name == "nt", reason="no signals")
def test_an_interrupt_leaves_nothing(digits_run: Path, tmp_path: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (3_000, 3_000), np.uint8)).save(tmp_path / "noise.png")
    out = tmp_path / "map.png"
    words = ["scan", digits_run, tmp_path / "noise.png", "--class", "3", "--scales", "1,2,4", "--tile", "300"]
    with interruptible(*words, "--threads", "1", "--out", out) as started:
        time.sleep(4)
        started.send_signal(signal.SIGINT)
        _, told = started.communicate(timeout=60)
    assert started.returncode == 130
    assert told.splitlines()[-1] == "lenext: interrupted"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["noise.png"]
