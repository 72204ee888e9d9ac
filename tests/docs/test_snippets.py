"""What the README shows is run, and the tree that it draws is there."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import Answer
from pictures import class_folder, stripes
from PIL import Image

import lenext
from lenext.models import lookup

ROOT = Path(__file__).parents[2]
PAGES = sorted(str(path.relative_to(ROOT)) for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")))
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as the reader of the README has it: photos/, pictures and weights."""
    class_folder(tmp_path / "photos", classes=("cat", "dog"))
    for name in ("a.png", "dog.jpg"):
        Image.fromarray(stripes(1, upright=True)).save(tmp_path / name)
    torch.save(lenext.create("mobilenet_v2").state_dict(), tmp_path / "mobilenet_v2.pth")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("reader")
def test_the_commands_run_as_shown(command: Callable[..., Answer]) -> None:
    lines = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("lenext ")]
    assert len(lines) == 23
    for line in lines:
        answer = command(*shlex.split(line, comments=True)[1:])
        assert answer.code == 0, f"{line}: {answer.err}"


@pytest.mark.usefixtures("reader")
def test_the_python_runs_as_shown(capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = blocks("python")
    exec(compile(block, "README.md", "exec"), {})
    printed = capsys.readouterr().out
    assert "runs/lenet5-photos" in printed
    assert "a.png dog" in printed


def test_the_number_of_architectures_is_right() -> None:
    families = {lookup(name).family for name in lenext.list_models()}
    assert f"There are {len(lenext.list_models())} architectures in {len(families)} families" in README


def test_the_make_targets_are_there() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for line in blocks("sh")[0].splitlines():
        target = line.split()[1]
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_the_tree_is_as_drawn() -> None:
    tree = re.findall(r"^```\n(lenext/.*?)^```", README, re.MULTILINE | re.DOTALL)[0]
    for line in tree.splitlines():
        name = line.split()[0]
        folder = ROOT / "lenext" if line.startswith("  ") else ROOT
        assert (folder / name).exists(), name
    drawn = {line.split()[0].rstrip("/") for line in tree.splitlines() if line.startswith("  ")}
    parts = {path.name for path in (ROOT / "lenext").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert parts <= drawn


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", text):
        assert ((ROOT / page).parent / target).exists(), target


def test_every_dependency_has_its_reason() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    reasons = (ROOT / "docs" / "dependencies.md").read_text()
    wanted = [
        *project["dependencies"],
        *(name for names in project["optional-dependencies"].values() for name in names),
    ]
    for requirement in wanted:
        name = re.split(r"[\[<>=]", requirement)[0]
        assert name == "lenext" or re.search(rf"\b{name}\b", reasons), name
