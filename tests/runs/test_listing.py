"""`lenext runs`: every run is listed, whatever state it is in, and nothing is changed by looking."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Answer
from run_holder import held

from lenext.training.run import TrainResult

Command = Callable[..., Answer]
Copy = Callable[..., Path]
RUNNING = {"state": "running", "result": None}


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_finished_run(command: Command, digits_run: Path, digits_result: TrainResult) -> None:
    (value,) = command("runs", digits_run.parent, "--json").json
    assert value["schema"] == 1
    assert (value["run"], value["name"], value["state"]) == (str(digits_run), "digits", "finished")
    assert (value["model"], value["data"], value["recipe"]) == ("lenet5", "digits", "default")
    for key in ("epochs", "top1", "top5", "loss", "images", "train_images", "train_seconds", "images_per_second"):
        assert value[key] == getattr(digits_result, key), key
    assert (value["epochs_planned"], value["seconds_left"], value["problem"]) == (2, None, None)
    assert command("runs", digits_run, "--json").json == [value]
    assert command("runs", "--json", digits_run).json == [value]
    table = command("runs", digits_run.parent).out
    assert f"{digits_result.top1:.2f} %" in table
    assert f"{digits_result.loss:.4f}" in table


def test_runs_at_any_depth_the_newest_first_but_none_inside_a_run(
    command: Command, copied_run: Copy, tmp_path: Path
) -> None:
    copied_run("a", started="2025-03-01T10:00:00+00:00")
    copied_run("deep/er/b", started="2025-03-01T12:30:00+02:00")
    copied_run("a/inside")
    copied_run(".hidden/c")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "linked").symlink_to(tmp_path / ".hidden" / "c")
    rows = command("runs", tmp_path, "--json").json
    found = [str(Path(row["run"]).relative_to(tmp_path)) for row in rows]
    assert found == ["linked", "deep/er/b", "a"]


def test_a_killed_run_is_interrupted_and_looking_changes_nothing(command: Command, copied_run: Copy) -> None:
    run = copied_run(**RUNNING)
    before = names(run)
    (row,) = command("runs", run, "--json").json
    assert row["state"] == "interrupted"
    assert names(run) == before
    last = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
    assert (row["epochs"], row["top1"], row["loss"]) == (2, last["top1"], last["loss"])
    (run / ".lock").write_bytes(b"")  # as a killed process leaves it
    assert command("runs", run, "--json").json[0]["state"] == "interrupted"
    (run / "run.json").write_text('{"format": 1, "lenext_version": "0.1.0", "state": "reading"}')
    (row,) = command("runs", run, "--json").json
    assert (row["state"], row["model"]) == ("interrupted", None)


def test_a_run_under_way_tells_its_pulse_until_it_is_killed(command: Command, copied_run: Copy) -> None:
    run = copied_run(**RUNNING)
    with held(run) as process:
        (row,) = command("runs", run, "--json").json
        assert row["state"] == "running"
        assert {key: row[key] for key in ("epoch", "step", "steps", "step_loss", "lr", "seconds_left")} == {
            "epoch": 3, "step": 120, "steps": 460, "step_loss": 0.4321, "lr": 0.00213, "seconds_left": 83.0,
        }  # fmt: skip
        assert row["images_per_second"] == 1234.0
        table = command("runs", run).out
        assert "120 of 460" in table
        assert "1 min 23 s" in table
        process.kill()
        process.wait(timeout=10)
        (row,) = command("runs", run, "--json").json
        assert (row["state"], row["seconds_left"], row["step"]) == ("interrupted", None, 120)


def test_an_interrupted_run_that_a_process_took_up_again_is_reading(command: Command, copied_run: Copy) -> None:
    run = copied_run(state="interrupted")
    with held(run):
        assert command("runs", run, "--json").json[0]["state"] == "reading"
    assert command("runs", run, "--json").json[0]["state"] == "interrupted"


def test_who_looks_is_never_taken_for_a_training(copied_run: Copy) -> None:
    import fcntl

    from lenext.runs.holding import is_held

    run = copied_run(**RUNNING)
    assert is_held(run) is False
    with (run / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_SH)  # as another that looks
        assert is_held(run) is False
        fcntl.flock(file, fcntl.LOCK_EX)
        assert is_held(run) is True
    (run / ".lock").unlink()
    (run / ".lock").symlink_to(run / "run.json")
    assert is_held(run) is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"{", "is damaged"),
        (b"", "is damaged"),
        (b"\xff\xfe\x00", "is damaged: it is no text"),
        (b"[1]", "carries no format number"),
        (b'{"format": 7, "lenext_version": "9.1"}', "has format 7, written by lenext 9.1"),
        (b'{"format": 1}', "its state is None"),
        (b'{"format": 1, "state": "asleep"}', "its state is 'asleep'"),
        (b'{"format": 1, "state": ["running"]}', "its state is"),
    ],
)
def test_a_damaged_record_is_listed_with_what_is_wrong(
    command: Command, copied_run: Copy, tmp_path: Path, text: bytes, problem: str
) -> None:
    copied_run("good")
    (copied_run("bad") / "run.json").write_bytes(text)
    answer = command("runs", tmp_path, "--json")
    assert answer.code == 0
    states = {row["name"]: row["state"] for row in answer.json}
    assert states == {"good": "finished", "bad": "damaged"}
    (bad,) = (row for row in answer.json if row["name"] == "bad")
    assert problem in bad["problem"]
    assert problem in command("runs", tmp_path).out


def test_a_record_that_is_no_file_is_damaged(command: Command, tmp_path: Path) -> None:
    (tmp_path / "a" / "run.json").mkdir(parents=True)
    (tmp_path / "b").mkdir()
    os.mkfifo(tmp_path / "b" / "run.json")
    assert [row["state"] for row in command("runs", tmp_path, "--json").json] == ["damaged", "damaged"]


def test_values_of_another_kind_are_unknown(command: Command, copied_run: Copy) -> None:
    result = {"epochs": "two", "top1": 10**400, "loss": True, "images": -1.5, "train_seconds": None}
    run = copied_run(result=result, settings={"model": 5, "data": ["x"]}, recipe=None, started=[1])
    (run / ".pulse").write_bytes(b"no pulse")
    (row,) = command("runs", run, "--json").json
    assert (row["top1"], row["loss"], row["images"], row["epochs_planned"]) == (None, None, None, None)
    assert command("runs", run).code == 0


def test_a_line_of_the_metrics_that_was_cut_is_passed_over(command: Command, copied_run: Copy) -> None:
    run = copied_run(**RUNNING)
    lines = (run / "metrics.jsonl").read_text().splitlines()
    (run / "metrics.jsonl").write_text(f"{lines[0]}\nnonsense\n{lines[1][:50]}")
    (row,) = command("runs", run, "--json").json
    assert (row["epochs"], row["top1"]) == (1, json.loads(lines[0])["top1"])
    (run / "metrics.jsonl").unlink()
    (row,) = command("runs", run, "--json").json
    assert (row["epochs"], row["top1"], row["train_seconds"]) == (0, None, None)


def test_names_cannot_steer_the_terminal(command: Command, copied_run: Copy, tmp_path: Path) -> None:
    copied_run("[bold]x\x1b[31m\n")
    (copied_run("broken\x1b[2J") / "run.json").write_text("{")
    answer = command("runs", tmp_path)
    assert "\x1b" not in answer.out + answer.err
    assert "[bold]x\\x1b[31m\\n" in answer.out.replace("\n", "")


def test_a_folder_called_as_a_command_is_given_with_its_path(
    command: Command, copied_run: Copy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    copied_run("compare/x")
    monkeypatch.chdir(tmp_path)
    assert [row["name"] for row in command("runs", "./compare", "--json").json] == ["x"]
    assert "two runs can be compared, not 1" in command("runs", "compare", "x").err


def test_without_runs(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert command("runs", "--json").json == []
    answer = command("runs")
    assert (answer.code, answer.out) == (0, "")
    assert "there is no run below runs; lenext train makes one" in answer.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "there is no folder nowhere"),
        (["comapre", "a", "b"], "no command is called 'comapre'; there are compare, watch, rm"),
        (["--colour"], "No such option: --colour"),
        (["compare"], "Missing argument 'A B'"),
        (["compare", "a", "b", "c"], "two runs can be compared, not 3; give A and B"),
        (["compare", "a", "b"], "a is not a run folder: it has no run.json"),
        (["watch", "nowhere"], "nowhere is not a run folder"),
        (["rm"], "Missing argument 'RUN...'"),
    ],
)
def test_a_mistake_is_one_line_and_ends_with_2(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = command("runs", *words)
    assert (answer.code, answer.out) == (2, "")
    assert message in answer.err
    assert answer.err.count("\n") == 1


def test_help_names_the_commands_and_explains_the_folder(command: Command) -> None:
    text = command("runs", "--help").out
    assert "Example: lenext runs" in text
    assert "[DIR]" in text
    for name in ("compare", "watch", "rm"):
        assert f"│ {name} " in text
        inner = command("runs", name, "--help").out
        assert f"Example: lenext runs {name}" in inner
        assert "--json" in inner


def test_looking_at_runs_loads_no_torch(digits_run: Path) -> None:
    script = """
import sys
from lenext.cli import main
for words in (["runs", sys.argv[1]], ["runs", "watch", sys.argv[1], "--json"]):
    try:
        main(words)
    except SystemExit:
        pass
print("loaded", set(sys.modules) & {"torch", "numpy", "pyarrow", "scipy"})
"""
    words = [sys.executable, "-c", script, str(digits_run)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "loaded set()"
