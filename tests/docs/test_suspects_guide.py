"""What docs/suspects.md shows is run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Answer
from pictures import class_folder

import lenext

pytest.importorskip("cleanlab")
PAGE = (Path(__file__).parents[2] / "docs" / "suspects.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the reader has it: photos/, one of them with the wrong label, and a run on them."""
    folder = tmp_path_factory.mktemp("reader")
    class_folder(folder / "photos", images=20)
    (folder / "photos" / "lying" / "003.png").rename(folder / "photos" / "upright" / "wrong.png")
    lenext.train(folder / "photos", "lenet5", epochs=8, threads=1, out=folder / "runs" / "photos")
    return folder


def test_the_commands_run_as_shown(
    command: Callable[..., Answer], reader: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(reader)
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    assert len(lines) == 2
    for line in lines:
        answer = command(*shlex.split(line)[1:])
        assert answer.code == 0, f"{line}: {answer.err}"
    assert "upright/wrong.png" in (reader / "suspects.csv").read_text()
    assert "left out: " in answer.err


def test_the_python_runs_as_shown(
    reader: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(reader)
    (block,) = blocks("python")
    exec(compile(block, "suspects.md", "exec"), {})
    printed = capsys.readouterr().out
    assert "% of 40 labels are estimated to be wrong" in printed
    assert "upright/wrong.png upright lying" in printed
