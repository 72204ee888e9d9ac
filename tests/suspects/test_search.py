"""`lenext.find_suspects` on digits with planted labels: what is found, and what it says of it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from noisy import noisy_digits
from pictures import class_folder

import lenext
from lenext.data.exclusions import read_exclusions
from lenext.data.opening import open_source
from lenext.errors import UserError
from lenext.progress import Silent

pytest.importorskip("cleanlab")
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def noisy(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, set[str]]:
    """The digits, 5 % of their labels wrong, and which."""
    return noisy_digits(tmp_path_factory.mktemp("noisy") / "digits.parquet")


@pytest.fixture(scope="module")
def found(digits_run: Path, noisy: tuple[Path, set[str]]) -> lenext.Suspects:
    """What three folds of four epochs find in them."""
    return lenext.find_suspects(digits_run, noisy[0], folds=3, epochs=4, threads=1)


def test_planted_labels_are_found(found: lenext.Suspects, noisy: tuple[Path, set[str]]) -> None:
    named = {each.path for each in found.suspects}
    right = len(named & noisy[1])
    assert right / len(noisy[1]) >= 0.9
    assert right / len(named) >= 0.8
    assert found.estimated_noise == pytest.approx(5, abs=1)
    first = [each.path in noisy[1] for each in found.suspects[:50]]
    assert sum(first) >= 48, "the clearest come first"


def test_what_is_said_of_each(found: lenext.Suspects, noisy: tuple[Path, set[str]]) -> None:
    split = open_source(noisy[0]).splits["all"]
    labels = dict(zip(split.names, (found.class_names[i] for i in split.labels), strict=True))
    assert [each.score for each in found.suspects] == sorted(each.score for each in found.suspects)
    for row, each in zip(found.rows.tolist(), found.suspects, strict=True):
        assert split.names[row] == each.path
        assert labels[each.path] == each.label != each.suggested
        assert 0 <= each.probability < each.suggested_probability <= 1
        assert 0 < each.score < 1
    truth = open_source("digits").splits["all"].labels
    suggested = [found.class_names.index(each.suggested) for each in found.suspects if each.path in noisy[1]]
    rows = [row for row, each in zip(found.rows.tolist(), found.suspects, strict=True) if each.path in noisy[1]]
    assert np.mean(truth[rows] == suggested) > 0.9, "and what they are"


def test_the_figures(found: lenext.Suspects, noisy: tuple[Path, set[str]]) -> None:
    fields = found.fields()
    assert list(fields) == [
        "run", "model", "data", "images", "classes", "folds", "epochs", "top1", "estimated_noise", "suspects",
        "skipped", "skipped_files", "seconds",
    ]  # fmt: skip
    assert (fields["images"], fields["classes"], fields["folds"], fields["epochs"]) == (1797, 10, 3, 4)
    assert (fields["model"], fields["data"], fields["skipped"]) == ("lenet5", str(noisy[0]), 0)
    assert 85 < fields["top1"] < 96, "of labels of which 5 % are wrong"
    assert set(fields["suspects"][0]) == {
        "path", "label", "suggested", "probability", "suggested_probability", "score",
    }  # fmt: skip


def test_the_list_is_one_that_training_takes(
    found: lenext.Suspects, noisy: tuple[Path, set[str]], tmp_path: Path
) -> None:
    found.write_exclusions(tmp_path / "list.csv")
    assert read_exclusions(tmp_path / "list.csv") == tuple(each.path for each in found.suspects)
    assert f',mislabelled,"labelled {found.suspects[0].label}, probably' in (tmp_path / "list.csv").read_text()
    left = open_source(noisy[0], exclude=tmp_path / "list.csv").splits["all"]
    assert len(left) == 1797 - len(found.suspects)
    with pytest.raises(UserError, match="is there already"):
        found.write_exclusions(tmp_path / "list.csv")


def test_unreadable_images_are_told_and_left_out(digits_run: Path, tmp_path: Path) -> None:
    class_folder(tmp_path / "photos", images=4, classes=("0", "1"))
    (tmp_path / "photos" / "0" / "a.png").write_text("words")
    told = []

    class Told(Silent):
        def note(self, text: str) -> None:
            told.append(text)

    found = lenext.find_suspects(digits_run, tmp_path / "photos", folds=2, epochs=1, threads=1, progress=Told())
    assert found.images == 8
    assert [each["path"] for each in found.skipped_files] == ["0/a.png"]
    assert all(each.path.endswith(("0.png", "1.png", "2.png", "3.png")) for each in found.suspects)
    assert [text.split(":")[0] for text in told if text.startswith("fold")] == ["fold 1 of 2", "fold 2 of 2"]


def test_the_same_seed_finds_the_same(digits_run: Path, tmp_path: Path) -> None:
    data, _ = noisy_digits(tmp_path / "few.parquet", images=150)
    once, again, other = (
        lenext.find_suspects(digits_run, data, folds=2, epochs=1, threads=1, seed=seed) for seed in (3, 3, 4)
    )
    assert dataclasses.astuple(once)[:-3] == dataclasses.astuple(again)[:-3]
    assert once.top1 != other.top1 or once.suspects != other.suspects


def test_only_what_is_trained_on_is_looked_at(digits_run: Path, tmp_path: Path) -> None:
    for split, images in (("train", 6), ("val", 3)):
        class_folder(tmp_path / "photos" / split, images=images, classes=("0", "1"))
    found = lenext.find_suspects(digits_run, tmp_path / "photos", folds=2, epochs=1, threads=1)
    assert found.images == 12
    assert {each.path.split("/")[0] for each in found.suspects} <= {"train"}


def test_a_run_that_began_from_weights_of_other_images(digits_run: Path, tmp_path: Path) -> None:
    photos = class_folder(tmp_path / "photos", images=6)
    run = lenext.train(photos, "lenet5", weights=digits_run, epochs=1, threads=1, out=tmp_path / "run").run
    assert lenext.find_suspects(run, photos, folds=2, threads=1).images == 12
    again = lenext.train(photos, "lenet5", weights=run, epochs=1, threads=1, out=tmp_path / "again").run
    with pytest.raises(UserError, match="whose labels they know"):
        lenext.find_suspects(again, photos, folds=2, threads=1)
