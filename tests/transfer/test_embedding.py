"""Embeddings are what the network makes of each image, and are kept by everything that they depend on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import lenext
from lenext.classifier import Classifier
from lenext.data.opening import open_source
from lenext.data.reading import Reading, read_split
from lenext.errors import UserError
from lenext.transfer import embedding
from lenext.transfer.embedding import embed

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def classifier(digits_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Classifier:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return lenext.load(digits_run)


@pytest.fixture
def reading(classifier: Classifier) -> Reading:
    whole = open_source("digits").splits["all"]
    return read_split(whole.take(np.arange(20)), classifier.preprocessing.form, what="reading")


def images(classifier: Classifier, reading: Reading) -> torch.Tensor:
    return classifier.preprocessing.normalise(torch.from_numpy(reading.images.batch(np.arange(20))))


def test_embeddings_are_those_of_the_network(classifier: Classifier, reading: Reading) -> None:
    with torch.inference_mode():
        seen = images(classifier, reading)
        wanted, maps = classifier.model.embed(seen), classifier.model.features(seen)
    np.testing.assert_allclose(embed(classifier, reading).mean, wanted.numpy(), atol=1e-5)
    grid = maps[0].unfold(2, 5, 5).unfold(3, 5, 5).mean((4, 5)).flatten(1)  # LeNet's head sees 5x5 places
    np.testing.assert_allclose(embed(classifier, reading, stage=0).mean, grid.numpy(), atol=1e-5)


def test_views_come_one_by_one_and_in_order(classifier: Classifier, reading: Reading) -> None:
    both = embed(classifier, reading, views="mirror").values
    assert both.shape[:2] == (20, 2)
    with torch.inference_mode():
        mirrored = classifier.model.embed(images(classifier, reading).flip(3))
    np.testing.assert_allclose(both[:, 0], embed(classifier, reading).mean, atol=1e-5)
    np.testing.assert_allclose(both[:, 1], mirrored.numpy(), atol=1e-5)
    assert embed(classifier, reading, views="ten-crop").values.shape[1] == 10


def test_they_are_kept_until_something_changes(classifier: Classifier, reading: Reading) -> None:
    first = embed(classifier, reading)
    again = embed(classifier, reading)
    assert not first.kept
    assert again.kept
    assert (first.values == again.values).all()
    assert not embed(classifier, reading, stage=1).kept
    assert not embed(classifier, reading.take(np.arange(19))).kept
    with torch.no_grad():
        classifier.model.head.classifier.bias += 1  # type: ignore[operator]
    assert embed(classifier, reading).kept  # which the last layer has no part in
    with torch.no_grad():
        next(classifier.model.stages.parameters()).mul_(1.01)
    assert not embed(classifier, reading).kept


@pytest.mark.parametrize("place", [0, 20, -1])
def test_damaged_ones_are_made_anew(classifier: Classifier, reading: Reading, place: int) -> None:
    first = embed(classifier, reading)
    (path,) = (embedding.user_cache() / "embeddings").iterdir()
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    again = embed(classifier, reading)
    assert not again.kept
    assert (again.values == first.values).all()
    path.write_bytes(content[:10])
    assert not embed(classifier, reading).kept


def test_where_nothing_can_be_kept_they_are_made(
    classifier: Classifier, reading: Reading, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert embed(classifier, reading).values.shape == (20, 1, 84)


@pytest.mark.parametrize("stage", [2, -1])
def test_a_stage_out_of_range_is_told(classifier: Classifier, reading: Reading, stage: int) -> None:
    with pytest.raises(UserError, match=f"stage {stage} is out of range: the stages of lenet5 are 0 to 1"):
        embed(classifier, reading, stage=stage)


def test_views_of_the_dense_form_are_refused(classifier: Classifier, reading: Reading) -> None:
    with pytest.raises(UserError, match="views dense are of the dense form"):
        embed(classifier, reading, views="dense")
