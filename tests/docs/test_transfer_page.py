"""What docs/transfer.md shows is run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import Answer
from pictures import class_folder

import lenext

PAGE = (Path(__file__).parents[2] / "docs" / "transfer.md").read_text(encoding="utf-8")
QUICK = {"train": ("--epochs", "1", "--threads", "1")}  # what keeps an example short

pytestmark = pytest.mark.usefixtures("one_thread")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the reader has it: photos/, a.png, weights of another library, and two runs."""
    folder = tmp_path_factory.mktemp("reader")
    class_folder(folder / "photos", images=12)
    (folder / "a.png").write_bytes(next((folder / "photos").rglob("*.png")).read_bytes())
    torch.save(lenext.create("mobilenet_v2").state_dict(), folder / "mobilenet_v2.pth")
    lenext.train(folder / "photos", "lenet5", epochs=1, out=folder / "runs" / "photos")
    lenext.train(folder / "photos", "resnet20_cifar", epochs=1, out=folder / "runs" / "start")
    return folder


def test_the_commands_run_as_shown(
    command: Callable[..., Answer], reader: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(reader)
    monkeypatch.setenv("XDG_CACHE_HOME", str(reader / "cache"))
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    assert len(lines) == 8
    for line in lines:
        words = shlex.split(line)[1:]
        answer = command(*words, *QUICK.get(words[0], ()))
        assert answer.code == 0, f"{line}: {answer.err}"


def test_the_python_runs_as_shown(
    reader: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(reader)
    (block,) = blocks("python")
    exec(compile(block, "transfer.md", "exec"), {})
    assert "(24, 84)" in capsys.readouterr().out
