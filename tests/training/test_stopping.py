"""Runs that end by themselves: when images set aside are answered worse and worse, or when their time is over."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pictures import class_folder

import lenext
from lenext.data.holdout import held_out_mask, watched_mask
from lenext.data.loader import Loader
from lenext.data.opening import open_source
from lenext.data.reading import read_split
from lenext.data.source import ALL
from lenext.evaluation.judge import Judgement
from lenext.training import loop
from lenext.training.run import TrainResult
from lenext.weights.model_file import read_model_file

BEST = 3  # the epoch after which the images set aside are answered worse

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainResult, list[float]]:
    """A run of which the watched loss rises after its third epoch, and that loss in each epoch."""
    real, watched = loop.judge, list[float]()

    def judge(model: Any, loader: Loader, **options: Any) -> Judgement:
        answers = real(model, loader, **options)
        if len(loader) < 200:  # those set aside, a tenth of the training images
            if len(watched) >= BEST:
                answers = Judgement(-answers.logits, answers.labels)
            watched.append(answers.loss)
        return answers

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "judge", judge)
        result = lenext.train(
            "digits", "lenet5", size=12, epochs=30, out=tmp_path_factory.mktemp("runs") / "stopped",
            overrides={"early_stopping": 2, "schedule": "constant"},
        )  # fmt: skip
    return result, watched


def rows(result: TrainResult) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (Path(result.run) / "metrics.jsonl").read_text().splitlines()]


def test_it_stops_after_so_many_epochs_without_progress(stopped: tuple[TrainResult, list[float]]) -> None:
    result, watched = stopped
    assert watched[0] > watched[1] > watched[2], "the first epochs learn"
    assert (result.epochs, result.selected_by) == (BEST + 2, "early stopping")
    assert [row["watched_loss"] for row in rows(result)] == watched


def test_the_weights_of_the_best_epoch_are_kept(stopped: tuple[TrainResult, list[float]]) -> None:
    result, _ = stopped
    best, last = rows(result)[BEST - 1], rows(result)[-1]
    assert (result.top1, result.loss) == (best["top1"], best["loss"])
    assert result.loss != last["loss"]
    figures = read_model_file(Path(result.run) / "model.safetensors").metadata["figures"]
    assert (figures["epoch"], figures["top1"]) == (BEST, best["top1"])
    again = lenext.evaluate(result.run, "digits")
    assert (again.images, again.top1) == (result.images, result.top1), "those set aside are not counted as unseen"


def test_the_images_set_aside_are_a_part_of_the_training_images() -> None:
    whole = read_split(open_source("digits").splits[ALL], lenext.data.decode.ImageForm(size=(12, 12)), what="reading")
    held_out = held_out_mask(whole.digests, whole.labels)
    train = whole.take(np.flatnonzero(~held_out))
    watched = watched_mask(train.digests, train.labels)
    assert 0.06 < watched.mean() < 0.14
    assert set(train.labels[watched]) == set(range(10))
    assert not set(train.digests[watched]) & set(whole.digests[held_out])
    assert not set(train.digests[watched]) & set(train.digests[~watched])


def test_what_is_set_aside_is_neither_trained_on_nor_judged(stopped: tuple[TrainResult, list[float]]) -> None:
    result, _ = stopped
    record = json.loads((Path(result.run) / "run.json").read_text())
    watched = record["data"]["watched_images"]
    assert watched > 100
    assert result.train_images + watched + result.images == 1797
    assert record["data"]["train_images"] == result.train_images


def test_the_test_split_stays_out_of_it(tmp_path: Path) -> None:
    class_folder(tmp_path / "photos" / "train", images=30)
    class_folder(tmp_path / "photos" / "test", images=5)
    result = lenext.train(
        tmp_path / "photos", "mlp", size=8, epochs=2, overrides={"early_stopping": 1}, out=tmp_path / "run"
    )
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (result.split, result.images) == ("test", 10)
    assert result.train_images + record["data"]["watched_images"] == 60


def test_without_two_different_images_of_a_class_there_is_nothing_to_watch(tmp_path: Path) -> None:
    class_folder(tmp_path / "photos" / "train", images=1)
    class_folder(tmp_path / "photos" / "val", images=2)
    with pytest.raises(lenext.UserError, match="early stopping has no image to go by"):
        lenext.train(tmp_path / "photos", "mlp", size=8, overrides={"early_stopping": 1}, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_with_minutes_ends_in_time_and_has_used_them(tmp_path: Path) -> None:
    began = time.perf_counter()
    result = lenext.train("digits", "lenet5", size=12, minutes=0.1, out=tmp_path / "run")
    took = time.perf_counter() - began
    assert 3 < took < 9  # a busy machine may take its time to write the report
    found = rows(result)
    assert result.epochs == len(found) < 200
    assert result.steps_executed == found[-1]["steps"] > 100
    assert found[-1]["lr"] < 1e-4, "the rate has come down by the end"
    assert found[-1]["train_loss_parts"][-1] < found[0]["train_loss_parts"][0]
