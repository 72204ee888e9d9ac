from __future__ import annotations

import csv
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


HOSTILE = ["a, b", 'c "d"', "e\nf", "=g;|", os.fsdecode(b"h\xff"), "<i>é", "7"]


def hostile(path: Path, classes: int = 7) -> Path:
    """Write two answers among classes whose names are no easy text; the probabilities grow with the class."""
    shares = np.array([[1, 2, 3, 4, 5, 6, 7], [7, 6, 5, 4, 3, 2, 1]], np.float32)[:, :classes]
    images: Any = Images(['x,"y"\n.png', os.fsdecode(b"z\xe9.png")], [2**64 - 1, 0])
    write_answers(path, Judgement(np.log(shares), np.array([0, 0])), images, HOSTILE[:classes])
    return path


def test_the_columns_that_other_programs_read(tmp_path: Path) -> None:
    table = pq.read_table(written(tmp_path / "answers.parquet"))
    assert table.column_names == [
        "image", "digest", "label", "predicted", "probability", "label_probability", "loss", "top5",
    ]  # fmt: skip
    assert table["probability"].type == table["label_probability"].type == table["loss"].type == pa.float32()
    assert table["label_probability"].to_pylist() == pytest.approx([0.7, 0.3, 0.5])
    assert table["loss"].to_pylist() == pytest.approx(-np.log([0.7, 0.3, 0.5]), rel=1e-6)
    assert table["top5"].to_pylist() == [["ant", "bee", "cat"], ["bee", "cat", "ant"], ["cat", "ant", "bee"]]


@pytest.mark.parametrize("classes", [1, 2, 5, 6, 7])
def test_the_five_most_probable_classes_are_named(tmp_path: Path, classes: int) -> None:
    table = pq.read_table(hostile(tmp_path / "answers.parquet", classes))
    names = [name.encode("utf-8", "backslashreplace").decode() for name in HOSTILE[:classes]]
    assert table["top5"].to_pylist() == [names[::-1][:5], names[:5]]
    assert [row[0] for row in table["top5"].to_pylist()] == table["predicted"].to_pylist()


def test_a_csv_holds_the_same(tmp_path: Path) -> None:
    table = pq.read_table(hostile(tmp_path / "answers.parquet")).to_pylist()
    with hostile(tmp_path / "answers.CSV").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(table) == 2
    for row, there in zip(rows, table, strict=True):
        assert list(row) == list(there)
        assert {name: row[name] for name in ("image", "label", "predicted")} == {
            name: there[name] for name in ("image", "label", "predicted")
        }
        assert int(row["digest"]) == there["digest"]
        for name in ("probability", "label_probability", "loss"):
            assert float(row[name]) == pytest.approx(there[name])
        assert json.loads(row["top5"]) == there["top5"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["answers.CSV", "answers.parquet"]


@pytest.mark.parametrize("name", ["answers.txt", "answers", "answers.parquet.gz"])
def test_another_suffix_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=r"ends in \.parquet or \.csv"):
        written(tmp_path / name)
    assert not list(tmp_path.iterdir())


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
