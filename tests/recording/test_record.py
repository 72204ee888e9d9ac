"""Predictions in a file: whatever breaks the writing off, going on gives the file that an unbroken one gives."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lenext.errors import LenextError, UserError
from lenext.recording.columns import Columns
from lenext.recording.record import Making, Record

MAKING = Making("lenet5", "abc123", 2, ids=True, low_confidence=0.6)
NAMES = ["a.png", 'q"uo"te,.png', "new\nline.png", "\r.png", "ünï .png", "caf\udce9.png", "a.png", "[red]=1+1.png"]


@pytest.fixture(autouse=True)
def no_wait_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)


def entries() -> list[dict[str, Any]]:
    """Return an entry for each name, one of an image that cannot be read."""
    ranks = [{"label": "cat", "id": "n02", "probability": 0.5}, {"label": 'd"og\n', "id": "n03", "probability": 0.25}]
    made = [{"image": name, "predictions": ranks, "low_confidence": True} for name in NAMES]
    made[3] = {"image": NAMES[3], "error": "not an image, \n or so"}
    made[5] = {**made[5], "low_confidence": False}
    return made


def write(out: Path, rows: list[dict[str, Any]], *, resume: bool = False) -> Record:
    with Record(out, MAKING, resume=resume) as record:
        for row in rows:
            if record.is_new(row["image"]):
                record.append(row)
    return record


@pytest.mark.parametrize("ending", ["jsonl", "csv"])
def test_a_file_that_ends_anywhere_is_gone_on_with_to_the_same_bytes(tmp_path: Path, ending: str) -> None:
    whole = tmp_path / f"whole.{ending}"
    write(whole, entries())
    data, meta = whole.read_bytes(), whole.with_name(whole.name + ".meta.json").read_bytes()
    broken = tmp_path / f"broken.{ending}"
    for end in range(0, len(data) + 1, 3):
        broken.write_bytes(data[:end])
        broken.with_name(broken.name + ".meta.json").write_bytes(meta)
        record = write(broken, entries(), resume=True)
        assert broken.read_bytes() == data, end
        assert (record.tally.images, record.tally.unreadable, record.tally.low_confidence) == (8, 1, 6)


@settings(max_examples=30)
@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1), max_size=5), st.integers(0, 200))
def test_any_names_come_back(tmp_path_factory: pytest.TempPathFactory, names: list[str], cut: int) -> None:
    folder = tmp_path_factory.mktemp("names")
    rows = [{"image": name, "error": "empty file"} for name in names]
    for ending in ("jsonl", "csv"):
        out = folder / f"answers.{ending}"
        write(out, rows)
        if not rows:
            continue
        out.write_bytes(out.read_bytes()[:-cut] if cut else out.read_bytes())
        record = write(out, rows, resume=True)
        assert record.tally.images == len(rows)


def test_columns_of_a_table_and_its_lines(tmp_path: Path) -> None:
    for ending in ("csv", "parquet", "jsonl"):
        write(tmp_path / f"answers.{ending}", entries())
    table = pq.read_table(tmp_path / "answers.parquet")
    columns = [
        "image", "label", "id", "probability", "label_2", "id_2", "probability_2", "error", "low_confidence",
    ]  # fmt: skip
    assert table.column_names == columns
    rows = table.to_pylist()
    assert rows[0] == dict(zip(columns, ("a.png", "cat", "n02", 0.5, 'd"og\n', "n03", 0.25, None, True), strict=True))
    assert rows[3] == {**dict.fromkeys(columns), "image": "\r.png", "error": "not an image, \n or so"}
    assert rows[5]["image"] == "caf\\udce9.png"
    with (tmp_path / "answers.csv").open(newline="") as file:
        told = list(csv.DictReader(file))
    assert list(told[0]) == columns
    assert [row["image"] for row in told] == [row["image"] for row in rows]
    assert [float(row["probability"] or 0) for row in told] == [row["probability"] or 0 for row in rows]
    assert [row["low_confidence"] for row in told] == ["true", "true", "true", "", "true", "false", "true", "true"]
    lines = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    assert lines[0] == entries()[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "answers.csv", "answers.csv.meta.json", "answers.jsonl", "answers.jsonl.meta.json", "answers.parquet",
    ]  # fmt: skip


def test_a_table_is_gone_on_with(tmp_path: Path) -> None:
    write(tmp_path / "whole.parquet", entries())
    out = tmp_path / "a.parquet"
    write(out, entries()[:3])
    write(out, entries(), resume=True)
    assert pq.read_table(out).equals(pq.read_table(tmp_path / "whole.parquet"), check_metadata=True)
    before = out.stat().st_mtime_ns
    record = write(out, entries(), resume=True)
    assert (record.tally.images, record.tally.before, out.stat().st_mtime_ns) == (8, 8, before)
    with pytest.raises(KeyboardInterrupt), Record(out, MAKING, resume=True):
        raise KeyboardInterrupt
    assert (tmp_path / "a.parquet.part.jsonl").exists()
    write(out, entries(), resume=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.parquet", "whole.parquet"]


def test_columns_and_entries_are_each_other_s_inverse() -> None:
    columns = Columns(2, ids=True)
    for entry in entries():
        assert columns.entry(columns.row(entry)) == entry
    short = {"image": "a", "predictions": [{"label": "x", "probability": 1.0}]}
    assert Columns(2, ids=False).entry(Columns(2, ids=False).row(short)) == short


def test_what_was_made_otherwise_is_refused(tmp_path: Path) -> None:
    for ending in ("csv", "parquet"):
        out = tmp_path / f"a.{ending}"
        write(out, entries())
        before = out.read_bytes()
        for other, message in (
            (Making("lenet5", "ffff", 2, True, 0.6), "holds the answers of lenet5 .abc123., and this is lenet5 .ffff."),
            (Making("lenet5", "abc123", 3, True, 0.6), "was written with top 2, and now it is 3"),
            (Making("lenet5", "abc123", 2, True, None), "was written with low-confidence 0.6, and now it is None"),
        ):
            with pytest.raises(UserError, match=message):
                Record(out, other, resume=True)
        with pytest.raises(UserError, match=f"a.{ending} is there already; give --resume to go on with it"):
            Record(out, MAKING)
        assert out.read_bytes() == before


def test_damage_is_told_and_left_as_it_is(tmp_path: Path) -> None:
    out, meta = tmp_path / "a.jsonl", tmp_path / "a.jsonl.meta.json"
    write(out, entries())
    whole = out.read_text()
    out.write_text(whole.replace("\n", "\nhello\n", 1))
    with pytest.raises(UserError, match=r"line 2 of .*a.jsonl cannot be read: Expecting value"):
        Record(out, MAKING, resume=True)
    assert "hello" in out.read_text()
    out.write_text(whole)
    told = json.loads(meta.read_text())
    meta.write_text(json.dumps({**told, "format": 9}))
    with pytest.raises(UserError, match=r"a.jsonl.meta.json has format 9"):
        Record(out, MAKING, resume=True)
    meta.unlink()
    with pytest.raises(UserError, match=r"nobody knows how .*a.jsonl was made"):
        Record(out, MAKING, resume=True)
    table, words = tmp_path / "b.csv", tmp_path / "c.parquet"
    write(table, entries())
    for text, message in (
        ("x,y\n", "has other columns"),
        (table.read_bytes().decode() + "a,b\n", r"line \d+ of .*b.csv cannot be read: 2 values in 9"),
    ):
        table.write_text(text, newline="")
        with pytest.raises(UserError, match=message):
            Record(table, MAKING, resume=True)
    words.write_text("words")
    with pytest.raises(UserError, match=r"c.parquet cannot be read"):
        Record(words, MAKING, resume=True)
    with pytest.raises(UserError, match=r"cannot hold predictions; give a name that ends in .jsonl, .csv or .parquet"):
        Record(tmp_path / "a.txt", MAKING)
    with pytest.raises(UserError, match="there is no folder"):
        Record(tmp_path / "no" / "a.csv", MAKING)


def test_one_process_writes_a_file(tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    out = tmp_path / "a.csv"
    with Record(out, MAKING) as record:
        record.append(entries()[0])
        with pytest.raises(UserError, match="another process is writing"):
            Record(out, MAKING, resume=True)


def test_nothing_is_left_of_a_file_without_answers(tmp_path: Path) -> None:
    with pytest.raises(LenextError), Record(tmp_path / "a.csv", MAKING):
        raise LenextError("the engine could not be loaded")
    assert not list(tmp_path.iterdir())
