"""What a bench has learned: which engine it speaks for, and when it counts for nothing."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lenext.engines import machine as here
from lenext.engines import remembered
from lenext.engines.remembered import FILES, Place, Row, choose

SAMPLE = Path(__file__).parents[1] / "golden" / "bench-format-1.json"


def row(engine: Any, batch: int = 1, p50: float = 10.0, load: float = 1.0, **others: Any) -> Row:
    return replace(
        Row(
            engine=engine, batch=batch, threads=2, p50_ms=p50, p95_ms=p50, images_per_second=batch * 1000 / p50,
            load_seconds=load, largest_gap=0.0, agreement=100.0, agrees=True, peak_bytes=1, calls=1,
        ),
        **others,
    )  # fmt: skip


def test_the_soonest_is_worked_out_from_loading_and_calls() -> None:
    rows = [
        row("onnxruntime", p50=10, load=0.2),  # 0.2 s and 10 ms an image
        row("onnxruntime", batch=8, p50=64, load=0.25),  # 0.25 s and 64 ms for up to eight
        row("openvino", p50=7, load=0.4),  # 0.4 s and 7 ms
        row("compiled", batch=8, p50=32, load=20.0),  # 20 s and 32 ms for up to eight
    ]
    assert rows[1].seconds(1) == pytest.approx(0.314)
    assert rows[1].seconds(8) == pytest.approx(0.314)
    assert rows[1].seconds(9) == pytest.approx(0.378)
    # 1 image: 0.21, 0.314, 0.407; 100: 1.2, 0.25 + 13 * 0.064 = 1.082, 1.1; 1,000: 10.2, 8.25, 7.4; 10,000 of
    # OpenVINO 70.4, compiled 20 + 1,250 * 0.032 = 60.
    for images, expected in ((1, 0), (13, 0), (50, 1), (100, 1), (1_000, 2), (10_000, 3)):
        assert choose(rows, images, threads=2) == rows[expected], images
    assert choose(rows, 1, threads=1) is None


def test_who_disagrees_at_any_batch_is_never_chosen() -> None:
    rows = [row("openvino", p50=1), row("openvino", batch=8, p50=8, agrees=False), row("pytorch", p50=90)]
    assert choose(rows, 1, threads=2) == rows[2]
    assert choose(rows[:2], 1, threads=2) is None


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """The place of a run folder with weights, two rows and one file remembered."""
    run = tmp_path / "run"
    run.mkdir()
    (run / "model.safetensors").write_bytes(b"weights")
    found = Place.of(run)
    assert found is not None
    assert found.folder() == run / "engines"
    (run / "engines" / "network.onnx").write_bytes(b"graph")
    found.remember(
        run / "engines", [row("pytorch"), row("onnxruntime")], files={"network.onnx": run / "engines" / "network.onnx"}
    )
    return found


def known(place: Place) -> list[str]:
    found = place.recall()
    return [] if found is None else [each.engine for each in found.rows]


def test_rows_are_kept_and_replaced(place: Place) -> None:
    folder = place.folders[0]
    place.remember(folder, [row("onnxruntime", p50=3), row("onnxruntime", batch=8)])
    found = place.recall()
    assert found is not None
    assert [(each.engine, each.batch, each.p50_ms) for each in found.rows] == [
        ("pytorch", 1, 10), ("onnxruntime", 1, 3), ("onnxruntime", 8, 10),
    ]  # fmt: skip
    assert found.file_for("onnxruntime") == found.file_for("openvino") == folder / "network.onnx"
    assert found.file_for("ncnn") is None
    assert found.file_for("pytorch") is None


def test_a_model_that_has_changed_is_another(place: Place) -> None:
    run = place.folders[0].parent
    assert known(place) == ["pytorch", "onnxruntime"]
    os.utime(run / "model.safetensors", ns=(1, 1))
    changed = Place.of(run)
    assert changed is not None
    assert changed.recall() is None


def test_a_file_that_has_changed_takes_its_rows_along(place: Place) -> None:
    folder = place.folders[0]
    (folder / "network.onnx").write_bytes(b"another")
    found = place.recall()
    assert found is not None
    assert found.file_for("onnxruntime") is None
    place.remember(folder, (), files={"network.onnx": folder / "network.onnx"})
    assert known(place) == ["pytorch"]


def test_another_machine_and_other_versions_count_for_nothing(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "engine_version", lambda name: "0" if name == "pytorch" else "1.32.0")
    before = known(place)
    assert "pytorch" not in before
    monkeypatch.setattr(remembered, "machine", lambda: "another, 64 cores")
    assert known(place) == []
    place.remember(place.folders[0], [row("ncnn")])
    monkeypatch.undo()
    assert known(place) == ["pytorch", "onnxruntime"]  # and what the other has learned is still there
    assert len(json.loads((place.folders[0] / "bench.json").read_text())["rows"]) == 3


@pytest.mark.parametrize(
    "damage",
    [
        lambda value: "{",
        lambda value: json.dumps({**value, "format": 2}),
        lambda value: json.dumps({**value, "rows": 5}),
        lambda value: json.dumps({**value, "rows": [{"engine": "onnxruntime"}]}),
        lambda value: json.dumps({**value, "rows": [{**value["rows"][0], "p50_ms": "1"}]}),
        lambda value: json.dumps({**value, "files": []}),
        lambda value: json.dumps([]),
    ],
)
def test_what_is_damaged_counts_for_nothing(place: Place, damage: Any) -> None:
    file = place.folders[0] / "bench.json"
    file.write_text(damage(json.loads(file.read_text())))
    assert place.recall() is None
    place.remember(place.folders[0], [row("pytorch")])
    assert known(place) == ["pytorch"]


def test_where_nothing_can_be_written_the_cache_is_taken(tmp_path: Path, own_cache: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "run" / "engines").write_text("a file is in the way")
    found = Place.of(tmp_path / "run")
    assert found is not None
    folder = found.folder()
    assert folder is not None
    assert folder.parent == own_cache / "lenext" / "engines"
    found.remember(folder, [row("pytorch")])
    assert known(found) == ["pytorch"]


def test_what_may_be_other_weights_tomorrow_has_no_place(tmp_path: Path) -> None:
    assert Place.of("hub:owner/name") is None
    assert Place.of("resnet18", "hub:owner/name") is None
    assert Place.of(tmp_path / "nothing") is None
    tagged = Place.of("resnet18", "resnet18:torchvision-v1")
    assert tagged is not None
    assert len(tagged.folders) == 1
    assert tagged.folders != Place.of("resnet18:torchvision-v1").folders  # type: ignore[union-attr]


def test_format_1_stays_readable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sample = json.loads(SAMPLE.read_text())
    (tmp_path / "bench.json").write_text(SAMPLE.read_text())
    monkeypatch.setattr(remembered, "machine", lambda: sample["rows"][0]["machine"])
    monkeypatch.setattr(remembered, "engine_version", lambda name: {"onnxruntime": "1.32.0"}.get(name, "2.13.0"))
    found = Place(sample["model"], (tmp_path,)).recall()
    assert found is not None
    assert not found.accelerator
    assert [(each.engine, each.batch, each.agrees) for each in found.rows] == [
        ("pytorch", 1, True), ("onnxruntime", 1, True),
    ]  # fmt: skip
    assert found.files == {}  # the sample is of files that are not here


def test_the_machine_is_told_by_its_processor_and_cores() -> None:
    assert here.machine().endswith(" cores")
    assert set(FILES) == {"onnxruntime", "openvino", "ncnn"}
