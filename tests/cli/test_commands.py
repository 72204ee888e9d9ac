"""The commands through their real entry point: JSON fields, tables, exit codes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Answer
from pictures import class_folder, odd_folder

import lenext

EXAMPLES = Path(__file__).parents[2] / "examples" / "digits"
COMMANDS = ("models", "describe", "compare", "train", "evaluate", "predict", "doctor")
Command = Callable[..., Answer]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_json_and_an_example_in_its_help(command: Command, name: str) -> None:
    answer = command(name, "--help")
    assert answer.code == 0
    assert f"Example: lenext {name}" in answer.out
    assert "--json" in answer.out


def test_help_lists_every_command(command: Command) -> None:
    answer = command("--help")
    for name in COMMANDS:
        assert re.search(rf"^│ {name} ", answer.out, re.MULTILINE), name


def test_version(command: Command) -> None:
    assert command("--version").out == f"lenext {lenext.__version__}\n"


def test_models(command: Command) -> None:
    rows = command("models", "--json").json
    assert [row["name"] for row in rows] == lenext.list_models()
    for row in rows:
        assert set(row) == {"schema", "name", "family", "year", "paper", "params", "macs", "size"}
    table = command("models").out
    assert re.search(r"lenet5 +lenet +1998 +61,706 +0\.417 M +28", table)


def test_train_reports_every_figure_of_the_contract(command: Command, tmp_path: Path) -> None:
    class_folder(tmp_path / "photos")
    answer = command(
        "train", tmp_path / "photos", "--model", "lenet5", "--epochs", 2, "--batch-size", 5, "--lr", 0.002,
        "--size", "20x24", "--fit", "squash", "--seed", 3, "--recipe", "sgd", "--set", "momentum=0.8",
        "--device", "cpu", "--threads", 2, "--out", tmp_path / "run", "--json",
    )  # fmt: skip
    assert answer.code == 0
    value = answer.json
    assert value["schema"] == 1
    assert {
        "run", "model", "epochs", "top1", "top5", "loss", "images", "train_images", "seconds", "train_seconds",
        "images_per_second", "steps_executed", "skipped", "selected_by",
    } <= set(value)  # fmt: skip
    assert (value["run"], value["model"], value["epochs"]) == (str(tmp_path / "run"), "lenet5", 2)
    assert value["steps_executed"] == 2 * -(-value["train_images"] // 5)
    assert value["top5"] is None
    record = (tmp_path / "run" / "run.json").read_text()
    assert "--recipe sgd --fit squash --seed 3 --device cpu --threads 2 --size 20x24" in record
    assert "--epochs 2 --batch-size 5 --lr 0.002 --set momentum=0.8" in record
    assert "epoch   2" in answer.err


def test_train_takes_the_options_of_the_architecture_and_keeps_them(command: Command, tmp_path: Path) -> None:
    class_folder(tmp_path / "photos")
    words = ["train", tmp_path / "photos", "--epochs", 1, "--size", 32, "--model", "densenet_bc100_12_cifar"]
    chosen = ["--option", "depth=0.1", "--option", "memory_efficient=true"]
    assert command(*words, *chosen, "--out", tmp_path / "run").code == 0
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["settings"]["options"] == {"depth": 0.1, "memory_efficient": True}
    assert "--option depth=0.1 --option memory_efficient=True" in record["command"]
    model = lenext.load(tmp_path / "run").model
    assert model.spec is not None
    assert model.spec.options == {"depth": 0.1, "memory_efficient": True}
    again = command(*words, "--weights", tmp_path / "run", "--option", "dropout=0.1", "--out", tmp_path / "again")
    assert again.code == 0
    spec = lenext.load(tmp_path / "again").model.spec
    assert spec is not None
    assert spec.options == {"depth": 0.1, "memory_efficient": True, "dropout": 0.1}
    for option, message in (
        ("depth=99", "depth 99 cannot be"),
        ("wings=2", "has no option 'wings'"),
        ("depth", "KEY=VALUE"),
    ):
        refused = command(*words, "--option", option, "--out", tmp_path / "refused")
        assert refused.code == 2
        assert message in refused.err
    assert not (tmp_path / "refused").exists()


def test_evaluate(command: Command, digits_run: Path) -> None:
    answer = command("evaluate", digits_run, "digits", "--json")
    value = answer.json
    assert {
        "schema", "model", "split", "top1", "top5", "loss", "images", "classes", "candidates", "views", "seconds",
        "skipped",
    } <= set(value)  # fmt: skip
    assert (value["split"], value["classes"], value["candidates"], value["views"]) == ("held-out", 10, 10, "center")
    assert "(held-out) of 10 classes" in command("evaluate", digits_run, "digits").out
    named = command("evaluate", "lenet5", "--weights", digits_run, "digits", "--json").json
    assert named["top1"] == value["top1"]


def test_predict(command: Command, digits_run: Path) -> None:
    rows = command("predict", digits_run, EXAMPLES / "two.png", EXAMPLES, "--top", 2, "--json").json
    assert [Path(row["image"]).name for row in rows] == ["two.png", *sorted(p.name for p in EXAMPLES.iterdir())]
    for row in rows:
        assert row["schema"] == 1
        assert [set(prediction) for prediction in row["predictions"]] == [{"label", "probability"}] * 2
    assert re.search(r"two\.png +2  \d+\.\d %", command("predict", digits_run, EXAMPLES).out)


def test_predict_with_unreadable_files(command: Command, digits_run: Path, tmp_path: Path) -> None:
    folder, unreadable = odd_folder(tmp_path / "photos")
    answer = command("predict", digits_run, folder, "--json")
    assert answer.code == 0
    assert [str(Path(row["image"]).relative_to(folder)) for row in answer.json if "error" in row] == unreadable
    strict = command("predict", digits_run, folder, "--strict")
    assert (strict.code, strict.out) == (1, "")
    assert "empty.png cannot be read: empty file" in strict.err
    none = command("predict", digits_run, folder / unreadable[0], "--json")
    assert none.code == 2
    assert none.json[0]["error"] == "empty file"
    assert "no image can be read" in none.err


def test_evaluate_with_unreadable_files(command: Command, tmp_path: Path) -> None:
    folder, unreadable = odd_folder(tmp_path / "photos")
    trained = command("train", folder, "--model", "mlp", "--epochs", 1, "--out", tmp_path / "run", "--json")
    assert trained.code == 0
    assert trained.json["skipped"] == 3
    assert "skipped lying/empty.png: empty file" in trained.err
    value = command("evaluate", tmp_path / "run", folder, "--json").json
    assert [file["path"] for file in value["skipped_files"]] == unreadable
    assert command("evaluate", tmp_path / "run", folder, "--strict").code == 1


def test_doctor(command: Command) -> None:
    value = command("doctor", "--json").json
    assert value["lenext"] == lenext.__version__
    assert value["packages"]["torch"]
    assert all(value["packages"].values())
    extras = ("hub", "shards", "tensorboard", "heic", "suspects", "explain", "serve")
    assert value["extras"] == dict.fromkeys(extras, True)
    assert value["cores"] >= 1
    assert all(value["writable"].values())
    assert "extra hub" in command("doctor").out


def test_without_a_command_the_help_is_shown(command: Command) -> None:
    answer = command()
    assert answer.code == 2
    assert "Usage: lenext" in answer.out + answer.err
    assert "lenext: " not in answer.err


def test_file_names_cannot_steer_the_terminal(command: Command, digits_run: Path, tmp_path: Path) -> None:
    (tmp_path / "bad\n\x1b[31m.png").write_bytes(b"")
    answer = command("predict", digits_run, tmp_path)
    assert "bad\\n\\x1b[31m.png" in answer.out.replace("\n", "")
    assert "\x1b" not in answer.out + answer.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "digits", "--model", "lenet"], "no model is called 'lenet'; did you mean lenet5"),
        (["train", "digits"], "--model is missing; give it"),
        (["train", "digits", "--model", "lenet5", "--epochs", "x"], "Invalid value for '--epochs': 'x'"),
        (["train", "digits", "--model", "lenet5", "--fit", "bend"], "'bend' is not one of"),
        (["train", "digits", "--model", "lenet5", "--size", "big"], "'big' is not a side or height x width"),
        (["train", "digits", "--model", "lenet5", "--size", "1x2x3"], "'1x2x3' is not a side"),
        (["train", "digits", "--model", "lenet5", "--set", "lr"], "--set lr: give KEY=VALUE"),
        (["train", "digits", "--model", "lenet5", "--set", "wings=2"], "a recipe has no 'wings'"),
        (["train", "nowhere", "--model", "lenet5"], "there is no data at 'nowhere'"),
        (["evaluate", "nowhere", "digits"], "there is no 'nowhere'; give a run folder"),
        (["predict", "nowhere", "a.png"], "there is no 'nowhere'; give a run folder"),
        (["trian"], "Did you mean 'train'?"),
        (["train", "--colour"], "No such option"),
    ],
)
def test_a_mistake_is_one_line_and_ends_with_2(command: Command, words: list[str], message: str) -> None:
    answer = command(*words)
    assert answer.code == 2
    assert answer.out == ""
    assert answer.err.startswith("lenext: ")
    assert message in answer.err
    assert answer.err.count("\n") == 1
    assert "Traceback" not in answer.err


def test_any_other_error_is_one_line_and_ends_with_1(
    command: Command, digits_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object, **_options: object) -> None:
        raise RuntimeError("something\nunforeseen")

    monkeypatch.setattr("lenext.classifier.load", fail)
    answer = command("predict", digits_run, EXAMPLES)
    assert answer.code == 1
    assert answer.err == "lenext: RuntimeError: something unforeseen (--debug shows where)\n"


def test_debug_shows_where(monkeypatch: pytest.MonkeyPatch) -> None:
    from lenext.cli import main

    for words in (["--debug", "evaluate", "nowhere", "digits"], ["evaluate", "nowhere", "digits", "--debug"]):
        with pytest.raises(lenext.UserError, match="there is no 'nowhere'"):
            main(words)
