"""The files for TensorBoard, read back as it reads them."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from lenext.errors import LenextError
from lenext.training.folder.tensorboard import Board


def row(epoch: int, loss: float) -> dict[str, Any]:
    return {
        "epoch": epoch, "steps": 46 * epoch, "train_loss": loss, "loss": 0.5, "top1": 80.0 + epoch, "top5": 99.0,
        "lr": 0.002, "images_per_second": 1000.0,
    }  # fmt: skip


def read_back(run: Path) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    return {
        tag: [(each.step, round(each.value, 4)) for each in events.Scalars(tag)] for tag in events.Tags()["scalars"]
    }


def test_each_figure_is_there_by_its_step(tmp_path: Path) -> None:
    board = Board(tmp_path)
    board.epoch(row(1, 2.0))
    board.epoch({**row(2, 1.0), "top5": None})
    board.close()
    assert read_back(tmp_path) == {
        "loss/training": [(46, 2.0), (92, 1.0)],
        "loss/held out": [(46, 0.5), (92, 0.5)],
        "accuracy/top-1 (%)": [(46, 81.0), (92, 82.0)],
        "accuracy/top-5 (%)": [(46, 99.0)],
        "training/learning rate": [(46, 0.002), (92, 0.002)],
        "training/images a second": [(46, 1000.0), (92, 1000.0)],
    }


def test_a_run_that_goes_on_has_each_epoch_once(tmp_path: Path) -> None:
    killed = Board(tmp_path)
    for epoch in range(1, 6):
        killed.epoch(row(epoch, 1.0))
    again = Board(tmp_path)  # from the checkpoint of the third epoch
    for epoch in range(4, 7):
        again.epoch(row(epoch, 0.25))
    again.close()
    assert read_back(tmp_path)["loss/training"] == [
        (46, 1.0), (92, 1.0), (138, 1.0), (184, 0.25), (230, 0.25), (276, 0.25),
    ]  # fmt: skip


def test_without_tensorboard_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    board = Board(tmp_path)
    board.epoch(row(1, 2.0))
    board.close()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "tensorboard").write_text("a file")
    with pytest.raises(LenextError, match=r"cannot write .*tensorboard"):
        Board(tmp_path).epoch(row(1, 2.0))
