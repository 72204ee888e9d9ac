from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lenext.data.source import Split
from lenext.errors import UserError
from lenext.evaluation.answers import read_answers, write_answers
from lenext.evaluation.judge import Judgement
from lenext.training.run import TrainResult

SAMPLE = Path(__file__).parents[1] / "golden" / "answers-format-1.parquet"


class Images:
    """As much of a reading as the file needs."""

    def __init__(self, names: list[str], digests: list[int]) -> None:
        self.split = Split(names, np.zeros(len(names), np.int64), names)
        self.digests = np.array(digests, np.uint64)


def written(path: Path) -> Path:
    logits = np.log(np.array([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.25, 0.25, 0.5]], np.float32))
    images: Any = Images(["a/1.png", "b/2.png", os.fsdecode(b"caf\xe9.png")], [1, 2**64 - 1, 2**63])
    write_answers(path, Judgement(logits, np.array([0, 2, 2])), images, ["ant", "bee", "cat"])
    return path


def test_what_was_written_is_read(tmp_path: Path) -> None:
    answers = read_answers(written(tmp_path / "answers.parquet"))
    assert answers.images == ["a/1.png", "b/2.png", "caf\\udce9.png"]
    assert answers.digests.tolist() == [1, 2**64 - 1, 2**63]
    assert answers.labels == ["ant", "cat", "cat"]
    assert answers.predicted == ["ant", "bee", "cat"]
    assert answers.probabilities.tolist() == pytest.approx([0.7, 0.6, 0.5])
    assert answers.right.tolist() == [True, False, True]
    assert answers.keys == [(1, "ant"), (2**64 - 1, "cat"), (2**63, "cat")]
    assert [path.name for path in tmp_path.iterdir()] == ["answers.parquet"]


def test_the_first_format_stays_readable() -> None:
    answers = read_answers(SAMPLE)
    assert (answers.labels, answers.predicted) == (["ant", "cat", "cat"], ["ant", "bee", "cat"])
    assert answers.digests.tolist() == [1, 2**64 - 1, 2**63]


def test_a_run_keeps_the_answers_of_its_weights(digits_result: TrainResult) -> None:
    answers = read_answers(Path(digits_result.run) / "answers.parquet")
    assert len(answers.images) == digits_result.images
    assert 100 * answers.right.mean() == pytest.approx(digits_result.top1)
    assert set(answers.labels) == {str(digit) for digit in range(10)}


def rewritten(path: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    pq.write_table(change(pq.read_table(path)), path)


def stamp(value: dict[str, Any]) -> Callable[[pa.Table], pa.Table]:
    return lambda table: table.replace_schema_metadata({"lenext": json.dumps(value)})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (stamp({"format": 9, "lenext_version": "7.1"}), r"has format 9, written by lenext 7\.1"),
        (lambda table: table.replace_schema_metadata({}), "carries no format number"),
        (lambda table: table.drop_columns(["digest"]), "is damaged"),
        (lambda table: table.set_column(1, "digest", pa.array([1, 2, 3], pa.int64())), "its columns are not those"),
        (lambda table: table.set_column(2, "label", pa.array(["ant", None, "cat"])), "values are missing"),
        (lambda table: table.slice(0, 0), "its columns are not those"),
    ],
)
def test_another_format_and_damage_are_refused(
    tmp_path: Path, change: Callable[[pa.Table], pa.Table], message: str
) -> None:
    path = written(tmp_path / "answers.parquet")
    rewritten(path, change)
    with pytest.raises(UserError, match=message):
        read_answers(path)


@pytest.mark.parametrize("keep", [0, 3, 200, -20])
def test_a_file_that_is_cut_is_refused(tmp_path: Path, keep: int) -> None:
    path = written(tmp_path / "answers.parquet")
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UserError, match="is damaged"):
        read_answers(path)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no"):
        read_answers(tmp_path / "answers.parquet")
