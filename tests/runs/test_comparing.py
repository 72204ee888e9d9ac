from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from conftest import Answer
from scipy.stats import binomtest, chi2

from lenext.evaluation.answers import read_answers

Command = Callable[..., Answer]
Copy = Callable[..., Path]


def test_two_runs_on_the_same_images(command: Command, other_run: Path, digits_run: Path) -> None:
    value = command("runs", "compare", other_run, digits_run, "--json").json
    assert value["schema"] == 1
    differ = {each["name"]: (each["a"], each["b"]) for each in value["settings"]}
    assert differ == {
        "settings.seed": (2, 1),
        "settings.overrides.epochs": (1, 2),
        "recipe.epochs": (1, 2),
        "steps": (46, 92),
    }
    figures = {each["name"]: (each["a"], each["b"]) for each in value["figures"]}
    assert list(figures) == ["top1", "top5", "loss", "train_seconds", "images_per_second", "epochs"]
    assert figures["epochs"] == (1, 2)
    a, b = (read_answers(run / "answers.parquet") for run in (other_run, digits_run))
    assert a.digests.tolist() == b.digests.tolist()
    only_a, only_b = int((a.right & ~b.right).sum()), int((b.right & ~a.right).sum())
    told = value["significance"]
    assert told["paired"]
    assert (told["only_a"], told["only_b"], told["images_a"]) == (only_a, only_b, len(a.labels))
    differ_in = only_a + only_b
    exact = binomtest(only_a, differ_in).pvalue
    corrected = chi2.sf((abs(only_a - only_b) - 1) ** 2 / differ_in, 1)
    assert told["p"] == pytest.approx(exact if differ_in < 25 else corrected)
    assert told["difference"] == pytest.approx(figures["top1"][1] - figures["top1"][0])
    assert told["low"] < told["difference"] < told["high"]


def test_in_words(command: Command, other_run: Path, digits_run: Path) -> None:
    text = command("runs", "compare", other_run, digits_run).out
    assert "settings.seed" in text
    assert "only A got" in text
    assert "the difference is more than chance (p < 0.0001)" in text
    assert "percentage points with 95 % confidence (Agresti and Min 2005); p by McNemar" in text
    assert "what another seed of the training would change is not in it" in text


def test_a_run_and_its_copy_are_equal(command: Command, digits_run: Path, copied_run: Copy) -> None:
    answer = command("runs", "compare", digits_run, copied_run())
    assert "nothing differs in the settings" in answer.out
    assert "only A got 0 right, and only B 0: the difference is no larger than chance brings (p = 1)" in answer.out


def rewrite_answers(run: Path, change: Callable[[Any], Any]) -> None:
    table = pq.read_table(run / "answers.parquet")
    pq.write_table(change(table), run / "answers.parquet")


def test_the_order_of_the_images_has_no_say(command: Command, other_run: Path, copied_run: Copy) -> None:
    run = copied_run()
    before = command("runs", "compare", other_run, run, "--json").json["significance"]
    order = np.random.default_rng(0).permutation(before["images_a"])
    rewrite_answers(run, lambda table: table.take(order))
    assert command("runs", "compare", other_run, run, "--json").json["significance"] == before


def test_other_images_are_compared_as_shares(command: Command, other_run: Path, copied_run: Copy) -> None:
    run = copied_run()
    keep = 200
    rewrite_answers(run, lambda table: table.slice(0, keep))
    right = int(read_answers(run / "answers.parquet").right.sum())
    record = json.loads((run / "run.json").read_text())
    record["result"] |= {"top1": 100 * right / keep, "images": keep}
    (run / "run.json").write_text(json.dumps(record))
    answer = command("runs", "compare", other_run, run)
    assert "the images that they were judged on differ (200 are the same)" in answer.out
    assert f"B {right} of 200: the difference is" in answer.out
    assert "(Newcombe 1998); p by Fisher, exact" in answer.out
    told = command("runs", "compare", other_run, run, "--json").json["significance"]
    assert (told["paired"], told["only_a"], told["right_b"], told["images_b"]) == (False, None, right, keep)


def test_without_answers_only_the_figures_are_compared(command: Command, other_run: Path, copied_run: Copy) -> None:
    run = copied_run()
    for prepare, words in (
        (lambda: shutil.copy(other_run / "answers.parquet", run), "answers.parquet is of other weights"),
        (lambda: (run / "answers.parquet").write_bytes(b"PAR1"), "answers.parquet is damaged"),
        (lambda: (run / "answers.parquet").unlink(), "there is no"),
    ):
        prepare()
        answer = command("runs", "compare", other_run, run)
        assert answer.code == 0
        assert f"what {run} answered to each image is not known: " in answer.out
        assert words in answer.out
        assert "so they are compared as if judged on different images" in answer.out
        assert "Fisher" in answer.out


def test_a_run_without_figures(command: Command, digits_run: Path, copied_run: Copy) -> None:
    run = copied_run(state="failed", result=None)
    (run / "metrics.jsonl").unlink()
    answer = command("runs", "compare", digits_run, run)
    assert f"{run} has no figures yet" in answer.out
    assert command("runs", "compare", digits_run, run, "--json").json["significance"] is None


def test_long_lists_are_told_by_where_they_differ(command: Command, digits_run: Path, copied_run: Copy) -> None:
    data = json.loads((digits_run / "run.json").read_text())["data"]
    names = [*data["class_names"][:9], "a [red]\x1b[31m nine"]
    run = copied_run(data={**data, "class_names": names})
    answer = command("runs", "compare", digits_run, run)
    assert "10 entries, the 10. 9 " in answer.out
    assert "10 entries, the 10. a [red]\\x1b[31m nine" in answer.out


def test_damage_is_refused(command: Command, digits_run: Path, copied_run: Copy) -> None:
    run = copied_run()
    (run / "run.json").write_text("{")
    answer = command("runs", "compare", digits_run, run)
    assert (answer.code, answer.out) == (2, "")
    assert "run.json is damaged" in answer.err
