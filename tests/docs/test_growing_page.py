"""What docs/growing.md shows is run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Answer
from pictures import class_folder

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "growing.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_the_commands_run_as_shown(
    command: Callable[..., Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class_folder(tmp_path / "photos")
    monkeypatch.chdir(tmp_path)
    (block,) = blocks("sh")
    lines = [line for line in block.splitlines() if line.startswith("lenext ")]
    assert len(lines) == 2
    for line in lines:
        answer = command(*shlex.split(line)[1:], "--epochs", 1, "--option", "width=0.125")
        assert answer.code == 0, f"{line}: {answer.err}"


def test_the_python_runs_as_shown(capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = blocks("python")
    exec(compile(block, "growing.md", "exec"), {})
    assert capsys.readouterr().out == "True\n"


def test_links_lead_somewhere() -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", PAGE)
    assert "images/growing.png" in targets
    for target in targets:
        assert (DOCS / target).exists(), target
