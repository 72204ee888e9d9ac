"""`lenext suspects`: the table, JSON, the files that it writes, and a line for every mistake."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Answer
from noisy import noisy_digits
from pictures import class_folder

pytest.importorskip("cleanlab")
pytestmark = pytest.mark.usefixtures("one_thread")

Command = Callable[..., Answer]
QUICK = ("--folds", 2, "--epochs", 1, "--threads", 1)


@pytest.fixture(scope="module")
def noisy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return noisy_digits(tmp_path_factory.mktemp("noisy") / "digits.parquet", images=400)[0]


def test_table_page_and_list(command: Command, digits_run: Path, noisy: Path, tmp_path: Path) -> None:
    page, listed = tmp_path / "page.html", tmp_path / "list.csv"
    answer = command("suspects", digits_run, noisy, *QUICK, "--out", page, "--write-exclusions", listed)
    assert answer.code == 0, answer.err
    first, header, *rows = answer.out.splitlines()
    assert " of 400 images are suspects; " in first
    assert "2 folds, epochs: 1" in first
    assert header.split() == ["image", "label", "probably", "sure", "of", "its", "label"]
    assert rows[0].startswith("all[")
    assert len(rows) == 21, "twenty, and how many more"
    assert "fold 2 of 2: top-1" in answer.err
    assert f"written: {listed}; look through it, and take out what is labelled rightly" in answer.err
    assert f"next: lenext train {noisy} --model lenet5 --exclude {listed}" in answer.err
    assert page.read_text().startswith("<!doctype html>")
    again = command("suspects", digits_run, noisy, *QUICK, "--json", "--exclude", listed)
    assert again.code == 0, again.err
    count = int(first.split()[0])
    assert (again.json["schema"], again.json["images"], again.json["folds"]) == (1, 400 - count, 2)
    assert set(again.json["suspects"][0]) == {
        "path", "label", "suggested", "probability", "suggested_probability", "score",
    }  # fmt: skip
    assert f"left out: {count:,} images that {listed} lists" in again.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--folds", "1"), "folds 1 cannot be; give 2 to 100"),
        (("--folds", "60"), "different images, too few for 60 folds; give --folds 3"),
        (("--epochs", "0"), "epochs 0"),
        (("--device", "tpu"), "the device 'tpu' cannot be used here"),
        (("--threads", "0"), "threads 0 cannot be"),
        (("--seed", "-1"), "--seed"),
        (("--exclude", "absent.csv"), "there is no list absent.csv"),
    ],
)
def test_mistakes_are_told_in_a_line(
    command: Command, digits_run: Path, noisy: Path, words: tuple[str, ...], message: str
) -> None:
    answer = command("suspects", digits_run, noisy, "--json", *words)
    assert (answer.code, answer.out) == (2, "")
    assert message in answer.err
    assert len(answer.err.splitlines()) == 1


def test_a_run_and_its_classes_are_needed(command: Command, digits_run: Path, tmp_path: Path) -> None:
    photos = class_folder(tmp_path / "photos", images=4)
    for run, data, message in (
        (digits_run, photos, "has none of the classes of"),
        (digits_run / "model.safetensors", photos, "is no run folder; its settings are trained again"),
        (tmp_path, photos, "is not a run folder: it has no run.json"),
        (digits_run, tmp_path / "absent", "there is no data at"),
        (digits_run, class_folder(tmp_path / "one", images=2, classes=("0", "0")), "has one class, '0'"),
    ):
        answer = command("suspects", run, data, *QUICK)
        assert (answer.code, answer.out) == (2, "")
        assert message in answer.err
        assert len(answer.err.splitlines()) == 1


def test_classes_that_differ_are_told(command: Command, digits_run: Path, tmp_path: Path) -> None:
    answer = command("suspects", digits_run, class_folder(tmp_path / "photos", images=4, classes=("0", "zero")), *QUICK)
    assert answer.code == 0, answer.err
    assert "does not have the class 'zero'; the folds are trained on the classes of the data" in answer.err


def test_nothing_is_written_over(command: Command, digits_run: Path, noisy: Path, tmp_path: Path) -> None:
    for option in ("--out", "--write-exclusions"):
        before = noisy.read_bytes()
        answer = command("suspects", digits_run, noisy, option, noisy)
        assert (answer.code, "is there already" in answer.err) == (2, True)
        assert noisy.read_bytes() == before


def test_without_the_library_nothing_is_trained(
    command: Command, digits_run: Path, noisy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cleanlab.count", None)
    answer = command("suspects", digits_run, noisy)
    assert answer.code == 2
    assert answer.err.strip() == "lenext: suspects needs the cleanlab library: pip install 'lenext[suspects]'"


def test_doctor_names_the_extra(command: Command) -> None:
    assert command("doctor", "--json").json["extras"]["suspects"] is True
