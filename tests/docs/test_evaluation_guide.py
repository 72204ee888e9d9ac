"""What docs/evaluation.md shows is run, and its table of protocols is that of the code."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import Answer
from pictures import class_folder

import lenext
from lenext.data.decode import ImageForm
from lenext.evaluation.views.protocols import PROTOCOLS

PAGE = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the reader has it: photos/, three runs on them, and a model file."""
    folder = tmp_path_factory.mktemp("reader")
    class_folder(folder / "photos", images=20)
    for seed, name in enumerate(("photos", "a", "b")):
        lenext.train(folder / "photos", "lenet5", epochs=1, seed=seed, out=folder / "runs" / name)
    shutil.copy(folder / "runs" / "photos" / "model.safetensors", folder / "mobilenet.safetensors")
    return folder


def test_the_commands_run_as_shown(command: Callable[..., Answer], runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(runs)
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    assert len(lines) == 5
    for line in lines:
        answer = command(*shlex.split(line)[1:])
        assert answer.code == 0, f"{line}: {answer.err}"
    assert (runs / "soup.safetensors").exists()


def test_the_python_runs_as_shown(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(runs)
    (block,) = blocks("python")
    exec(compile(block, "evaluation.md", "exec"), {})
    assert "chance" in capsys.readouterr().out


def test_the_table_of_protocols_is_theirs() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \|[^|]*\| (\d+) \|", PAGE, re.MULTILINE)
    form = ImageForm(size=(224, 224), channels=3)
    assert rows == [
        (name, str(len(each.views((300, 400), form, np.random.default_rng(0))))) for name, each in PROTOCOLS.items()
    ]
