"""`lenext runs rm`: it removes what lenext wrote, asks before, and cannot be led astray."""

from __future__ import annotations

import io
import os
import pty
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Answer
from run_holder import held

from lenext.training.folder.names import MODEL
from lenext.weights.model_file import NAME as MODEL_NAME

Command = Callable[..., Answer]
Copy = Callable[..., Path]


def fill(run: Path) -> Path:
    """Give a run all that training may leave besides."""
    (run / "checkpoints").mkdir(exist_ok=True)
    (run / "checkpoints" / "step-000000046.safetensors").write_bytes(b"x" * 1000)
    (run / "checkpoints" / ".step-000000092.safetensors.4711.tmp").write_bytes(b"x")
    (run / "tensorboard").mkdir(exist_ok=True)
    (run / "tensorboard" / "events.out.tfevents.1700000000.host.1.0").write_bytes(b"x")
    (run / ".model.safetensors.4711.tmp").write_bytes(b"x")
    (run / ".pulse").write_bytes(b"x")
    (run / ".lock").write_bytes(b"")
    return run


def listed(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_the_names_are_those_that_training_gives() -> None:
    assert MODEL_NAME == MODEL


def test_a_run_goes_with_all_that_lenext_wrote(command: Command, copied_run: Copy) -> None:
    run = fill(copied_run())
    size = sum(path.stat().st_size for path in run.rglob("*") if path.is_file())
    (value,) = command("runs", "rm", run, "--yes", "--json").json
    assert (value["run"], value["bytes"], value["stays"]) == (str(run), size, [])
    assert not run.exists()
    assert run.parent.exists()


def test_what_lenext_did_not_write_stays_and_is_named(command: Command, copied_run: Copy, tmp_path: Path) -> None:
    run = fill(copied_run())
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "step-000000001.safetensors").write_text("mine")
    (run / "notes\x1b[31m.txt").write_text("mine")
    (run / "checkpoints" / "best.safetensors").write_text("mine")
    (run / "mine").mkdir()
    (run / "mine" / "run.json").write_text("mine")
    (run / "model.safetensors").unlink()
    (run / "model.safetensors").symlink_to(tmp_path / "precious" / "step-000000001.safetensors")
    shutil.rmtree(run / "tensorboard")
    (run / "tensorboard").symlink_to(tmp_path / "precious")
    answer = command("runs", "rm", run, "--yes")
    assert answer.code == 0
    assert "but for what lenext did not write" in answer.out
    for name in ("notes\\x1b[31m.txt", "checkpoints/best.safetensors", "mine", "model.safetensors", "tensorboard"):
        assert f"{run}/{name}\n" in answer.out, name
    assert "\x1b" not in answer.out
    assert listed(run) == {
        "notes\x1b[31m.txt", "checkpoints", "checkpoints/best.safetensors", "mine", "mine/run.json",
        "model.safetensors", "tensorboard",
    }  # fmt: skip
    assert (tmp_path / "precious" / "step-000000001.safetensors").read_text() == "mine"


def test_a_link_to_checkpoints_is_not_followed(command: Command, copied_run: Copy, tmp_path: Path) -> None:
    run = copied_run()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "step-000000001.safetensors").write_text("mine")
    shutil.rmtree(run / "checkpoints", ignore_errors=True)
    (run / "checkpoints").symlink_to(tmp_path / "elsewhere")
    assert command("runs", "rm", run, "--yes").code == 0
    assert listed(tmp_path) == {"elsewhere", "elsewhere/step-000000001.safetensors", "run", "run/checkpoints"}


def test_it_asks_and_the_usual_answer_is_no(
    command: Command, copied_run: Copy, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = copied_run()
    (run / "notes.txt").write_text("mine")

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for reply in ("\n", "n\n", "", "perhaps\n"):
        monkeypatch.setattr(sys, "stdin", Terminal(reply))
        answer = command("runs", "rm", run)
        assert (answer.code, answer.out) == (1, "")
        assert f"{run}: finished, lenet5, epochs: 2, top-1 " in answer.err
        assert "MiB" in answer.err
        assert "notes.txt stays: lenext did not write it" in answer.err
        assert "remove it? [y/N]" in answer.err
        assert "nothing was removed" in answer.err
        assert (run / "run.json").exists()
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    assert command("runs", "rm", run).code == 0
    assert listed(run) == {"notes.txt"}


def test_without_a_terminal_it_refuses(copied_run: Copy, process: Callable[..., Answer]) -> None:
    run = copied_run()
    answer = process("runs", "rm", run, stdin=subprocess.DEVNULL)
    assert (answer.code, answer.out) == (2, "")
    assert "there is no terminal to ask on; give --yes" in answer.err
    assert (run / "run.json").exists()


def test_an_interrupt_at_the_question_is_an_interrupt(copied_run: Copy) -> None:
    run = copied_run()
    ours, theirs = pty.openpty()
    words = [sys.executable, "-m", "lenext", "runs", "rm", str(run)]
    asking = subprocess.Popen(words, stdin=theirs, stderr=subprocess.PIPE, text=True)
    assert asking.stderr is not None
    while asking.stderr.read(1) != "?":
        pass
    asking.send_signal(signal.SIGINT)
    _, err = asking.communicate(timeout=20)
    os.close(ours)
    os.close(theirs)
    assert asking.returncode == 130
    assert err.splitlines()[-1].endswith("lenext: interrupted")
    assert (run / "model.safetensors").exists()


def test_a_run_that_a_process_is_at_work_on_is_refused(command: Command, copied_run: Copy, tmp_path: Path) -> None:
    run, idle = copied_run(state="running", result=None), copied_run("idle")
    with held(run):
        before = listed(tmp_path)
        answer = command("runs", "rm", idle, run, "--yes")
        assert (answer.code, answer.out) == (2, "")
        assert f"a process is at work on {run}; end it first" in answer.err
        assert listed(tmp_path) == before, "of several, none is removed"
    assert command("runs", "rm", idle, run, f"{idle}/", "--yes").code == 0
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_takes_the_run_after_the_question_keeps_it(copied_run: Copy) -> None:
    from lenext.errors import UserError
    from lenext.runs.removing import plan_removal, remove

    run = copied_run(state="interrupted")
    removal = plan_removal(run)
    with held(run), pytest.raises(UserError, match="a process is at work on"):
        remove(removal)
    assert (run / "model.safetensors").exists()


def test_what_is_no_run_is_refused(
    command: Command, copied_run: Copy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = copied_run("runs/one")
    (tmp_path / "link").symlink_to(run)
    foreign = tmp_path / "project"
    foreign.mkdir()
    (foreign / "run.json").write_text('{"script": "start"}')
    (foreign / "report.html").write_text("mine")
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / "run.json").symlink_to(run / "run.json")
    locked = copied_run("locked")
    (locked / ".lock").symlink_to(tmp_path / "thesis.txt")
    (tmp_path / "thesis.txt").write_text("mine")
    monkeypatch.chdir(run)
    before = listed(tmp_path)
    for words, message in (
        ("/", "/ is not a run folder"),
        (tmp_path, "is not a run folder"),
        (tmp_path / "runs", "is not a run folder"),
        (run / "run.json", "there is no run folder"),
        (tmp_path / "nowhere\x1b[31m", "nowhere\\x1b[31m"),
        ("", "is the folder that you are in"),
        (".", "is the folder that you are in"),
        (run, "is the folder that you are in"),
        (tmp_path / "link", "is a link; to remove the run, give the folder that it leads to"),
        (f"{tmp_path / 'link'}/", "is a link"),
        (foreign, "so remove it by hand"),
        (linked, "is not a run folder"),
        (locked, "cannot be told by its .lock; remove it by hand"),
    ):
        answer = command("runs", "rm", words, "--yes")
        assert (answer.code, answer.out) == (2, ""), words
        assert message in answer.err, words
        assert "\x1b" not in answer.err
        assert answer.err.count("\n") == 1
        assert listed(tmp_path) == before, words
    assert (tmp_path / "thesis.txt").read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may remove anything")
def test_a_folder_that_cannot_be_changed_is_told(command: Command, copied_run: Copy) -> None:
    run = copied_run()
    run.chmod(0o500)
    try:
        answer = command("runs", "rm", run, "--yes")
        assert answer.code == 1
        assert "cannot remove" in answer.err
    finally:
        run.chmod(0o700)
