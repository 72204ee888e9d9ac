"""`lenext runs watch`: it follows a run to its end, on a terminal and in a pipe, and only looks."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import Answer
from run_holder import held

from lenext.runs import watching
from lenext.training.run import TrainResult

Command = Callable[..., Answer]
Copy = Callable[..., Path]
RUNNING = {"state": "running", "result": None}


def change(run: Path, **values: Any) -> None:
    record = json.loads((run / "run.json").read_text())
    (run / ".beside").write_text(json.dumps({**record, **values}))
    (run / ".beside").replace(run / "run.json")


def watching_process(run: Path, **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "lenext", "runs", "watch", str(run)], stderr=subprocess.PIPE, text=True, **options
    )


def test_a_finished_run_is_told_at_once(command: Command, digits_run: Path, digits_result: TrainResult) -> None:
    answer = command("runs", "watch", digits_run)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.splitlines() == [
        f"finished: {digits_run}, epochs: 2 of 2",
        f"lenet5: top-1 {digits_result.top1:.2f} % on {digits_result.images} images, loss {digits_result.loss:.4f}; "
        f"{digits_result.train_seconds:.1f} s",
    ]


def test_a_killed_run_is_told_at_once_with_the_way_to_go_on(command: Command, copied_run: Copy) -> None:
    run = copied_run(**RUNNING)
    answer = command("runs", "watch", run)
    assert answer.code == 0
    assert answer.out.startswith(f"interrupted: {run}, epochs: 2 of 2\n")
    assert answer.out.endswith(f"to go on: lenext train --resume {run}\n")
    failed = command("runs", "watch", copied_run("failed", state="failed"))
    assert failed.code == 0
    assert failed.out.startswith("failed: ")
    assert "--resume" in failed.out


def test_json_is_how_it_stands_now(command: Command, copied_run: Copy) -> None:
    run = copied_run(**RUNNING)
    with held(run):
        value = command("runs", "watch", run, "--json").json
    assert (value["schema"], value["state"], value["step"]) == (1, "running", 120)
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert value["last_epochs"] == [
        {key: row[key] for key in ("epoch", "train_loss", "loss", "top1", "top5", "lr")} for row in rows
    ]


def test_in_a_pipe_a_line_an_epoch(copied_run: Copy, digits_run: Path) -> None:
    run = copied_run(**RUNNING)
    lines = (run / "metrics.jsonl").read_text().splitlines(keepends=True)
    (run / "metrics.jsonl").write_text(lines[0])
    result = json.loads((digits_run / "run.json").read_text())["result"]
    with held(run):
        process = watching_process(run, stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == "running: epoch 3 of 2, step 120 of 460, 1 min 23 s left\n"
        with (run / "metrics.jsonl").open("a") as file:
            file.write(lines[1])
        row = json.loads(lines[1])
        wanted = f"epoch   2  loss {row['train_loss']:.4f}  top-1 {row['top1']:.2f} %\n"
        assert process.stdout.readline() == wanted
        change(run, state="finished", result=result)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "")
    assert out.startswith(f"finished: {run}, epochs: 2 of 2\nlenet5: top-1 ")


def test_on_a_terminal_it_draws(copied_run: Copy) -> None:
    run = copied_run(**RUNNING)
    ours, theirs = pty.openpty()
    with held(run) as holder:
        process = watching_process(
            run, stdout=theirs, env={**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "40"}
        )
        os.close(theirs)
        seen = b""
        while b"top-1" not in seen:
            assert select.select([ours], [], [], 20)[0], seen
            seen += os.read(ours, 4096)
        holder.kill()
        while True:
            try:
                more = os.read(ours, 4096)
            except OSError:  # the other end is closed
                break
            if not more:
                break
            seen += more
    _, err = process.communicate(timeout=20)
    os.close(ours)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen.decode())
    assert (process.returncode, err) == (0, "")
    for words in ("epoch 3 of 2, step 120 of 460, 1 min 23 s left", "loss 0.4321", "lr 0.00213", "1,234 images/s"):
        assert words in text, words
    assert "━" in text
    assert re.search(r"epoch +training loss +loss +top-1 +lr", text)
    assert text.replace("\r", "").endswith(f"to go on: lenext train --resume {run}\n")


def test_an_interrupt_ends_the_watch_alone(copied_run: Copy) -> None:
    run = copied_run(**RUNNING)
    with held(run) as holder:
        process = watching_process(run, stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
        assert process.returncode == 130
        assert err == "lenext: interrupted\n"
        assert holder.poll() is None


def test_a_run_that_is_taken_away_meanwhile_is_told(
    command: Command, copied_run: Copy, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = copied_run(**RUNNING)
    monkeypatch.setattr(watching, "time", SimpleNamespace(sleep=lambda _: (run / "run.json").unlink()))
    with held(run):
        answer = command("runs", "watch", run)
    assert answer.code == 2
    assert "is not a run folder: it has no run.json" in answer.err
