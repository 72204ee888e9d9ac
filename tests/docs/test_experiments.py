"""The commands of docs/experiments.md run, on few images, and its pictures are those that there are."""

from __future__ import annotations

import os
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "experiments.md").read_text(encoding="utf-8")
LINES = PAGE.replace("\\\n", "").splitlines()
COMMANDS = [shlex.split(line)[1:] for line in LINES if line.startswith("python examples/")]
SCRIPTS = sorted(path.name for path in (ROOT / "examples").glob("[0-9]*.py"))
LITTLE = shlex.split("--train 64 --test 32 --epochs 1 --seeds 1")
LESS = {  # of what a script tries
    "03_batch_normalisation.py": ["--rates", "0.001"],
    "04_plain_against_residual.py": shlex.split("--depths 20,32 --size 8"),
    "05_augmentation.py": ["--size", "8"],
}


def test_each_script_has_its_command_and_each_command_its_script() -> None:
    assert sorted({Path(command[0]).name for command in COMMANDS}) == SCRIPTS
    for script in SCRIPTS:
        assert f"python examples/{script} DATA" in (ROOT / "examples" / script).read_text(encoding="utf-8")


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_command_draws_its_picture(script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = next(command for command in COMMANDS if command[0].endswith(script))
    assert command[1].startswith("../shared/data/")
    picture = tmp_path / "picture.png"
    few = ["digits", *command[2:], *LITTLE, *LESS.get(script, []), "--out", str(picture)]
    if script == SCRIPTS[0]:  # which registers an architecture of its own
        words = [sys.executable, "-W", "error", str(ROOT / command[0]), *few]
        subprocess.run(words, cwd=tmp_path, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    else:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", [command[0], *few])
        monkeypatch.syspath_prepend(str(ROOT / "examples"))
        runpy.run_path(str(ROOT / command[0]), run_name="__main__")
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert list(tmp_path.iterdir()) == [picture]


def test_the_pictures_are_those_of_the_page() -> None:
    shown = set(re.findall(r"!\[[^]]+\]\(images/(experiment-[^)]+)\)", PAGE))
    assert shown == {path.name for path in (ROOT / "docs" / "images").glob("experiment-*.png")}
    drawn = {Path(command[command.index("--out") + 1]).name for command in COMMANDS if "--out" in command}
    assert shown == drawn


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", PAGE):
        assert (ROOT / "docs" / target).exists(), target
