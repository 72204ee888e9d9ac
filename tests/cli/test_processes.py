"""What only a process of its own can show: signals, a full disk, a closed pipe, a fresh interpreter."""

from __future__ import annotations

import json
import os
import resource
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Answer
from interruptible import interruptible
from pictures import class_folder

import lenext

Process = Callable[..., Answer]


@pytest.mark.parametrize(
    ("sent", "code", "word"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_a_signal_leaves_what_was_finished(tmp_path: Path, sent: signal.Signals, code: int, word: str) -> None:
    words = [
        "train",
        class_folder(tmp_path / "photos"),
        "--model",
        "lenet5",
        "--epochs",
        5000,
        "--out",
        tmp_path / "run",
    ]
    with interruptible(*words, stdout=subprocess.PIPE) as training:
        assert training.stderr is not None
        lines = []
        for line in training.stderr:
            lines.append(line)
            if line.startswith("epoch   2"):
                training.send_signal(sent)
                break
        out, err = training.communicate(timeout=60)
    assert training.returncode == code
    assert out == ""
    assert err.splitlines()[-1] == f"lenext: {word}"
    assert "Traceback" not in err
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["state"] == "interrupted"
    assert record["result"]["epochs"] >= 2
    assert lenext.evaluate(tmp_path / "run", tmp_path / "photos").top1 == record["result"]["top1"]


def test_a_disk_that_fills_up_is_told_in_one_line(tmp_path: Path, process: Process) -> None:
    """A file size limit stands for the full disk: the system refuses the write in the same way."""
    photos = class_folder(tmp_path / "photos")

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    answer = process(
        "train", photos, "--model", "lenet5", "--epochs", 1, "--out", tmp_path / "run", preexec_fn=limit
    )  # fmt: skip
    assert answer.code == 1
    assert "cannot write" in answer.err.splitlines()[-1]
    assert "model.safetensors: File too large" in answer.err.splitlines()[-1]
    assert "Traceback" not in answer.err
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        ".pulse", "images.csv", "metrics.jsonl", "report.html", "run.json",
    ]  # fmt: skip
    assert json.loads((tmp_path / "run" / "run.json").read_text())["state"] == "failed"


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "lenext", "models"], stdout=write, stderr=subprocess.PIPE, text=True, timeout=60
        )
    finally:
        os.close(write)
    assert done.stderr == ""
    assert done.returncode == 1


def test_file_names_that_are_no_utf8_can_be_told(tmp_path: Path, process: Process, digits_run: Path) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    (tmp_path / name).write_bytes(b"")
    answer = process("predict", digits_run, tmp_path, "--json")
    assert answer.code == 2
    assert answer.json[0]["image"] == str(tmp_path / name)
    assert "caf\\udce9.png: empty file" in answer.err


def test_the_command_is_installed() -> None:
    script = Path(sys.executable).with_name("lenext")
    done = subprocess.run([script, "--version"], capture_output=True, text=True, timeout=60)
    assert done.stdout == f"lenext {lenext.__version__}\n"


def test_closed_streams_are_no_error() -> None:
    done = subprocess.run(
        f"{shlex.quote(sys.executable)} -m lenext models >&- 2>&-", shell=True, timeout=60, check=False
    )
    assert done.returncode == 0


@pytest.mark.parametrize("seconds", [1.5, 2.2])
def test_an_interrupt_while_torch_is_loaded_is_an_interrupt(seconds: float, tmp_path: Path) -> None:
    words = ["train", "digits", "--model", "lenet5", "--out", tmp_path / "run"]
    with interruptible(*words, stdout=subprocess.DEVNULL) as training:
        time.sleep(seconds)
        training.send_signal(signal.SIGINT)
        _, err = training.communicate(timeout=60)
    assert training.returncode == 130
    assert err.splitlines()[-1] == "lenext: interrupted"
