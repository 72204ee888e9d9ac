"""What docs/checking.md shows is run, and its table is that of the code."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Answer
from pictures import class_folder

from lenext.checking.kinds import KINDS

PAGE = (Path(__file__).parents[2] / "docs" / "checking.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.usefixtures("own_cache")
def test_what_is_shown_runs(
    command: Callable[..., Answer],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    class_folder(tmp_path / "photos")
    (tmp_path / "photos" / "lying" / "empty.png").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    assert len(lines) == 4
    for line in lines:
        answer = command(*shlex.split(line)[1:])
        assert answer.code == 0, f"{line}: {answer.err}"
    (block,) = blocks("python")
    exec(compile(block, "checking.md", "exec"), {})
    assert capsys.readouterr().out == "25 crop ['lying/empty.png']\n"


def test_the_table_has_every_kind() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \| (\w+) \| (.*?) \| (yes)?", PAGE, re.MULTILINE)
    expected = [(name, kind.severity, kind.means, "yes" if kind.excluded else "") for name, kind in KINDS.items()]
    assert rows == expected, "python docs/generate.py"
