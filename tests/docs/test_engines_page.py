"""What docs/engines.md shows is run, and its table has every engine."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Answer

from lenext.engines.engine import ENGINES
from lenext.engines.opening import RUNNERS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "engines.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.usefixtures("own_cache")
def test_what_is_shown_runs(
    process: Callable[..., Answer],
    copied_run: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "runs").mkdir()
    copied_run("runs/photos")
    shutil.copytree(ROOT / "examples" / "digits", tmp_path / "photos")
    shutil.copy(ROOT / "examples" / "digits" / "two.png", tmp_path / "a.png")
    monkeypatch.chdir(tmp_path)
    for line in blocks("sh")[0].splitlines():
        answer = process(*shlex.split(line)[1:])
        assert answer.code == 0, f"{line}: {answer.err}"
    assert (tmp_path / "engines.png").read_bytes().startswith(b"\x89PNG")
    (block,) = blocks("python")
    done = subprocess.run([sys.executable, "-c", block], capture_output=True, text=True, check=True)
    assert done.stdout == "pytorch True True\nonnxruntime True True\n"


def test_every_engine_is_told_of() -> None:
    told = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", PAGE, re.MULTILINE))
    assert list(told) == list(ENGINES)
    for name, runner in RUNNERS.items():
        assert f"lenext[{runner.extra}]" in told[name]
