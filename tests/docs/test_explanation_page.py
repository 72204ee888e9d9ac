"""What docs/explanation.md shows is run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Answer
from pictures import class_folder, stripes
from PIL import Image

import lenext

PAGE = (Path(__file__).parents[2] / "docs" / "explanation.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the reader has it: a run on cats and dogs, and a picture of either."""
    folder = tmp_path_factory.mktemp("reader")
    class_folder(folder / "photos", classes=("cat", "dog"))
    lenext.train(folder / "photos", "lenet5", epochs=1, out=folder / "runs" / "photos")
    for number, name in enumerate(("cat.jpg", "dog.jpg")):
        Image.fromarray(stripes(number, upright=not number)).save(folder / name)
    return folder


def test_the_commands_run_as_shown(
    command: Callable[..., Answer], reader: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(reader)
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    assert len(lines) == 5
    for line in lines:
        answer = command(*shlex.split(line, comments=True)[1:])
        assert answer.code == 0, f"{line}: {answer.err}"
    for made in ("maps/index.html", "checked/index.html", "kernels.png", "stages.png"):
        assert (reader / made).exists(), made


def test_the_python_runs_as_shown(
    reader: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(reader)
    (block,) = blocks("python")
    exec(compile(block, "explanation.md", "exec"), {})
    assert capsys.readouterr().out.startswith("cat.jpg ")
    assert (reader / "from_python" / "index.html").exists()
