"""Out of fold: no network answers an image that it saw, and each answer stands with its image."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pictures import class_folder

from lenext.data.opening import open_source
from lenext.data.reading import read_split
from lenext.data.source import Source, Split
from lenext.errors import UserError
from lenext.progress import SILENT
from lenext.suspects import answering
from lenext.suspects.answering import Again, again, answers_out_of_fold
from lenext.suspects.folds import folds_of
from lenext.training.preparing import Prepared
from lenext.training.settings import Settings

CPU = torch.device("cpu")
QUICK = Settings(data="photos", model="lenet5", overrides={"epochs": 1}, loading="workers", device="cpu", threads=1)

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def prepared(monkeypatch: pytest.MonkeyPatch) -> list[Prepared]:
    """Everything that a fold is trained with, as it comes to be."""
    seen: list[Prepared] = []

    def prepare(*given: Any, **named: Any) -> Prepared:
        seen.append(answering_prepare(*given, **named))
        return seen[-1]

    answering_prepare = answering.prepare
    monkeypatch.setattr(answering, "prepare", prepare)
    return seen


def doubled(split: Split) -> Split:
    """Return the split with its first five images once more, under other names and the other label."""
    return Split(
        [*split.items, *(split.items[i] for i in range(5))],
        np.concatenate([split.labels, 1 - split.labels[:5]]),
        [*split.names, *(f"again/{i}.png" for i in range(5))],
    )


def again_of(settings: Settings) -> Again:
    return Again(settings, (), {})


def opened(folder: Path) -> tuple[Source, Split]:
    source = open_source(class_folder(folder, images=9))
    return source, doubled(source.splits["all"])


def test_no_image_is_answered_by_what_saw_it(tmp_path: Path, prepared: list[Prepared]) -> None:
    source, split = opened(tmp_path / "photos")
    reading = read_split(split, QUICK.form(), what="reading")
    folds = folds_of(reading.digests, reading.labels, 3, seed=0)
    answered = list(answers_out_of_fold(again_of(QUICK), source, split, folds, CPU, SILENT))
    assert len(prepared) == 3
    for ready, each in zip(prepared, answered, strict=True):
        assert not np.intersect1d(ready.trained_on, ready.data.held_out.digests).size
        assert (ready.data.held_out.digests == reading.digests[each.rows]).all()
        assert (each.judgement.labels == reading.labels[each.rows]).all()
        assert set(ready.data.train.split.names) == set(split.names) - {split.names[i] for i in each.rows.tolist()}
    assert sorted(np.concatenate([each.rows for each in answered]).tolist()) == list(range(len(split)))


def test_an_image_that_went_missing_takes_no_other_ones_place(tmp_path: Path) -> None:
    source, split = opened(tmp_path / "photos")
    reading = read_split(split, QUICK.form(), what="reading")
    folds = folds_of(reading.digests, reading.labels, 2, seed=0)
    gone = np.flatnonzero(folds == 0)[3]
    item = split.items[gone]
    assert isinstance(item, Path)
    item.unlink()
    answered = list(answers_out_of_fold(again_of(QUICK), source, split, folds, CPU, SILENT))
    copies = [row for row in range(len(split)) if split.items[row] == item]
    assert set(np.concatenate([each.rows for each in answered])) == set(range(len(split))) - set(copies)
    for each in answered:
        assert (each.judgement.labels == split.labels[each.rows]).all()
        assert {name for name, _ in each.skipped} == {split.names[row] for row in copies}


def test_with_early_stopping_the_best_epoch_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, split = opened(tmp_path / "photos")
    epochs = []

    def fit(*given: Any, **named: Any) -> Any:
        for epoch in real(*given, **named):
            epochs.append(dataclasses.replace(epoch, best=epoch.number == 2))
            yield epochs[-1]

    real = answering.fit
    monkeypatch.setattr(answering, "fit", fit)
    settings = dataclasses.replace(QUICK, overrides={"epochs": 3})
    first = next(answers_out_of_fold(again_of(settings), source, split, np.arange(len(split)) % 2, CPU, SILENT))
    assert first.epochs == 3
    assert first.judgement is epochs[1].held_out


def test_weights_that_were_trained_on_the_images_are_refused(digits_run: Path) -> None:
    settings = dataclasses.replace(QUICK, weights=str(digits_run))
    source = open_source("digits")
    split = source.splits["all"].take(np.arange(100))
    with pytest.raises(UserError, match=r"were trained on \d+ of the 50 images of a fold, whose labels they know"):
        next(answers_out_of_fold(again_of(settings), source, split, np.arange(100) % 2, CPU, SILENT))


def test_the_settings_are_those_of_the_run(digits_run: Path, copied_run: Callable[..., Path], tmp_path: Path) -> None:
    found = again(digits_run, "digits", CPU)
    settings, names = found.settings, found.class_names
    assert (settings.model, settings.seed, settings.data, names) == ("lenet5", 1, "digits", tuple("0123456789"))
    assert settings.overrides["epochs"] == 2
    assert settings.overrides["precision"] == "float32"
    settings = again(digits_run, "photos/", CPU, epochs=7, seed=5, threads=1).settings
    assert (settings.overrides["epochs"], settings.seed, settings.threads) == (7, 5, 1)
    assert settings.data == "photos/"


def test_what_the_run_decided_for_itself_is_not_taken_over(digits_run: Path, copied_run: Callable[..., Path]) -> None:
    record = answering.read_record(digits_run)
    said, asked = record["settings"], record["settings"]["overrides"]
    run = copied_run("timed", settings={**said, "minutes": 3.0, "overrides": {}, "exclude": "list.csv"})
    assert again(run, "digits", CPU).settings.minutes == 3.0
    assert again(run, "digits", CPU, epochs=2).settings.minutes is None
    assert again(run, "digits", CPU).settings.exclude == "list.csv"
    assert again(run, "photos/", CPU).settings.exclude is None, "the list is of other images"
    run = copied_run(
        "elsewhere", hardware={**record["hardware"], "device": "cuda"}, data={**record["data"], "loading": "cache"}
    )
    settings = again(run, "digits", CPU).settings
    assert dict(settings.overrides) == asked, "the arithmetic was that of another device"
    assert settings.loading == "workers", "nothing is left in the cache"
    run = copied_run("unbegun", state="failed")
    assert again(run, "digits", CPU).settings.model == "lenet5"


def test_without_a_run_there_is_nothing_to_train_again(tmp_path: Path, digits_run: Path) -> None:
    for path, message in (
        (digits_run / "model.safetensors", "is no run folder; its settings are trained again"),
        (tmp_path / "absent", "is no run folder"),
        (tmp_path, "it has no run.json"),
    ):
        with pytest.raises(UserError, match=message):
            again(path, "digits", CPU)
