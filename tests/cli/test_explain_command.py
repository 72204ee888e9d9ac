"""`lenext explain`: maps and their page, sheets, and a line for every mistake."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from browser import Page
from conftest import Answer
from PIL import Image

import lenext
from lenext.errors import UserError
from lenext.explanation.sheets import SHOWN, filters_sheet

Command = Callable[..., Answer]
EXAMPLES = Path(__file__).parents[2] / "examples" / "digits"
TWO, SEVEN = EXAMPLES / "two.png", EXAMPLES / "seven.png"


@pytest.fixture
def page_of() -> Callable[[Path], Page]:
    return lambda folder: Page((folder / "index.html").read_text(encoding="utf-8"))


def test_maps_page_table_and_json(
    command: Command, digits_run: Path, tmp_path: Path, page_of: Callable[[Path], Page]
) -> None:
    (tmp_path / "broken.png").write_text("no")
    words = ("explain", digits_run, TWO, tmp_path / "broken.png", SEVEN, "--class", "2")
    answer = command(*words, "--out", tmp_path / "maps")
    assert answer.code == 0, answer.err
    assert answer.out.split()[:5] == ["image", "class", "probability", "x", "y"]
    assert f"{tmp_path / 'broken.png'} cannot be read: not an image" in answer.err
    assert sorted(path.name for path in (tmp_path / "maps").iterdir()) == [
        "001-two.png", "002-seven.png", "index.html",
    ]  # fmt: skip
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken.png", "maps"]
    with Image.open(tmp_path / "maps" / "001-two.png") as picture:
        assert picture.size == (448, 448), "eight pixels a side would tell nothing"
    page = page_of(tmp_path / "maps")
    assert all(address.startswith(("data:image/", "#")) for address in page.addresses)
    assert len(page.addresses) == 4
    for shown in ("What lenet5 looks at", "Grad-CAM at the output of stage 1", "two.png", "answered", "Skipped files"):
        assert shown in page.text, shown

    found = command(*words, "--json", "--out", tmp_path / "again").json
    assert [entry["image"] for entry in found] == [str(TWO), str(tmp_path / "broken.png"), str(SEVEN)]
    assert found[1] == {"schema": 1, "image": str(tmp_path / "broken.png"), "error": "not an image"}
    assert list(found[0]) == [
        "schema", "image", "label", "probability", "answer", "method", "stage", "height", "width", "seen", "peak",
        "picture", "check",
    ]  # fmt: skip
    assert found[0]["picture"] == str(tmp_path / "again" / "001-two.png")
    assert (found[0]["label"], found[2]["label"], found[2]["answer"]["label"]) == ("2", "2", "7")
    assert found[2]["probability"] < 0.5 < found[2]["answer"]["probability"]
    assert (found[0]["method"], found[0]["stage"], found[0]["check"]) == ("gradcam", 1, None)
    assert 0 <= found[0]["peak"]["x"] <= found[0]["width"] == 8
    alone = command("explain", digits_run, SEVEN, "--json", "--stage", "0").json
    assert (alone[0]["label"], alone[0]["stage"], alone[0]["picture"]) == ("7", 0, None)


def test_the_same_in_python(digits_run: Path, tmp_path: Path, command: Command) -> None:
    classifier = lenext.load(digits_run)
    kinds = (TWO, str(TWO), Image.open(TWO), np.asarray(Image.open(TWO)))
    peaks = [lenext.explain(classifier, kind, label="2").readable[0].heat.peak for kind in kinds]
    assert all(peak == peaks[0] for peak in peaks)
    found = lenext.explain(digits_run, [EXAMPLES, tmp_path / "none.png"])
    assert (len(found.readable), len(found.skipped)) == (6, 1)
    assert len(found.write(tmp_path / "maps")) == 6
    assert "Run it again" not in (tmp_path / "maps" / "index.html").read_text()
    with pytest.raises(UserError, match="is there already"):
        found.write(tmp_path / "maps")
    (tmp_path / "empty").mkdir()
    assert found.write(tmp_path / "empty")[0].exists()


def test_the_check_is_told_everywhere(
    command: Command, digits_run: Path, tmp_path: Path, page_of: Callable[[Path], Page]
) -> None:
    words = ("explain", digits_run, TWO, SEVEN, "--check")
    answer = command(*words, "--out", tmp_path / "maps", "--json")
    found = answer.json[0]["check"]
    assert list(found) == ["randomised", "deletion"]
    assert [row["part"] for row in found["randomised"]["cascade"]] == ["head", "stage 1", "stage 0"]
    assert len(found["deletion"]["by_map"]) == len(found["deletion"]["deleted"]) == 15
    page = page_of(tmp_path / "maps")
    assert "maps that depend on the weights" in page.text
    assert f"{found['deletion']['area']:.3f}" in page.text
    assert (tmp_path / "maps" / "index.html").read_text().count("<svg") == 2
    table = command(*words, "--out", tmp_path / "more").out
    assert "random weights" in table
    assert f"{found['deletion']['random_area']:.3f}" in table


@pytest.mark.parametrize("method", ["occlusion", "integrated-gradients", "dense"])
def test_the_other_methods(command: Command, digits_run: Path, tmp_path: Path, method: str) -> None:
    pytest.importorskip("captum")
    answer = command("explain", digits_run, SEVEN, "--method", method, "--out", tmp_path / "maps", "--json")
    assert answer.code == 0, answer.err
    assert (answer.json[0]["method"], answer.json[0]["stage"]) == (method, None)
    assert answer.json[0]["peak"]
    assert answer.err == ""


def test_sheets(command: Command, digits_run: Path, tmp_path: Path) -> None:
    found = command("explain", digits_run, "--filters", "--out", tmp_path / "filters.png", "--json").json
    with Image.open(tmp_path / "filters.png") as picture:
        assert picture.size == (found["width"], found["height"])
    assert (found["model"], found["shown"], found["left_out"]) == ("lenet5", 6, 0)
    answer = command("explain", digits_run, TWO, "--activations", "--out", tmp_path / "maps.jpg")
    assert answer.out == f"{tmp_path / 'maps.jpg'}: {size(tmp_path / 'maps.jpg')} pixels, 22 tiles\n"
    second = command("explain", digits_run, TWO, "--activations", "--stage", 1, "--out", tmp_path / "two.png", "--json")
    assert second.json["shown"] == 16


def size(path: Path) -> str:
    with Image.open(path) as picture:
        return f"{picture.width}x{picture.height}"


def test_kernels_have_their_colours(tmp_path: Path, digits_run: Path) -> None:
    classifier = lenext.load(digits_run)
    model = lenext.create("resnet20_cifar", classes=10)
    weights = model.get_submodule("stem.conv.conv").get_parameter("weight")
    weights.data.zero_()
    weights.data[0, 0] = 0.2  # red
    weights.data[1, :, 1, 1] = -3.0  # dark in the middle
    coloured = lenext.Classifier(**{**vars(classifier), "model": model})
    sheet = np.asarray(filters_sheet(coloured).picture)
    colours = {tuple(pixel) for pixel in sheet.reshape(-1, 3).tolist()}
    assert {(255, 128, 128), (0, 0, 0), (128, 128, 128)} <= colours


def test_of_many_maps_the_strongest_are_shown(tmp_path: Path, command: Command) -> None:
    import torch

    torch.save(lenext.create("resnet20_cifar", classes=10).state_dict(), tmp_path / "w.pth")
    words = ("explain", "resnet20_cifar", TWO, "--weights", tmp_path / "w.pth", "--activations", "--json", "--out")
    found = command(*words, tmp_path / "sheet.png").json
    assert (found["shown"], found["left_out"]) == (16 + 32 + SHOWN, 64 - SHOWN)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((TWO, "--class", "seven"), "lenet5 has no class 'seven' among its 10; give one of 0, 1,"),
        ((TWO, "--stage", "2"), "stage 2 is out of range: the stages of lenet5 are 0 to 1"),
        ((TWO, "--method", "dense", "--stage", "1"), "stage 1 cannot be given for dense"),
        ((TWO, "--method", "magic"), "Invalid value for '--method'"),
        ((), "give an image, or several"),
        ((TWO, "--filters", "--out", "x.png"), "--filters are those of the network"),
        (("--filters", "--stage", "1", "--out", "x.png"), "leave out --stage 1"),
        (("--filters", "--out", "x.html"), "give --out sheet.png for the picture, not x.html"),
        (("--filters", "--check", "--out", "x.png"), "leave out --method, --class, --check"),
        ((TWO, SEVEN, "--activations", "--out", "x.png"), "--activations are those of one image; here are 2"),
        ((TWO, "--activations"), "give --out sheet.png"),
        ((TWO, "--activations", "--filters", "--out", "x.png"), "are two sheets: give one of them"),
        (("none.png",), "no image can be read; none.png: there is no such file"),
        (("none.png", "--activations", "--out", "x.png"), "none.png cannot be read: there is no such file"),
    ],
)
def test_mistakes_are_told_in_a_line(
    command: Command,
    digits_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str | Path, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = command("explain", digits_run, *words, "--json")
    assert (answer.code, answer.out) == (2, "")
    assert message in answer.err
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_written_over(command: Command, digits_run: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    for out, message in (
        (tmp_path / "full", "is there already"),
        (tmp_path / "full" / "mine.txt", "is there already"),
        (tmp_path / "no" / "maps", "there is no folder"),
    ):
        answer = command("explain", digits_run, TWO, "--out", out)
        assert (answer.code, message in answer.err) == (2, True)
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["mine.txt"]
    answer = command("explain", digits_run, TWO)
    assert (answer.code, "--out maps" in answer.err) == (2, True)


def test_a_network_without_stages(command: Command, tmp_path: Path) -> None:
    run = lenext.train("digits", "mlp", epochs=1, out=tmp_path / "mlp").run
    answer = command("explain", run, TWO, "--json")
    assert answer.code == 2
    assert "mlp has no stages, so no feature maps to weigh; give --method occlusion" in answer.err
    assert command("explain", run, TWO, "--method", "dense", "--json").json[0]["peak"]
    answer = command("explain", run, "--filters", "--out", tmp_path / "x.png")
    assert (answer.code, "mlp has no convolution, so no kernels to show" in answer.err) == (2, True)
    html = (Path(run) / "report.html").read_text()
    assert "Worst mistakes" in html
    assert "Grad-CAM" not in html


def test_what_the_network_did_not_see_is_darker(digits_run: Path) -> None:
    wide = np.full((40, 80), 200, np.uint8)
    picture = np.asarray(lenext.explain(digits_run, wide).readable[0].picture()).astype(int)
    assert picture.shape == (224, 448, 3)
    assert picture[:, :111].max() < picture[:, 113:335].min()
    assert np.ptp(picture[:, :110]) == 0, "no heat there"


def test_names_are_text_not_markup(digits_run: Path, tmp_path: Path) -> None:
    hostile = tmp_path / "<img src=x>.png"
    hostile.write_bytes(TWO.read_bytes())
    found = lenext.explain(digits_run, [hostile])
    (picture,) = found.write(tmp_path / "maps", "lenext <script>")
    assert picture.name == "001-img-src-x.png"
    html = (tmp_path / "maps" / "index.html").read_text()
    assert "<img src=x>" not in html
    assert "<script" not in html
    json.dumps(found.fields())


def test_the_mistakes_of_a_report_carry_their_map(digits_run: Path, tmp_path: Path, command: Command) -> None:
    html = (digits_run / "report.html").read_text()
    assert "what led to the wrong answer (Grad-CAM)" in html
    result = lenext.evaluate(digits_run, "digits")
    wrong = min(24, round(result.images * (1 - result.top1 / 100)))
    assert len(re.findall('alt="what led to [0-9]"', html)) == wrong
    assert command("evaluate", digits_run, "digits", "--report", tmp_path / "page.html").code == 0
    page = (tmp_path / "page.html").read_text()
    assert re.findall('alt="what led to ([0-9])"', page) == re.findall('alt="what led to ([0-9])"', html)
    addresses = re.findall('src="(data:image[^"]*)" alt="what', page)
    assert len(set(addresses)) == wrong
    pair = ("evaluate", digits_run, digits_run, "digits", "--ensemble", "--report", tmp_path / "pair.html")
    assert command(*pair).code == 0
    assert "what led to" not in (tmp_path / "pair.html").read_text(), "no one network answered"
