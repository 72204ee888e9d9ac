"""The page on dense prediction runs as shown, and says what is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import lenext
from lenext.scanning.tiles import Tiling

PAGE = (Path(__file__).parents[2] / "docs" / "dense.md").read_text(encoding="utf-8")


def test_the_python_runs_as_shown(capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    exec(compile(block, "dense.md", "exec"), {})
    printed = capsys.readouterr().out.splitlines()
    assert printed == ["True", "torch.Size([1, 10, 4, 3]) 32", "torch.Size([1, 10, 7, 5]) 16"]


def test_the_table_of_tiles_is_right() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\d+) px \| (\d+) px \| (\d+) px \|$", PAGE, re.MULTILINE)
    assert len(rows) == 5
    for name, field, stride, least in rows:
        tiling = Tiling(lenext.densify(lenext.create(name)))
        assert (tiling.axes[0].field, tiling.axes[0].stride, tiling.least()) == (int(field), int(stride), int(least))
