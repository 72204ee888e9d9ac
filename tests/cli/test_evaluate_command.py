"""`lenext evaluate` through its entry point: one model, several, averages; files; and what it refuses."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pictures import class_folder

from lenext.evaluation.answers import read_answers

Command = Callable[..., Any]


def test_the_json_holds_every_figure_with_its_interval(command: Command, digits_run: Path) -> None:
    found = command("evaluate", digits_run, "digits", "--json").json
    low, high = found["intervals"]["top1"]
    assert low < found["top1"] < high
    assert found["intervals"]["loss"][0] < found["loss"] < found["intervals"]["loss"][1]
    assert sum(row["images"] for row in found["per_class"]) == found["images"]
    right = sum(cell["images"] for cell in found["confusion"] if cell["label"] == cell["predicted"])
    assert 100 * right / found["images"] == pytest.approx(found["top1"])
    calibration = found["calibration"]
    assert sum(each["images"] for each in calibration["bins"]) == found["images"]
    assert calibration["error_after"] < calibration["error"]
    assert (found["views"], found["passes"], found["area"], found["gain"]) == ("center", 1, 1, None)
    assert found["seconds"] >= sum(found["seconds_by"].values()) > 0


def test_views_come_with_what_they_cost_and_bring(command: Command, digits_run: Path) -> None:
    words = ("evaluate", digits_run, "digits", "--views", "ten-crop")
    found = command(*words, "--json").json
    center = command("evaluate", digits_run, "digits", "--json").json
    assert (found["views"], found["passes"]) == ("ten-crop", 10)
    gain = found["gain"]
    assert gain["over"] == "center"
    assert gain["difference"] == pytest.approx(found["top1"] - center["top1"])
    assert gain["low"] <= gain["difference"] <= gain["high"]
    lines = command(*words).out.splitlines()
    assert any(line.split()[:1] == ["center"] and "1.0" in line for line in lines)
    assert any(line.split()[:1] == ["ten-crop"] and "10" in line for line in lines)
    assert any(line.startswith("gain over center: ") and "(p" in line for line in lines)


def test_two_models_are_compared_on_the_same_images(command: Command, digits_run: Path, other_run: Path) -> None:
    words = ("evaluate", digits_run, other_run, "digits")
    found = command(*words, "--json").json
    a, b = found["models"]
    assert (a["target"], b["target"]) == (str(digits_run), str(other_run))
    assert a["images"] == b["images"]
    (comparison,) = found["comparisons"]
    assert comparison["difference"] == pytest.approx(b["top1"] - a["top1"])
    assert comparison["test"].startswith("McNemar")
    assert comparison["verdict"] in command(*words).out
    three = command(*words[:-1], digits_run, "digits", "--json").json
    assert len(three["models"]) == len(three["comparisons"]) == 3
    same = three["comparisons"][1]
    assert (same["difference"], same["p"]) == (0, 1)


def test_an_ensemble_has_its_members_and_the_gain_over_the_best(
    command: Command, digits_run: Path, other_run: Path
) -> None:
    words = ("evaluate", digits_run, other_run, "digits", "--ensemble")
    found = command(*words, "--json").json
    assert found["model"] == "ensemble of 2"
    assert [member["target"] for member in found["members"]] == [str(digits_run), str(other_run)]
    best = max(found["members"], key=lambda member: member["top1"])
    assert found["gain"]["over"] == best["target"]
    assert found["gain"]["difference"] == pytest.approx(found["top1"] - best["top1"])
    assert (found["weights"], found["average"]) == ([0.5, 0.5], "probabilities")
    fitted = command(*words, "--fit-weights", "--average", "logits", "--json").json
    assert sum(fitted["weights"]) == pytest.approx(1)
    assert fitted["weights"] != [0.5, 0.5]
    assert fitted["fitted"]
    assert not found["fitted"]
    assert "probabilities averaged with weights 0.500, 0.500" in command(*words).out


def test_the_answers_and_the_page_are_written(command: Command, digits_run: Path, tmp_path: Path) -> None:
    table, text, page = tmp_path / "a.parquet", tmp_path / "a.csv", tmp_path / "page.html"
    found = command("evaluate", digits_run, "digits", "--out", table, "--report", page, "--json").json
    answers = read_answers(table)
    assert 100 * answers.right.mean() == pytest.approx(found["top1"])
    assert command("evaluate", digits_run, "digits", "--out", text).code == 0
    with text.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == answers.labels
    assert [json.loads(row["top5"]) for row in rows] == pq.read_table(table)["top5"].to_pylist()
    html = page.read_text()
    assert "lenet5 on digits" in html
    assert not any(f'{key}="http' in html for key in ("src", "href")), "it asks for nothing elsewhere"
    again = command("evaluate", digits_run, "digits", "--out", table)
    assert again.code == 2
    assert "is there already" in again.err


def test_figures_are_told_though_their_files_cannot_be_written(
    command: Command, digits_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = command("evaluate", digits_run, "digits", "--out", "/proc/a.csv")  # where nobody writes
    assert answer.code != 0
    if os.access("/proc", os.W_OK):  # as root may, by what is said
        assert answer.code == 1
        assert "top-1" in answer.out
        assert answer.err.count("\n") == 1
    monkeypatch.setattr(os, "access", lambda *_: False)
    early = command("evaluate", digits_run, "digits", "--report", tmp_path / "page.html")
    assert (early.code, early.out) == (2, "")
    assert f"nothing can be written into {tmp_path}" in early.err


def test_an_ensembles_page_shows_its_members(
    command: Command, digits_run: Path, other_run: Path, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    assert command("evaluate", digits_run, other_run, "digits", "--ensemble", "--report", page).code == 0
    html = page.read_text()
    assert "ensemble of 2 on digits" in html
    assert all(text in html for text in ("probabilities averaged", str(other_run), str(digits_run)))


REFUSED = [
    ([], "RUN alone cannot be judged"),
    (["digits", "--views", "tencrop"], "no views are called 'tencrop'; did you mean ten-crop"),
    (["digits", "--ensemble"], "--ensemble needs two targets or more"),
    (["digits", "--fit-weights"], "give --ensemble too"),
    (["digits", "--average", "logits"], "give --ensemble too"),
    (["digits", "--average", "medians"], "'medians' is not one of"),
    (["digits", "--save", "soup.safetensors"], "give --ensemble --average weights"),
    (["RUN", "digits", "--out", "a.csv"], "--out and --report hold the answers of one model"),
    (["RUN", "digits", "--weights", "RUN"], "are those of one model, and here are 2"),
    (["RUN", "digits", "--ensemble", "--average", "weights", "--fit-weights"], "counts all members equally"),
    (
        ["digits", "--out", "a.txt"],
        "a.txt cannot hold answers to the images; give a name that ends in .parquet or .csv",
    ),
    (["digits", "--report", "page.pdf"], "page.pdf cannot hold a page"),
    (["digits", "--split", "val"], "digits has no split 'val'"),
    (["digits", "--split", ""], "digits has no split ''"),
    (["digits", "nowhere"], "there is no 'digits'"),
    (["nowhere"], "nowhere"),
    (["EMPTY"], "has no image"),
]


@pytest.mark.parametrize(("words", "reason"), REFUSED, ids=[" ".join(words) or "nothing" for words, _ in REFUSED])
def test_what_makes_no_sense_is_told_in_one_line(
    command: Command, digits_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], reason: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty" / "0").mkdir(parents=True)
    places = {"RUN": str(digits_run), "EMPTY": str(tmp_path / "empty")}
    answer = command("evaluate", digits_run, *(places.get(word, word) for word in words))
    assert answer.code == 2
    assert answer.err.count("\n") == 1
    assert reason.replace("RUN", str(digits_run)) in answer.err
    assert not answer.out


def test_a_split_of_which_nothing_can_be_read_is_told(command: Command, digits_run: Path, tmp_path: Path) -> None:
    folder = class_folder(tmp_path / "photos", images=2, classes=("0", "1"))
    for path in folder.glob("*/*.png"):
        path.write_bytes(b"no image")
    answer = command("evaluate", digits_run, folder)
    assert answer.code == 2
    assert "has no readable image in all" in answer.err
