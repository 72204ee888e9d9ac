from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pictures import class_folder, odd_folder, stripes
from PIL import Image

import lenext
from lenext.data import chunks
from lenext.data.decode import UnreadableImageError
from lenext.data.opening import open_source
from lenext.errors import LenextError
from lenext.evaluation.examination import Examination
from lenext.progress import Silent


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return class_folder(tmp_path_factory.mktemp("data") / "photos", images=20)


@pytest.fixture(scope="module")
def run(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(lenext.train(photos, "lenet5", epochs=3, out=tmp_path_factory.mktemp("runs") / "photos").run)


def test_a_folder_that_was_trained_on_is_judged_on_its_held_out_part(photos: Path, run: Path, tmp_path: Path) -> None:
    first = lenext.evaluate(run, photos)
    assert first.split == "held-out"
    moved = shutil.copytree(photos, tmp_path / "moved")
    assert lenext.evaluate(run, moved).images == first.images
    (moved / "lying" / "000.png").unlink()
    Image.fromarray(stripes(999, upright=False)).save(moved / "lying" / "new.png")
    grown = lenext.evaluate(run, moved)
    assert (grown.split, grown.images) == ("held-out", first.images + 1), "the new image was not seen either"


def test_no_image_that_was_trained_on_is_judged(photos: Path, run: Path) -> None:
    from lenext.data.holdout import digest
    from lenext.weights.model_file import read_model_file

    trained = set(read_model_file(run / "model.safetensors").trained_on.tolist())
    split = open_source(photos).splits["all"]
    everything = {digest(item) for item in split.items}
    result = lenext.evaluate(run, photos)
    assert trained <= everything
    assert result.images == len(split) - len(trained)


def test_a_part_of_what_was_trained_on_is_never_taken_for_unseen(photos: Path, run: Path, tmp_path: Path) -> None:
    from lenext.data.holdout import digest
    from lenext.weights.model_file import read_model_file

    trained = set(read_model_file(run / "model.safetensors").trained_on.tolist())
    for name in ("lying", "upright"):
        (tmp_path / "part" / name).mkdir(parents=True)
        seen = [path for path in sorted((photos / name).iterdir()) if digest(path) in trained]
        for path in seen[:3]:
            shutil.copy(path, tmp_path / "part" / name)
    with pytest.raises(lenext.UserError, match=r"every image of .* was trained on.*--split all"):
        lenext.evaluate(run, tmp_path / "part")
    assert lenext.evaluate(run, tmp_path / "part", split="all").images == 6
    Image.fromarray(stripes(777, upright=True)).save(tmp_path / "part" / "upright" / "new.png")
    assert lenext.evaluate(run, tmp_path / "part").images == 1


def test_what_is_held_out_is_not_known_of_weights_that_say_nothing(photos: Path, run: Path) -> None:
    classifier = replace(lenext.load(run), trained_on=np.empty(0, np.uint64))
    with pytest.raises(lenext.UserError, match=r"do not say which images they were trained on.*give --split all"):
        lenext.evaluate(classifier, photos, split="held-out")
    assert lenext.evaluate(classifier, photos).split == "all"


def test_images_of_a_test_split_that_were_trained_on_are_told(photos: Path, run: Path, tmp_path: Path) -> None:
    shutil.copytree(photos, tmp_path / "data" / "test")
    notes = list[str]()

    class Listening(Silent):
        def note(self, text: str) -> None:
            notes.append(text)

    found = lenext.evaluate(run, tmp_path / "data", progress=Listening())
    trained = len(lenext.load(run).trained_on)
    assert (found.split, found.images, found.seen) == ("test", 40, trained)
    assert notes == [f"note: {run} was trained on {trained} of the 40 images of test"]
    assert lenext.evaluate(run, photos).seen == 0


def test_every_row_that_cannot_be_read_is_counted(run: Path, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no image")
    rows = [f"{photos}/lying/000.png,lying", f"{photos}/upright/000.png,upright", *["broken.png,lying"] * 3]
    (tmp_path / "table.csv").write_text("path,label\n" + "\n".join(rows) + "\n")
    found = lenext.evaluate(run, tmp_path / "table.csv", split="all")
    assert (found.images, found.skipped) == (2, 3)


def test_members_that_can_read_different_images_judge_those_that_all_can(
    run: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = lenext.load(run)
    form = replace(small.preprocessing.form, size=(36, 36))
    large = replace(small, preprocessing=replace(small.preprocessing, form=form))
    real = chunks.decode

    def decode(data: Any, wanted: Any) -> Any:
        pixels = real(data, wanted)
        if (int(pixels.sum()) % 3 == 0) if wanted.size == (28, 28) else (int(pixels.sum()) % 3 == 1):
            raise UnreadableImageError("too large")
        return pixels

    monkeypatch.setattr(chunks, "decode", decode)
    exam = Examination([small, large], photos, split="all")
    a, b = exam.chosen.readings
    assert a.split.names == b.split.names
    assert len(a.images) == len(b.images) == 40 - len(exam.chosen.skipped)
    assert len(exam.chosen.skipped) > 5


def test_a_training_split_has_nothing_held_out(tmp_path: Path) -> None:
    class_folder(tmp_path / "data" / "train")
    for label, name in enumerate(("lying", "upright")):
        (tmp_path / "data" / "val" / name).mkdir(parents=True)
        Image.fromarray(stripes(800 + label, upright=bool(label))).save(tmp_path / "data" / "val" / name / "a.png")
    run = lenext.train(tmp_path / "data", "mlp", epochs=1, out=tmp_path / "run").run
    assert lenext.evaluate(run, tmp_path / "data").images == 2
    for options in ({"data": tmp_path / "data" / "train"}, {"data": tmp_path / "data", "split": "held-out"}):
        with pytest.raises(lenext.UserError, match="was trained on"):
            lenext.evaluate(run, **options)


def test_answers_that_are_not_finite_are_told(run: Path, photos: Path) -> None:
    classifier = lenext.load(run)
    with torch.no_grad():
        classifier.model.get_parameter("head.classifier.bias").fill_(float("nan"))
    with pytest.raises(LenextError, match="not finite"):
        lenext.evaluate(classifier, photos)
    with pytest.raises(LenextError, match="not finite numbers: its weights are damaged"):
        classifier.predict(photos)


def test_another_folder_is_judged_whole(run: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    for label, name in enumerate(("lying", "upright")):
        (other / name).mkdir(parents=True)
        for i in range(5):
            Image.fromarray(stripes(5000 + 10 * label + i, upright=bool(label))).save(other / name / f"{i}.png")
    result = lenext.evaluate(run, other)
    assert (result.split, result.images, result.classes, result.candidates) == ("all", 10, 2, 2)
    assert result.top5 is None
    assert lenext.evaluate(run, other, split="held-out").images == 10


def test_test_comes_before_val(run: Path, tmp_path: Path) -> None:
    for name, images in (("train", 3), ("val", 4), ("test", 5)):
        class_folder(tmp_path / "data" / name, images=images)
    chosen = lenext.evaluate(run, tmp_path / "data")
    assert (chosen.split, chosen.images) == ("test", 10)
    assert lenext.evaluate(run, tmp_path / "data", split="validation").images == 8
    shutil.rmtree(tmp_path / "data" / "test")
    assert lenext.evaluate(run, tmp_path / "data").split == "val"
    with pytest.raises(lenext.UserError, match="has no split 'test'; it has train, val, held-out"):
        lenext.evaluate(run, tmp_path / "data", split="test")


def test_classes_are_matched_by_name(digits_run: Path, tmp_path: Path) -> None:
    """A folder of three digits, whose positions differ from the model's."""
    split = open_source("digits").splits["all"]
    for digit in (9, 3, 5):
        (tmp_path / "few" / str(digit)).mkdir(parents=True)
        for i in np.flatnonzero(split.labels == digit)[:30]:
            pixels = split.items[int(i)]
            assert isinstance(pixels, np.ndarray)
            Image.fromarray(pixels).save(tmp_path / "few" / str(digit) / f"{i}.png")
    among_all = lenext.evaluate(digits_run, tmp_path / "few")
    assert (among_all.split, among_all.classes, among_all.candidates, among_all.images) == ("all", 3, 10, 90)
    assert among_all.top1 > 70
    among_few = lenext.evaluate(digits_run, tmp_path / "few", among_present=True)
    assert among_few.candidates == 3
    assert among_few.top5 is None
    assert among_few.top1 >= among_all.top1
    classifier = lenext.load(digits_run)
    right = 0
    for digit in (3, 5, 9):
        entries = classifier.predict(tmp_path / "few" / str(digit), top=1)
        right += sum(entry["predictions"][0]["label"] == str(digit) for entry in entries)
    assert among_all.top1 == pytest.approx(100 * right / 90)


def test_a_class_that_the_model_lacks_stops(digits_run: Path, photos: Path) -> None:
    with pytest.raises(lenext.UserError, match=r"2 of the 2 classes of .* are unknown to the model, .*: 'lying'"):
        lenext.evaluate(digits_run, photos)


def test_strict_stops_at_the_first_unreadable_image(run: Path, tmp_path: Path) -> None:
    folder, unreadable = odd_folder(tmp_path / "photos")
    result = lenext.evaluate(run, folder)
    assert [file["path"] for file in result.skipped_files] == unreadable
    with pytest.raises(LenextError, match=r"lying/empty\.png cannot be read: empty file"):
        lenext.evaluate(run, folder, strict=True)


def test_without_a_readable_image_there_is_nothing_to_judge(run: Path, tmp_path: Path) -> None:
    for name in ("lying", "upright"):
        (tmp_path / "empty" / name).mkdir(parents=True)
        (tmp_path / "empty" / name / "a.png").write_bytes(b"")
    with pytest.raises(lenext.UserError, match=r"no readable image in all; lying/a\.png: empty file"):
        lenext.evaluate(run, tmp_path / "empty")


def test_judging_changes_nothing_in_the_model(run: Path, photos: Path) -> None:
    classifier = lenext.load(run)
    before = {name: tensor.clone() for name, tensor in classifier.model.state_dict().items()}
    lenext.evaluate(classifier, photos)
    assert all(torch.equal(tensor, before[name]) for name, tensor in classifier.model.state_dict().items())
