"""`lenext recipes`, `lenext augment`, and what `lenext train` does with a recipe, through the real entry point."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Answer
from pictures import class_folder
from PIL import Image

from lenext.training.recipes import recipe_names

Command = Callable[..., Answer]

pytestmark = pytest.mark.usefixtures("one_thread")


def test_the_recipes_are_listed(command: Command) -> None:
    listed = command("recipes")
    assert listed.code == 0
    assert all(f"\n{name} " in listed.out for name in recipe_names())
    assert "published" in listed.out
    assert "digits" not in listed.out, "what a tiny form reached says nothing of the recipe"
    assert "NAME:tiny" in listed.out


def test_all_recipes_as_json(command: Command) -> None:
    entries = command("recipes", "--json", "--images", "60000").json
    assert [entry["name"] for entry in entries] == recipe_names()
    for entry in entries:
        assert entry["command"].startswith("lenext train ")
        assert entry["tiny_command"].startswith("lenext train digits ")
        assert entry["paper"] is None or entry["paper"].startswith("https://")
        assert {each["source"] for each in entry["reached"]} <= {"published", "measured here"}
        assert entry["values"]["epochs"] >= 1
        assert entry["values"]["augmentation"]["crop"]


def test_one_recipe_as_json(command: Command) -> None:
    entry = command("recipes", "wide_resnet", "--json").json
    assert (entry["schema"], entry["name"], entry["general"]) == (1, "wide_resnet", False)
    assert entry["paper"] == "https://arxiv.org/abs/1605.07146"
    assert entry["models"] == ["wrn40_4_cifar", "wrn16_8_cifar", "wrn28_10_cifar"]
    assert entry["values"]["milestones"] == [0.3, 0.6, 0.8]
    assert entry["values"]["augmentation"]["crop"] == "translate"
    tiny = command("recipes", "wide_resnet:tiny", "--json").json
    assert tiny["values"]["epochs"] < entry["values"]["epochs"]


def test_one_recipe_is_shown(command: Command) -> None:
    shown = command("recipes", "default").out
    assert "why      one cycle" in shown
    assert "weight_decay" in shown
    assert "measured here" in shown
    assert "padding=4" in command("recipes", "cifar_fast").out, "for pictures of the size that its command has"


@pytest.mark.parametrize(
    ("name", "message"),
    [("resnt", "did you mean resnet"), ("paper", "give its name"), ("paper:tiny", "give its name")],
)
def test_a_recipe_that_is_none(command: Command, name: str, message: str) -> None:
    answer = command("recipes", name)
    assert answer.code == 2
    assert message in answer.err
    assert answer.err.count("\n") <= 1


def test_a_sheet_of_grey_digits(command: Command, tmp_path: Path) -> None:
    out = tmp_path / "sheet.png"
    words = ("augment", "digits", "--recipe", "small_data", "--size", 28, "--out", out, "--images", 3, "--views", 2)
    answer = command(*words)
    with Image.open(out) as sheet:
        sheet.load()
        assert f"{sheet.width}x{sheet.height} pixels" in answer.out
        assert sheet.height > 3 * 100
        assert len(sheet.getcolors(10**6) or []) > 50
    before = out.read_bytes()
    again = command(*words)
    assert again.code == 2
    assert "there already" in again.err
    assert out.read_bytes() == before
    other = tmp_path / "other.png"
    command(*words[:-5], other, *words[-4:])
    assert other.read_bytes() == before, "the same seed draws the same views"
    command(*words[:-5], tmp_path / "seed.png", *words[-4:], "--seed", 1)
    assert (tmp_path / "seed.png").read_bytes() != before


def test_a_sheet_of_photos_as_a_model_sees_them(command: Command, tmp_path: Path) -> None:
    photos, sizes = class_folder(tmp_path / "photos", images=3), []
    for views in (1, 4):
        out = tmp_path / f"{views}.jpg"
        answer = command(
            "augment", photos, "--recipe", "paper", "--model", "resnet20_cifar", "--out", out, "--images", 2,
            "--views", views, "--set", "mixup=0.5", "--json",
        )  # fmt: skip
        assert answer.code == 0, answer.err
        with Image.open(out) as sheet:
            assert (sheet.format, sheet.mode) == ("JPEG", "RGB")
            told = {"out": str(out), "recipe": "paper", "width": sheet.width, "height": sheet.height}
            assert answer.json == {"schema": 1, **told}
            sizes.append(sheet.size)
    assert sizes[0][1] == sizes[1][1]
    assert sizes[1][0] - sizes[0][0] == 3 * (112 + 6), "a column more for each view"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--out", "sheet.gif"), "is no picture"),
        (("--out", "nowhere/sheet.png"), "there is no folder nowhere"),
        (("--recipe", "nope"), "no recipe is called 'nope'"),
        (("--recipe", "paper"), "give --model"),
        (("--recipe", "paper:tiny"), "give --model"),
        (("--set", "crop=foo"), "crop 'foo' cannot be: give none, pad"),
        (("--model", "nope"), "no model is called 'nope'"),
        (("--size", "0"), "0"),
    ],
)
def test_a_sheet_that_cannot_be(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = command("augment", "digits", *(() if "--out" in words else ("--out", "sheet.png")), *words)
    assert answer.code == 2
    assert message in answer.err
    assert answer.err.count("\n") <= 1
    assert not list(tmp_path.iterdir())


def test_values_of_a_recipe_through_the_command(command: Command, tmp_path: Path) -> None:
    answer = command(
        "train", "digits", "--model", "lenet5", "--size", 12, "--epochs", 2, "--out", tmp_path / "run", "--json",
        "--set", "mixup=0.2", "--set", "accumulate=4", "--set", "ema=0.9", "--set", "clip=1",
        "--set", "label-smoothing=0.05", "--set", "class_weights=balanced", "--set", "sampling=balanced",
        "--set", "schedule=step", "--set", "milestones=0.5,0.75", "--set", "factors=0.1,0.01", "--set", "warmup=0.1",
        "--set", "optimizer=rmsprop", "--set", "eps=1e-3", "--set", "precision=bfloat16",
        "--set", "memory_format=contiguous", "--set", "early_stopping=5",
    )  # fmt: skip
    assert answer.code == 0, answer.err
    assert "bfloat16, NCHW" in answer.err
    assert answer.json["selected_by"] == "early stopping"
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    recipe = record["recipe"]
    assert (recipe["accumulate"], recipe["ema"], recipe["clip"], recipe["sampling"]) == (4, 0.9, 1.0, "balanced")
    assert recipe["milestones"] == [0.5, 0.75]
    assert recipe["augmentation"]["mixup"] == 0.2
    assert record["arithmetic"] == {
        "channels_last": False,
        "bfloat16": True,
        "compiled": False,
        "measured": False,
    }
    assert "--set milestones=0.5,0.75" in record["command"]
    assert command("evaluate", tmp_path / "run", "digits", "--json").json["top1"] == answer.json["top1"]


def test_minutes_through_the_command(command: Command, tmp_path: Path) -> None:
    answer = command(
        "train", "digits", "--model", "mlp", "--size", 8, "--minutes", 0.05, "--out", tmp_path / "run", "--json"
    )
    assert answer.code == 0, answer.err
    assert "as many epochs as the time allows" in answer.err
    result = answer.json
    assert {
        "schema", "run", "model", "epochs", "top1", "top5", "loss", "images", "train_images", "seconds",
        "train_seconds", "images_per_second", "steps_executed", "skipped", "selected_by", "split",
    } == set(result)  # fmt: skip
    assert result["train_seconds"] < 3
    assert result["steps_executed"] > 10
    assert json.loads((tmp_path / "run" / "run.json").read_text())["state"] == "finished"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--set", "lr=abc"), "lr 'abc' is not a number"),
        (("--set", "crop=foo"), "crop 'foo' cannot be: give none, pad, translate, random or inception"),
        (("--recipe", "nope"), "no recipe is called 'nope'; there are default"),
        (("--recipe", "paper"), "no recipe here is of the paper of lenet5"),
        (("--minutes", "0"), "minutes 0.0 cannot be; give more than 0"),
        (("--minutes", "5", "--epochs", "3"), "both minutes and epochs are given"),
        (("--set", "milestones=0.5"), "factors () cannot be: give one share of the rate for each milestone"),
        (("--set", "ema=1"), "ema 1.0 cannot be: give from 0 up to, not including, 1"),
        (("--set", "dropout=0.5"), "lenet5 has no option 'dropout'"),
        (
            ("--recipe", "bn_inception"),
            "the recipe bn_inception sets dropout, which lenet5 does not have; leave it out",
        ),
        (("--set", "accumulate=64"), "accumulate 64 cannot be: give from 1 to the batch size"),
        (("--set", "wings=2"), "a recipe has no 'wings'"),
        (("--set", "lr"), "give KEY=VALUE"),
        (("--lr", "0.1", "--set", "lr=0.01"), "lr is given twice, as 0.1 and as 0.01; give it once"),
    ],
)
def test_mistakes_take_one_line_and_leave_nothing(
    command: Command, tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    answer = command("train", "digits", "--model", "lenet5", "--out", tmp_path / "run", *words)
    assert answer.code == 2
    assert message in answer.err
    assert answer.err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_the_smallest_batches(command: Command, tmp_path: Path) -> None:
    photos = class_folder(tmp_path / "photos", images=6)
    words = ("train", photos, "--size", 12, "--epochs", 1, "--batch-size", 1, "--set", "mixup=0.5")
    assert command(*words, "--model", "lenet5", "--out", tmp_path / "a").code == 0
    for number, more in enumerate(((), ("--set", "optimizer=sdlm"))):
        refused = command(*words, "--model", "resnet18", *more, "--out", tmp_path / f"b{number}")
        assert refused.code == 2
        assert "one image at a time is too few" in refused.err.splitlines()[-1]
