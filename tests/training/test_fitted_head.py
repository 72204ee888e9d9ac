"""A last layer for other classes starts as the logistic regression on what the weights make of the images."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from launcher import Launcher
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import lenext
from lenext.data.digits import open_digits
from lenext.data.opening import open_source
from lenext.errors import LenextError
from lenext.suspects.answering import again
from lenext.training import loop
from lenext.training.fitted_head import fit_last_layer
from lenext.training.preparing import prepare
from lenext.transfer.heads import fit_head, linear_layer

pytestmark = pytest.mark.usefixtures("one_thread")

LAYER = ("head.classifier.weight", "head.classifier.bias")
STILL = {"lr": 1e-12, "epochs": 1, "precision": "float32", "compile": "no"}  # trains next to nothing


def digits_called(root: Path, names: str) -> Path:
    """Write sixty built-in digits of each of as many classes, called by other names, 40 of them to train on."""
    split = open_digits().splits["all"]
    for label, name in enumerate(names):
        own = np.flatnonzero(split.labels == label)[:60].tolist()
        for number, index in enumerate(own):
            place = root / ("train" if number < 40 else "val") / name
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.asarray(split.items[index])).save(place / f"{number:02}.png")
    return root


@pytest.fixture(scope="module")
def letters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four of the digits under names that no weights know."""
    return digits_called(tmp_path_factory.mktemp("letters"), "abcd")


@pytest.fixture
def images() -> tuple[Tensor, NDArray[np.int64]]:
    """Noise of a brightness that depends on the class: 0, 1 or 3."""
    labels = np.arange(30) % 3
    labels[labels == 2] = 3
    return torch.rand(30, 1, 28, 28, generator=torch.manual_seed(0)) + 0.3 * torch.from_numpy(labels).view(
        -1, 1, 1, 1
    ), labels


def layer(run: Path) -> list[Tensor]:
    weights = load_file(run / "model.safetensors")
    return [weights[name] for name in LAYER]


def test_the_answers_are_those_of_the_regression(images: tuple[Tensor, NDArray[np.int64]]) -> None:
    pixels, labels = images
    model = lenext.create("lenet5", classes=4)
    assert fit_last_layer(model, pixels.split(7), labels, seed=0)
    assert model.training
    with torch.no_grad():
        embedded, answers = model.eval().embed(pixels), model(pixels).softmax(1).numpy()
    head = fit_head("logistic", embedded[:, None].numpy(), labels)
    np.testing.assert_allclose(answers[:, [0, 1, 3]], head.model.predict_proba(embedded.numpy()), atol=1e-3)
    assert answers[:, 2].max() < 1e-6  # of this class no image was seen
    assert (answers.argmax(1) == labels).all()


def test_a_layer_without_a_bias_and_a_damaged_network(images: tuple[Tensor, NDArray[np.int64]]) -> None:
    pixels, labels = images
    model = lenext.create("lenet5", classes=4)
    before = model.head.linear.weight.clone()  # type: ignore[union-attr]
    assert not fit_last_layer(model, [pixels * float("nan")], labels, seed=0)
    assert model.head.linear.weight.equal(before)  # type: ignore[union-attr]
    model.head.classifier = nn.Linear(before.shape[1], 4, bias=False)
    assert fit_last_layer(model, [pixels], labels, seed=0)


def test_a_frozen_last_layer_stays_as_it_was_drawn(
    digits_run: Path, letters: Path, tmp_path: Path, command: Callable[..., Any]
) -> None:
    words = ["train", letters, "--model", "lenet5", "--weights", digits_run, "--epochs", 1, "--freeze", "head"]
    assert "regression" not in command(*words, "--out", tmp_path / "run").err
    assert (layer(tmp_path / "run")[1].abs() < 1).all()


def test_a_last_layer_that_is_a_convolution_is_not_fitted(
    letters: Path, tmp_path: Path, command: Callable[..., Any]
) -> None:
    model = lenext.create("nin_cifar")
    assert model.head.linear is None
    save_file(model.state_dict(), tmp_path / "start.safetensors")
    words = ["train", letters, "--model", "nin_cifar", "--weights", tmp_path / "start.safetensors", "--size", 16]
    answer = command(*words, "--epochs", 1, "--freeze", "all but head", "--out", tmp_path / "run")
    assert answer.code == 0
    assert "is new" in answer.err
    assert "regression" not in answer.err


def test_a_fitted_head_alone_learns_gently(digits_run: Path, letters: Path, tmp_path: Path) -> None:
    """At the rate that a layer of random values needs, it would forget what it was fitted to."""

    def rate(name: str, data: str | Path, **values: Any) -> float:
        values |= {"freeze": "all but head.classifier", "epochs": 1, "precision": "float32", "compile": "no"}
        out = tmp_path / name
        lenext.train(data, "lenet5", weights=digits_run, recipe="finetune", overrides=values, out=out)
        return float(json.loads((out / "run.json").read_text())["recipe"]["lr"])

    assert rate("fitted", letters) == 3e-4
    assert rate("random", letters, fit_head=False) == 1e-2
    assert rate("kept", digits_called(tmp_path / "some", "012b")) == 1e-2


def test_a_training_from_weights_of_other_classes_starts_with_it(
    digits_run: Path, letters: Path, tmp_path: Path, command: Callable[..., Any]
) -> None:
    words = ["train", letters, "--model", "lenet5", "--weights", digits_run, "--recipe", "finetune"]
    words += [word for key, value in STILL.items() for word in ("--set", f"{key}={value}")]
    fitted = command(*words, "--out", tmp_path / "fitted", "--json")
    assert "the last layer starts as the logistic regression on 160 images" in fitted.err
    at_random = command(*words, "--set", "fit_head=no", "--out", tmp_path / "random", "--json")
    assert "regression" not in at_random.err
    assert json.loads(fitted.out)["top1"] >= 95 > 60 > json.loads(at_random.out)["top1"]
    found = lenext.features(digits_run, letters, split="train")
    head = fit_head("logistic", found.values[:, None], found.labels)
    for ours, theirs in zip(layer(tmp_path / "fitted"), linear_layer(head, 4), strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-3)
    before, after = (lenext.load(run).model.stages.state_dict() for run in (digits_run, tmp_path / "fitted"))
    assert all(after[name].allclose(value, atol=1e-6) for name, value in before.items())


@pytest.mark.parametrize("names", ["0123", "012b"])
def test_rows_of_classes_that_the_weights_know_stay(digits_run: Path, names: str, tmp_path: Path) -> None:
    data = digits_called(tmp_path / "data", names)
    lenext.train(data, "lenet5", weights=digits_run, recipe="finetune", overrides=STILL, out=tmp_path / "run")
    known = sum(name.isdigit() for name in names)
    for ours, theirs in zip(layer(tmp_path / "run"), layer(digits_run), strict=True):
        assert ours[:known].allclose(theirs[:known], atol=1e-6)


def test_a_new_head_on_what_is_left_of_a_network_is_fitted_too(digits_run: Path, letters: Path, tmp_path: Path) -> None:
    values = {**STILL, "drop_stages": 1, "freeze": "all but head"}
    cut = lenext.train(letters, "lenet5", weights=digits_run, recipe="finetune", overrides=values, out=tmp_path / "run")
    assert cut.top1 > 80


def test_without_weights_there_is_nothing_to_fit_to(letters: Path, tmp_path: Path, command: Callable[..., Any]) -> None:
    words = ["train", letters, "--model", "lenet5", "--epochs", 1, "--out", tmp_path / "run"]
    assert "fit_head does nothing without weights to start from" in command(*words, "--set", "fit_head=yes").err
    assert "fit_head" not in command(*words[:-1], tmp_path / "other", "--recipe", "finetune").err


def test_several_processes_start_with_the_same_head(
    digits_run: Path, letters: Path, launcher: Launcher, tmp_path: Path
) -> None:
    words = ["train", letters, "--model", "lenet5", "--weights", digits_run, "--recipe", "finetune", "--threads", 1]
    words += [word for key, value in STILL.items() for word in ("--set", f"{key}={value}")]
    started = launcher.together(3, *words, "--out", tmp_path / "three")
    assert [each.wait() for each in started] == [0, 0, 0], started[0].err.read_text()
    assert launcher.start(*words, "--out", tmp_path / "one").wait() == 0
    for ours, theirs in zip(layer(tmp_path / "three"), layer(tmp_path / "one"), strict=True):
        assert ours.allclose(theirs, atol=1e-5)


def stopped_and_resumed(monkeypatch: pytest.MonkeyPatch, at: int, train: Callable[[Path], Any], folder: Path) -> None:
    """Train twice, once stopped before a step and gone on with, and compare the weights to the bit."""
    train(folder / "whole")
    step, count = loop.Work.step, iter(range(100))

    def stopped(self: Any, *arguments: Any) -> float:
        if next(count) == at:
            raise LenextError("stopped")
        return step(self, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(loop.Work, "step", stopped)
        with pytest.raises(LenextError, match="stopped"):
            train(folder / "run")
    lenext.resume(folder / "run")
    ours, theirs = (load_file(folder / name / "model.safetensors") for name in ("run", "whole"))
    assert all(ours[name].equal(theirs[name]) for name in theirs)


@pytest.mark.parametrize("at", [0, 5])
@pytest.mark.parametrize("freeze", ["", "all but head.classifier"])
def test_a_run_that_goes_on_ends_with_the_same_bits(
    digits_run: Path, letters: Path, freeze: str, at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {"epochs": 2, "batch_size": 20, "precision": "float32", "compile": "no", "freeze": freeze}

    def train(out: Path) -> None:
        lenext.train(letters, "lenet5", weights=digits_run, recipe="finetune", overrides=values, checkpoint=0, out=out)

    stopped_and_resumed(monkeypatch, at, train, tmp_path)


@pytest.mark.parametrize("at", [0, 5])
def test_so_does_one_whose_norms_were_fitted(
    letters: Path, at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = {"size": 8, "options": {"width": 0.25}}
    values = {"epochs": 2, "batch_size": 20, "precision": "float32", "compile": "no"}
    lenext.train("digits", "resnet20_cifar", epochs=1, out=tmp_path / "start", overrides={"lr": 0.01}, **small)  # type: ignore[arg-type]

    def train(out: Path) -> None:
        lenext.train(
            letters, "resnet20_cifar", weights=tmp_path / "start", recipe="finetune", overrides=values, checkpoint=0,
            out=out,
        )  # fmt: skip

    stopped_and_resumed(monkeypatch, at, train, tmp_path)


def test_what_is_trained_again_on_a_part_is_fitted_to_that_part_alone(
    digits_run: Path, letters: Path, tmp_path: Path
) -> None:
    """Suspects are answered by networks that know no label of theirs, not even by where they began."""
    run = tmp_path / "run"
    lenext.train(letters, "lenet5", weights=digits_run, recipe="finetune", overrides=STILL, out=run)
    settings = again(run, str(letters), torch.device("cpu")).settings
    source = open_source(letters)
    whole = source.splits["train"]
    rest, own = np.arange(len(whole)) % 4 != 0, np.arange(len(whole)) % 4 == 0
    splits = {"train": whole.take(np.flatnonzero(rest)), "val": whole.take(np.flatnonzero(own))}
    ready = prepare(settings, replace(source, splits=splits), torch.device("cpu"), started=time.perf_counter())
    assert "note: the last layer starts as the logistic regression on 120 images" in ready.notes
    found = lenext.features(digits_run, letters, split="train")
    head = fit_head("logistic", found.values[rest][:, None], found.labels[rest])
    last = ready.model.head.linear
    assert last is not None
    for ours, theirs in zip((last.weight, last.bias), linear_layer(head, 4), strict=True):
        np.testing.assert_allclose(ours.detach().numpy(), theirs, atol=1e-3)
