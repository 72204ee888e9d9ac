"""Whether an old task is like a new one, told by the stages of a network, and what recipe `transfer` makes of it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lenext
from lenext.classifier import Classifier
from lenext.data.opening import open_source
from lenext.data.reading import Reading, read_split
from lenext.training import preparing
from lenext.training.folder.record import settings_of
from lenext.training.preparing import prepare
from lenext.training.recipes import Situation, make_recipe
from lenext.transfer.separation import Separation, separation
from lenext.weights.model_file import write_model_file

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def classifier(digits_run: Path) -> Classifier:
    return lenext.load(digits_run)


@pytest.fixture
def reading(classifier: Classifier) -> Reading:
    whole = open_source("digits").splits["all"]
    return read_split(whole.take(np.arange(300)), classifier.preprocessing.form, what="reading")


def spoil(model: lenext.ImageClassifier) -> None:
    """Let the last stage say the same of every image."""
    with torch.no_grad():
        for weight in model.stages[-1].parameters():
            weight.zero_()


def test_a_network_suits_the_images_that_it_was_trained_on(classifier: Classifier, reading: Reading) -> None:
    found = separation(classifier, reading)
    assert found is not None
    assert found.similar
    assert len(found.top1) == 2
    assert found.top1[-1] > 85
    assert separation(classifier, reading) == found


def test_stages_that_say_nothing_are_better_cut_off(classifier: Classifier, reading: Reading) -> None:
    spoil(classifier.model)
    found = separation(classifier, reading)
    assert found is not None
    assert found.drop == 1
    assert found.top1[1] < 20 < found.top1[0]
    assert "the best is stage 0" in found.words


def test_too_few_images_tell_nothing(classifier: Classifier, reading: Reading) -> None:
    assert separation(classifier, reading.take(np.arange(8))) is None
    assert separation(classifier, reading.take(np.flatnonzero(reading.labels == 3))) is None


ALIKE, UNCLEAR = Separation((70.0, 80.0, 95.0), 0), Separation((70.0, 80.0, 90.0), 0)
ANOTHER = Separation((70.0, 90.0, 60.0), 1)


@pytest.mark.parametrize(
    ("images", "found", "wanted"),
    [
        (300, ALIKE, {"freeze": "all but head.classifier", "unfreeze": 0.0, "drop_stages": 0, "layer_decay": 1.0}),
        (300, UNCLEAR, {"freeze": "all but head.classifier", "unfreeze": 0.4, "drop_stages": 0, "layer_decay": 0.7}),
        (300, ANOTHER, {"freeze": "all but head", "unfreeze": 0.4, "drop_stages": 1}),
        (30_000, ALIKE, {"freeze": "", "layer_decay": 0.7, "lr": 1e-4}),
        (30_000, ANOTHER, {"freeze": "", "drop_stages": 0, "layer_decay": 1.0, "lr": 1e-3}),
        (300, None, {"freeze": "all but head.classifier", "drop_stages": 0}),
    ],
)
def test_the_four_ways(images: int, found: Separation | None, wanted: dict[str, Any]) -> None:
    made = make_recipe("transfer", Situation(train_images=images, pretrained=True, separation=found), {})
    assert {key: getattr(made, key) for key in wanted} == wanted
    assert f"({images:,})" in made.why
    assert ("another" in made.why) == (found is ANOTHER)


def test_a_number_that_is_not_counted_yet_is_told_as_such() -> None:
    situation = Situation(train_images=1_438, estimated=True, pretrained=True, separation=ALIKE)
    assert "few images (about 1,438) of a similar task" in make_recipe("transfer", situation, {}).why


def test_random_weights_are_trained_as_any() -> None:
    made = make_recipe("transfer", Situation(train_images=300), {})
    assert made.freeze == ""
    assert made.lr == make_recipe("default", Situation(train_images=300, grey=True), {}).lr


@pytest.fixture
def spoiled(classifier: Classifier, tmp_path: Path) -> Path:
    """A model file whose last stage says nothing."""
    spoil(classifier.model)
    path = tmp_path / "spoiled.safetensors"
    write_model_file(path, classifier.model.state_dict(), dict(classifier.metadata), np.empty(0, np.uint64))
    return path


def test_a_run_measures_says_why_and_does_not_measure_again(
    spoiled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Path(lenext.train("digits", "lenet5", weights=spoiled, recipe="transfer", epochs=2, out=tmp_path / "run").run)
    record = json.loads((run / "run.json").read_text())
    assert record["separation"]["drop"] == 1
    assert record["recipe"]["drop_stages"] == 1
    assert "1 of its stages is cut off" in record["recipe"]["why"]
    assert len(lenext.load(run).model.stages) == 1

    def measured_again(*_: object) -> None:
        raise AssertionError("measured again")

    monkeypatch.setattr(preparing, "measured_separation", measured_again)
    settings, device = settings_of(record, run), torch.device("cpu")
    ready = prepare(settings, open_source("digits"), device, started=time.perf_counter(), record=record)
    assert ready.recipe.drop_stages == 1
    assert len(ready.model.stages) == 1
    with pytest.raises(AssertionError, match="measured again"):
        prepare(settings, open_source("digits"), device, started=time.perf_counter())


def test_what_is_frozen_stays_whatever_is_measured(spoiled: Path, tmp_path: Path) -> None:
    run = Path(
        lenext.train(
            "digits", "lenet5", weights=spoiled, recipe="transfer", epochs=3, out=tmp_path / "run", freeze="stages.0"
        ).run
    )
    record = json.loads((run / "run.json").read_text())
    assert record["recipe"]["unfreeze"] == 0
    assert record["recipe"]["why"].endswith("; but freeze as given")
    before, after = (lenext.load(each).model.stages[0].state_dict() for each in (spoiled, run))
    assert all(value.equal(before[name]) for name, value in after.items())


def test_stages_that_were_cut_before_are_counted() -> None:
    found = Separation((90.0, 50.0), 1, before=2)
    made = make_recipe("transfer", Situation(train_images=300, pretrained=True, separation=found), {})
    assert made.drop_stages == 3


def test_a_class_of_one_image_takes_no_part(classifier: Classifier, reading: Reading) -> None:
    zeros, ones = (np.flatnonzero(reading.labels == label) for label in (0, 1))
    assert separation(classifier, reading.take(np.sort(np.r_[zeros, ones[:1]]))) is None
    assert separation(classifier, reading.take(np.sort(np.r_[zeros, ones]))) is not None


def test_what_the_user_says_goes_before_what_is_measured(spoiled: Path, tmp_path: Path) -> None:
    run = lenext.train(
        "digits", "lenet5", weights=spoiled, recipe="transfer", epochs=1, out=tmp_path / "run", drop_stages=0, freeze=""
    ).run
    assert len(lenext.load(run).model.stages) == 2
