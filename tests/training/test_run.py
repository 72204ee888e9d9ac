from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pictures import class_folder, odd_folder

import lenext
from lenext.errors import LenextError
from lenext.training.run import TrainResult
from lenext.weights.model_file import read_model_file


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return class_folder(tmp_path_factory.mktemp("data") / "photos")


def test_the_run_folder_holds_what_it_should(digits_run: Path, digits_result: TrainResult) -> None:
    assert {path.name for path in digits_run.iterdir()} == {
        "run.json", "metrics.jsonl", "images.csv", "model.safetensors", "report.html", "answers.parquet",
        "checkpoints", "tensorboard", ".pulse",
    }  # fmt: skip
    record = json.loads((digits_run / "run.json").read_text())
    assert (record["format"], record["state"]) == (1, "finished")
    assert record["result"]["top1"] == digits_result.top1
    assert record["settings"]["seed"] == 1
    assert record["command"] == "lenext train digits --model lenet5 --seed 1 --epochs 2"
    assert record["versions"]["torch"] == torch.__version__
    rows = [json.loads(line) for line in (digits_run / "metrics.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == [1, 2]
    assert all(row["format"] == 1 for row in rows)
    assert rows[-1]["top1"] == digits_result.top1
    assert rows[-1]["steps"] == digits_result.steps_executed


def test_the_figures_are_those_of_the_weights_saved(digits_run: Path, digits_result: TrainResult) -> None:
    again = lenext.evaluate(digits_run, "digits")
    assert again.split == "held-out"
    assert again.images == digits_result.images
    assert again.top1 == digits_result.top1
    assert again.top5 == digits_result.top5
    assert again.loss == pytest.approx(digits_result.loss, rel=1e-6)
    figures = read_model_file(digits_run / "model.safetensors").metadata["figures"]
    assert figures["top1"] == digits_result.top1


def test_it_learns_the_digits(digits_result: TrainResult) -> None:
    assert digits_result.top1 > 80
    assert digits_result.train_images + digits_result.images == 1797
    assert digits_result.selected_by == "last epoch"
    assert 0 < digits_result.train_seconds < digits_result.seconds


def test_a_new_process_gives_identical_logits(digits_run: Path, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (16, 28, 28, 1), np.uint8)
    np.save(tmp_path / "pixels.npy", pixels)
    script = (
        "import sys, lenext, numpy, torch\n"
        "model = lenext.load(sys.argv[1])\n"
        "x = model.preprocessing.normalise(torch.from_numpy(numpy.load(sys.argv[2] + '/pixels.npy')))\n"
        "with torch.inference_mode(): numpy.save(sys.argv[2] + '/logits.npy', model.model(x).numpy())\n"
    )
    subprocess.run([sys.executable, "-c", script, str(digits_run), str(tmp_path)], check=True, timeout=60)
    classifier = lenext.load(digits_run)
    with torch.inference_mode():
        here = classifier.model(classifier.preprocessing.normalise(torch.from_numpy(pixels))).numpy()
    assert np.array_equal(np.load(tmp_path / "logits.npy"), here)


def test_the_same_seed_gives_identical_weights(photos: Path, tmp_path: Path) -> None:
    states = []
    for number, seed in enumerate((3, 3, 4)):
        torch.rand(number + 1)  # what happened before has no say
        run = lenext.train(photos, "lenet5", epochs=2, seed=seed, out=tmp_path / str(number)).run
        states.append(read_model_file(Path(run) / "model.safetensors").tensors)
    first, again, other = states
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_training_leaves_the_callers_random_numbers_alone(photos: Path, tmp_path: Path) -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    lenext.train(photos, "mlp", epochs=1, out=tmp_path / "run")
    assert torch.equal(torch.rand(3), expected)


def test_odd_files_are_skipped_and_listed(tmp_path: Path) -> None:
    folder, unreadable = odd_folder(tmp_path / "photos")
    result = lenext.train(folder, "lenet5", epochs=2, out=tmp_path / "run")
    assert result.skipped == len(unreadable)
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert sorted(file["path"] for file in record["skipped_files"]) == unreadable
    assert all(file["reason"] for file in record["skipped_files"])
    assert result.train_images + result.images == 24 + 10
    entries = lenext.load(tmp_path / "run").predict(folder)
    assert sum("error" in entry for entry in entries) == len(unreadable)
    assert lenext.evaluate(tmp_path / "run", folder).skipped == len(unreadable)


@pytest.mark.parametrize("fit", ["crop", "pad", "squash"])
def test_the_fit_is_stored_and_used_again(photos: Path, tmp_path: Path, fit: Any) -> None:
    lenext.train(photos, "lenet5", epochs=1, fit=fit, size=(28, 20), out=tmp_path / "run")
    form = lenext.load(tmp_path / "run").preprocessing.form
    assert (form.fit, form.size, form.channels) == (fit, (28, 20), 3)


def test_grey_images_give_a_grey_model_unless_told(photos: Path, tmp_path: Path, digits_run: Path) -> None:
    assert lenext.load(digits_run).preprocessing.form.channels == 1
    lenext.train(photos, "mlp", epochs=1, channels=1, out=tmp_path / "run")
    assert lenext.load(tmp_path / "run").preprocessing.form.channels == 1


def test_training_starts_from_weights(digits_run: Path, digits_result: TrainResult, tmp_path: Path) -> None:
    result = lenext.train("digits", "lenet5", epochs=1, lr=1e-9, weights=digits_run, out=tmp_path / "run")
    assert result.top1 == pytest.approx(digits_result.top1, abs=0.5)


def test_what_the_weights_were_trained_on_before_stays_known(photos: Path, tmp_path: Path) -> None:
    class_folder(tmp_path / "more" / "train", images=3)
    class_folder(tmp_path / "more" / "val", images=2)
    first = lenext.train(photos, "mlp", epochs=1, out=tmp_path / "first").run
    second = lenext.train(tmp_path / "more", "mlp", epochs=1, weights=first, out=tmp_path / "second").run
    known = set(lenext.load(second).trained_on.tolist())
    assert set(lenext.load(first).trained_on.tolist()) <= known
    assert lenext.evaluate(second, photos).split == "held-out"


def test_weights_of_another_size_or_architecture_are_refused(digits_run: Path, tmp_path: Path) -> None:
    with pytest.raises(lenext.UserError, match=r"is for images of \(28, 28\), not \(32, 32\)"):
        lenext.train("digits", "lenet5", weights=digits_run, size=32, out=tmp_path / "b")
    with pytest.raises(lenext.UserError, match="holds a lenet5, not a mlp"):
        lenext.train("digits", "mlp", weights=digits_run, out=tmp_path / "c")
    assert not list(tmp_path.iterdir()), "a run that never began leaves no folder"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "lenet"}, "no model is called 'lenet'"),
        ({"data": "digit"}, "there is no data at 'digit'"),
        ({"size": 11}, "image side 11 < 12, the smallest for lenet5"),
        ({"fit": "stretch"}, "fit 'stretch' cannot be; give crop, pad, squash"),
        ({"channels": 2}, r"channels 2 cannot be; give 1 \(grey\) or 3"),
        ({"seed": -1}, "seed -1 cannot be"),
        ({"seed": 10**23}, "cannot be; give 0 or more, below"),
        ({"threads": 10**6}, "threads 1000000 cannot be; give 1 to"),
        ({"device": "meta"}, "the device 'meta' cannot be used here"),
        ({"threads": 0}, "threads 0 cannot be"),
        ({"device": "abacus"}, "the device 'abacus' cannot be used here"),
        ({"recipe": "best"}, "no recipe is called 'best'"),
        ({"epochs": 0}, "epochs 0 cannot be"),
        ({"overrides": {"wings": 2}}, "a recipe has no 'wings'"),
        ({"weights": "nowhere"}, "there is no 'nowhere'"),
    ],
)
def test_mistakes_are_told_before_anything_is_written(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    settings = {"data": "digits", "model": "lenet5", "out": tmp_path / "run", **options}
    with pytest.raises(lenext.UserError, match=message):
        lenext.train(**settings)
    assert not (tmp_path / "run").exists()


def test_one_class_is_refused(tmp_path: Path) -> None:
    class_folder(tmp_path / "photos", classes=("only", "only"))
    with pytest.raises(lenext.UserError, match="has one class, 'only'; a classifier needs at least two"):
        lenext.train(tmp_path / "photos", "lenet5", out=tmp_path / "run")


def test_a_taken_or_impossible_run_folder_is_refused(photos: Path, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "thesis.txt").write_text("mine")
    with pytest.raises(lenext.UserError, match="taken is not empty"):
        lenext.train(photos, "lenet5", out=taken)
    assert (taken / "thesis.txt").read_text() == "mine"
    for out in (taken / "thesis.txt", taken / "thesis.txt" / "run"):
        with pytest.raises(lenext.UserError, match="cannot make the run folder"):
            lenext.train(photos, "lenet5", out=out)


def test_runs_without_a_name_are_numbered(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    runs = [lenext.train(photos, "mlp", epochs=1).run for _ in range(2)]
    assert runs == [str(Path("runs/mlp-photos")), str(Path("runs/mlp-photos-2"))]


def fail_at(monkeypatch: pytest.MonkeyPatch, epoch: int, error: Callable[[], BaseException]) -> None:
    """Let the write of the weights of `epoch` raise."""
    from lenext.training.folder.run_folder import RunFolder

    real, count = RunFolder.write_model, iter(range(1, 100))

    def write(self: RunFolder, *arguments: Any) -> None:
        if next(count) == epoch:
            raise error()
        real(self, *arguments)

    monkeypatch.setattr(RunFolder, "write_model", write)


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (KeyboardInterrupt, "interrupted"),
        (lambda: LenextError("cannot write model.safetensors: No space left on device"), "failed"),
    ],
)
def test_what_was_finished_stays_usable(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Callable[[], BaseException], state: str
) -> None:
    fail_at(monkeypatch, 3, error)
    with pytest.raises((KeyboardInterrupt, LenextError)):
        lenext.train(photos, "lenet5", epochs=5, out=tmp_path / "run")
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (record["state"], record["result"]["epochs"]) == (state, 2)
    assert f"training was {state} after epoch 2 of 5" in " ".join(
        (tmp_path / "run" / "report.html").read_text().split()
    )
    assert lenext.evaluate(tmp_path / "run", photos).top1 == record["result"]["top1"]


def test_before_the_first_epoch_there_is_nothing_to_predict_with(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_at(monkeypatch, 1, KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        lenext.train(photos, "lenet5", epochs=5, out=tmp_path / "run")
    with pytest.raises(lenext.UserError, match=r"has no model\.safetensors: no epoch of its training was finished"):
        lenext.load(tmp_path / "run")


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (
            lambda run: (run / "run.json").unlink(),
            r"no run\.json; for the weights alone, give .*model\.safetensors",
        ),
        (lambda run: (run / "run.json").write_text("{"), r"run\.json is damaged"),
        (
            lambda run: (run / "run.json").write_text('{"format": 8, "lenext_version": "4.0"}'),
            r"by lenext 4\.0",
        ),
        (lambda run: (run / "model.safetensors").unlink(), "no epoch of its training was finished"),
        (lambda run: (run / "model.safetensors").write_bytes(b""), "is damaged: it is empty"),
    ],
)
def test_a_broken_run_folder_says_what_is_wrong(
    digits_run: Path, tmp_path: Path, break_it: Callable[[Path], None], message: str
) -> None:
    import shutil

    run = shutil.copytree(digits_run, tmp_path / "run")
    break_it(run)
    with pytest.raises(lenext.UserError, match=message):
        lenext.load(run)


def test_two_runs_never_share_a_folder(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lenext.training import preparing

    real = preparing.read_training_data

    def read(*arguments: Any, **options: Any) -> Any:
        with pytest.raises(lenext.UserError, match="already holds a run"):  # another run, while this one reads
            lenext.train(photos, "mlp", epochs=1, out=tmp_path / "run")
        return real(*arguments, **options)

    monkeypatch.setattr(preparing, "read_training_data", read)
    assert lenext.train(photos, "lenet5", epochs=1, out=tmp_path / "run").model == "lenet5"
    assert lenext.load(tmp_path / "run").name == "lenet5"


def test_a_folder_that_was_there_stays_when_a_run_never_began(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (photos / "broken").mkdir()
    (photos / "broken" / "a.png").write_bytes(b"")
    try:
        with pytest.raises(lenext.UserError, match=r"the class 'broken' .* has no readable image"):
            lenext.train(photos, "mlp", out=tmp_path / "mine")
    finally:
        (photos / "broken" / "a.png").unlink()
        (photos / "broken").rmdir()
    assert list((tmp_path / "mine").iterdir()) == []


def test_a_run_may_stand_inside_its_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class_folder(tmp_path)
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        assert lenext.train(".", "mlp", epochs=1).train_images > 10
    assert lenext.train(".", "mlp", epochs=1, out="inside").images > 0


def test_an_interrupt_after_the_weights_were_written_counts_their_epoch(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lenext.training.folder.run_folder import RunFolder

    real = RunFolder.write_model

    def write(self: RunFolder, tensors: Any, metadata: dict[str, Any], digests: Any) -> None:
        real(self, tensors, metadata, digests)
        if metadata["figures"]["epoch"] == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(RunFolder, "write_model", write)
    with pytest.raises(KeyboardInterrupt):
        lenext.train(photos, "lenet5", epochs=5, out=tmp_path / "run")
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    figures = read_model_file(tmp_path / "run" / "model.safetensors").metadata["figures"]
    assert record["result"]["epochs"] == figures["epoch"] == 2
    assert record["result"]["top1"] == figures["top1"]


def test_weights_that_end_up_infinite_stop_the_run(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(LenextError, match=r"no longer finite|the loss is"):
        lenext.train(photos, "lenet5", epochs=1, lr=1e30, out=tmp_path / "run")
    assert json.loads((tmp_path / "run" / "run.json").read_text())["state"] == "failed"
