"""What is cut out of an image is what the geometry says, and the answers are averaged as by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pictures import class_folder, encoded, stripes
from PIL import Image

import lenext
from lenext.classifier import Classifier
from lenext.data.decode import ImageForm, decode
from lenext.data.opening import open_source
from lenext.data.reading import Reading, read_split
from lenext.data.source import Split
from lenext.errors import LenextError, UserError
from lenext.evaluation.views.looking import cut_views, look
from lenext.evaluation.views.protocols import PROTOCOLS, protocol

FORM = ImageForm(size=(224, 224), channels=3, crop_ratio=0.875)


def coordinates(height: int, width: int) -> NDArray[np.uint8]:
    """Return an image whose red says how far down a pixel is, and whose green how far right: 0 to 250."""
    down = np.linspace(0, 250, height)[:, None].repeat(width, 1)
    right = np.linspace(0, 250, width)[None].repeat(height, 0)
    return np.stack([down, right, np.zeros_like(down)], -1).round().astype(np.uint8)


@pytest.mark.parametrize("name", PROTOCOLS)
@pytest.mark.parametrize("sides", [(300, 400), (512, 256)])
def test_views_show_the_places_that_they_say(name: str, sides: tuple[int, int]) -> None:
    pixels = cut_views(coordinates(*sides), protocol(name), FORM, np.random.default_rng(1))
    views = protocol(name).views(sides, FORM, np.random.default_rng(1))
    assert len(pixels) == len(views)
    for shown, view in zip(pixels, views, strict=True):
        assert shown.shape == (*view.size, 3)
        if view.scaled is None:  # the middle 224 of the image brought to 256
            outer = (256, round(256 * 400 / 300)) if sides == (300, 400) else (512, 256)
            box: tuple[float, ...] = ((outer[0] - 224) / 2, (outer[1] - 224) / 2, 224, 224)
        else:
            outer, box = view.scaled, view.box
        corners = shown[[0, 0, -1, -1], [0, -1, 0, -1], :2].astype(float)
        if view.mirrored:
            corners = corners[[1, 0, 3, 2]]
        rows = np.array([box[0], box[0], box[0] + box[2], box[0] + box[2]]) * 250 / outer[0]
        columns = np.array([box[1], box[1] + box[3], box[1], box[1] + box[3]]) * 250 / outer[1]
        np.testing.assert_allclose(corners, np.stack([rows, columns], -1), atol=2.5)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = class_folder(tmp_path_factory.mktemp("data") / "photos", images=3)
    Image.fromarray(stripes(70, upright=True, side=90)[:50]).save(folder / "upright" / "long.png")
    return folder


@pytest.fixture(scope="module")
def classifier(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    """A network without batch norms, so that views in one batch or in several give the same bits."""
    return lenext.load(lenext.train(photos, "lenet5", epochs=1, out=tmp_path_factory.mktemp("runs") / "run").run)


def reading_of(photos: Path, classifier: Classifier) -> Reading:
    return read_split(open_source(photos).splits["all"], classifier.preprocessing.form, what="reading")


def tensor(classifier: Classifier, pixels: NDArray[np.uint8]) -> torch.Tensor:
    return classifier.preprocessing.normalise(torch.from_numpy(np.array(pixels))[None])


def test_ten_crop_is_ten_single_predictions_averaged(photos: Path, classifier: Classifier) -> None:
    reading = reading_of(photos, classifier)
    found = look(classifier, reading, protocol("ten-crop"))
    assert (found.passes, found.area) == (10, 10)
    for number, item in enumerate(reading.split.items):
        assert isinstance(item, Path)
        grey = Image.open(item).convert("RGB")
        scale = 32 / min(grey.size)
        grey = grey.resize((int(grey.width * scale + 1e-6), int(grey.height * scale + 1e-6)), Image.Resampling.BILINEAR)
        left = round((grey.width - 32) / 2)
        square = grey.crop((left, 0, left + 32, 32))
        crops = [square.crop((x, y, x + 28, y + 28)) for x, y in ((0, 0), (4, 0), (0, 4), (4, 4), (2, 2))]
        crops += [crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for crop in crops]
        assert classifier.preprocessing.form.channels == 3
        single = [classifier.probabilities(np.array(crop)[None])[0] for crop in crops]
        np.testing.assert_allclose(found.judgement.probabilities[number], np.mean(single, 0), atol=1e-6)


def test_dense_views_are_the_slow_way_averaged(photos: Path, classifier: Classifier) -> None:
    reading = reading_of(photos, classifier)
    found = look(classifier, reading, protocol("multi-scale"))
    long = reading.split.names.index(next(name for name in reading.split.names if "long" in name))
    item = reading.split.items[long]
    assert isinstance(item, Path)
    image, answers = Image.open(item), []
    for scale in (28, 32, 36):
        scaled = np.asarray(image.resize((int(90 * scale / 50 + 1e-6), scale), Image.Resampling.BILINEAR))
        for pixels in (scaled, scaled[:, ::-1]):
            with torch.inference_mode():
                maps = classifier.model.features(tensor(classifier, pixels))[-1]
                rows, columns = range(0, maps.shape[2] - 9, 2), range(0, maps.shape[3] - 9, 2)
                cells = [classifier.model.head(maps[..., y : y + 10, x : x + 10]) for y in rows for x in columns]
            answers.append(torch.stack(cells).mean(0).softmax(1))
    np.testing.assert_allclose(found.judgement.probabilities[long], torch.stack(answers).mean(0)[0], atol=1e-6)
    assert found.passes == 6


def test_overfeats_answer_is_the_highest_of_each_class(photos: Path, classifier: Classifier) -> None:
    reading = reading_of(photos, classifier)
    found = look(classifier, reading, protocol("overfeat"))
    dense = lenext.densify(classifier.model, 28, finer=True)
    views = cut_views(
        reading.split.items[0], protocol("overfeat"), classifier.preprocessing.form, np.random.default_rng(0)
    )
    with torch.inference_mode():
        each = torch.stack([dense(tensor(classifier, view)).softmax(1).amax((2, 3))[0] for view in views]).mean(0)
    np.testing.assert_allclose(found.judgement.probabilities[0], each / each.sum(), atol=1e-5)
    assert min(dense(tensor(classifier, views[-1])).shape[-2:]) > 10


def test_mirrored_images_are_seen_as_the_preprocessing_has_them(photos: Path, classifier: Classifier) -> None:
    reading = reading_of(photos, classifier)
    found = look(classifier, reading, protocol("mirror"))
    pixels = np.stack([decode(item, classifier.preprocessing.form) for item in reading.split.items])
    by_hand = (classifier.probabilities(pixels) + classifier.probabilities(pixels[:, :, ::-1].copy())) / 2
    np.testing.assert_allclose(found.judgement.probabilities, by_hand, atol=1e-6)


def test_drawn_places_depend_on_the_image_and_the_seed_alone(photos: Path, classifier: Classifier) -> None:
    reading = reading_of(photos, classifier)
    found = look(classifier, reading, protocol("random-5")).judgement.logits
    backwards = look(classifier, reading.take(np.arange(len(found))[::-1].copy()), protocol("random-5"))
    np.testing.assert_allclose(backwards.judgement.logits[::-1], found, atol=1e-5)
    other = look(classifier, reading, protocol("random-5"), seed=1).judgement.logits
    assert np.abs(other - found).max() > 1e-5


def test_a_global_pool_cannot_be_shifted(photos: Path, classifier: Classifier) -> None:
    other = replace(classifier, model=lenext.create("resnet20_cifar", classes=2).eval())
    with pytest.raises(UserError, match=r"a global pool cannot be shifted"):
        look(other, reading_of(photos, other), protocol("overfeat"))


def test_an_image_that_vanishes_is_told(classifier: Classifier, tmp_path: Path) -> None:
    folder = class_folder(tmp_path / "photos", images=2)
    reading = reading_of(folder, classifier)
    (folder / "lying" / "001.png").unlink()
    with pytest.raises(LenextError, match=r"001\.png can no longer be read: there is no such file"):
        look(classifier, reading, protocol("ten-crop"))


def test_slivers_and_large_images_are_looked_at(classifier: Classifier) -> None:
    sliver = encoded(Image.new("RGB", (3000, 1), "red"))
    split = Split([sliver], np.zeros(1, np.int64), ["sliver"])
    for name in PROTOCOLS:
        reading = read_split(split, classifier.preprocessing.form, what="reading")
        assert np.isfinite(look(classifier, reading, protocol(name)).judgement.logits).all()
