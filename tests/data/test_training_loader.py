"""Batches to train on: one augmentation for every way in, whoever decodes and whatever the batches."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pictures import encoded, png, stripes
from PIL import Image, ImageFilter
from sklearn.datasets import load_sample_image

from lenext.data.augmentation.augmentation import NOTHING, Augmentation, Crop
from lenext.data.colours import colour_axes
from lenext.data.decode import ORIENTATION, Fit, ImageForm
from lenext.data.loader import Batch
from lenext.data.preprocessing import Preprocessing
from lenext.data.reading import Reading, read_split
from lenext.data.source import Split
from lenext.data.training_data import kept_form
from lenext.data.training_loader import TrainingLoader

if TYPE_CHECKING:
    from lenext.data.source import Item

CPU = torch.device("cpu")
SIZE = (24, 20)
WAYS = ("memory", "cache", "workers")
PHOTOS = sorted(Path(__file__).parents[2].parent.glob("shared/data/ants_bees/train/*/*.jpg"))[::20]
COLOURFUL = Augmentation(mirror=True, jitter=0.4, randaugment=1, colour_noise=0.5, erasing=0.25, mixup=0.2, cutmix=1.0)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LENEXT_CACHE", str(tmp_path))


def files(channels: int = 3, count: int = 11) -> list[Item]:
    """Return PNG and JPEG files of several shapes, some of them turned."""
    made: list[Item] = []
    for i in range(count):
        image = Image.fromarray(stripes(i, upright=bool(i % 2), side=40)[:, : 30 + 3 * (i % 5)])
        image = image.convert("L") if channels == 1 else image
        exif = Image.Exif()
        exif[ORIENTATION] = 1 + i % 8
        made.append(encoded(image, "JPEG", exif=exif) if i % 3 else encoded(image))
    return made


def read(items: list[Item], plan: Augmentation, form: ImageForm, loading: Any) -> Reading:
    split = Split(items, np.arange(len(items)), [f"picture {i}" for i in range(len(items))])
    return read_split(split, kept_form(plan, form), what="", loading=loading, workers=2)


def loader_of(
    items: list[Item],
    plan: Augmentation,
    loading: str,
    *,
    fit: Fit = "crop",
    size: tuple[int, int] = SIZE,
    batch_size: int = 4,
    workers: int = 0,
) -> TrainingLoader:
    form = ImageForm(size=size, fit=fit)
    reading = read(items, plan, form, loading)
    channels = reading.images.channels
    # Levels from 0 to 255, so that whatever differs is seen.
    preprocessing = Preprocessing(
        dataclasses.replace(form, channels=channels), (0.0,) * channels, (1 / 255,) * channels
    )
    axes = colour_axes(reading) if plan.colour_noise else None
    loader = TrainingLoader(
        reading, preprocessing, batch_size=batch_size, device=CPU, augmentation=plan, workers=workers, axes=axes
    )
    assert loader.way == loading
    return loader


def epoch_of(loader: TrainingLoader, seed: int = 3, epoch: int = 1) -> list[Batch]:
    return list(loader.shuffled(seed=seed, epoch=epoch))


def by_image(batches: list[Batch]) -> NDArray[np.float64]:
    """Return the images of an epoch in the order of their labels, which are their indices."""
    order = torch.cat([batch.labels for batch in batches]).argsort()
    return torch.cat([batch.images for batch in batches])[order].double().numpy()


def assert_same(one: list[Batch], other: list[Batch]) -> None:
    for ours, theirs in zip(one, other, strict=True):
        assert torch.equal(ours.labels, theirs.labels)
        assert torch.equal(ours.images, theirs.images)
        assert (ours.shares is None) == (theirs.shares is None)
        assert ours.shares is None or torch.equal(ours.shares, theirs.shares)  # type: ignore[arg-type]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("fit", ["crop", "pad", "squash"])
@pytest.mark.parametrize("crop", ["none", "pad", "translate"])
def test_every_way_gives_the_same_batches(crop: Crop, fit: Fit, channels: int) -> None:
    plan = dataclasses.replace(COLOURFUL, crop=crop)
    memory, cache, workers = (epoch_of(loader_of(files(channels), plan, way, fit=fit)) for way in WAYS)
    assert memory[0].images.shape[1] == channels
    assert_same(memory, cache)
    assert_same(memory, workers)


@pytest.mark.parametrize("crop", ["random", "inception"])
def test_what_is_kept_on_disk_is_what_is_kept_in_memory(crop: Crop) -> None:
    for scale in ((256 / 224, 256 / 224), (256 / 224, 512 / 224)):
        plan = dataclasses.replace(COLOURFUL, crop=crop, scale=scale)
        memory, cache = (epoch_of(loader_of(files(), plan, way)) for way in WAYS[:2])
        assert_same(memory, cache)


@pytest.mark.parametrize("fit", ["pad", "squash"])
def test_what_is_squeezed_before_it_is_cut_is_so_on_every_way(fit: Fit) -> None:
    plan = Augmentation(crop="random")
    memory, _, workers = (epoch_of(loader_of(files(), plan, way, fit=fit)) for way in WAYS)
    assert_same(memory, workers)


def shapes(kind: str) -> list[Item]:
    """Return photos, or blurred ones of about 4:3, or long ones."""
    if kind == "photos":
        return list(PHOTOS)
    photo = Image.fromarray(load_sample_image("flower.jpg")).filter(ImageFilter.GaussianBlur(12))
    sides = [(400 - 7 * i, 300 + 11 * i) if kind == "wide" else (150 + 5 * i, 640 - 3 * i) for i in range(8)]
    return [encoded(photo.resize(side, Image.Resampling.BICUBIC), "JPEG", quality=95) for side in sides]


JITTER = (256 / 224, 512 / 224)


@pytest.mark.parametrize("kind", ["photos", "wide", "long"])
@pytest.mark.parametrize(
    "plan",
    [Augmentation(crop="random"), Augmentation(crop="random", scale=JITTER), Augmentation(crop="inception")],
    ids=["alexnet", "vgg", "inception"],
)
def test_decoding_each_time_differs_in_resampling_alone(kind: str, plan: Augmentation) -> None:
    """The same windows, to within the pixels that they begin at, and not those of another epoch."""
    if kind == "photos" and not PHOTOS:
        pytest.skip("the photos lie on the machine of the project")
    items = shapes(kind)
    kept, decoded = (loader_of(items, plan, way, size=(64, 64)) for way in ("memory", "workers"))
    same, other = [], []
    for epoch in range(3):
        ours = by_image(epoch_of(kept, epoch=epoch))
        same.append(np.abs(ours - by_image(epoch_of(decoded, epoch=epoch))).mean((1, 2, 3)))
        other.append(np.abs(ours - by_image(epoch_of(decoded, epoch=epoch + 1))).mean((1, 2, 3)))
    if kind == "photos":  # whose sharp edges show half a pixel
        assert np.mean(other) > 3 * np.mean(same)
        return
    assert np.median(same) < 4
    assert np.mean(np.concatenate(same) < 8) > 0.9  # a crop that just fits into one size is drawn again in the other
    assert np.mean(other) > 6 * np.mean(same)


@pytest.mark.parametrize("crop", ["none", "pad", "random", "inception"])
@pytest.mark.parametrize("way", WAYS)
def test_the_number_of_workers_changes_nothing(way: str, crop: Crop) -> None:
    plan = dataclasses.replace(COLOURFUL, crop=crop)
    alone = epoch_of(loader_of(files(), plan, way, workers=0))
    for workers in (1, 2) if way == "workers" else (2,):
        loader = loader_of(files(), plan, way, workers=workers)
        assert_same(epoch_of(loader), alone)


@pytest.mark.parametrize("crop", ["none", "translate", "random", "inception"])
@pytest.mark.parametrize("way", WAYS)
def test_the_batches_change_no_image(way: str, crop: Crop) -> None:
    """But for its partner in mixing."""
    plan = dataclasses.replace(COLOURFUL, crop=crop, mixup=0.0, cutmix=0.0)
    expected = by_image(epoch_of(loader_of(files(), plan, way, batch_size=4)))
    for batch_size in (1, 3, 100):
        found = by_image(epoch_of(loader_of(files(), plan, way, batch_size=batch_size)))
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("way", WAYS)
def test_each_epoch_and_seed_shows_images_anew(way: str) -> None:
    loader = loader_of(files(), Augmentation(crop="translate"), way)
    first = by_image(epoch_of(loader, seed=1, epoch=1))
    np.testing.assert_array_equal(by_image(epoch_of(loader, seed=1, epoch=1)), first)
    for seed, epoch in ((1, 2), (2, 1)):
        assert (by_image(epoch_of(loader, seed=seed, epoch=epoch)) != first).any((1, 2, 3)).mean() > 0.8


@pytest.mark.parametrize("way", WAYS)
def test_unchanged_images_are_those_that_evaluation_sees(way: str) -> None:
    items = files()
    split = Split(items, np.arange(len(items)), [""] * len(items))
    expected = read_split(split, ImageForm(size=SIZE), what="").images.batch(np.arange(len(items)))
    found = by_image(epoch_of(loader_of(items, NOTHING, way)))
    np.testing.assert_array_equal(found.round(), expected.transpose(0, 3, 1, 2))


@pytest.mark.parametrize("way", WAYS)
def test_views_of_chosen_images(way: str) -> None:
    plan = Augmentation(crop="pad", mirror=True)
    loader = loader_of(files(), plan, way)
    whole = by_image(epoch_of(loader, seed=5, epoch=6))
    parts = [np.array([7, 2]), np.array([2, 2, 9])]
    found = list(loader.views(parts, seed=5, epoch=6))
    for part, (pixels, shares) in zip(parts, found, strict=True):
        assert shares is None
        assert pixels.dtype == torch.uint8
        np.testing.assert_array_equal(pixels.numpy().transpose(0, 3, 1, 2), whole[part].round())


@pytest.mark.parametrize("way", WAYS)
def test_an_image_that_comes_again_in_an_epoch_does_not_look_the_same(way: str) -> None:
    again = 4 + 11 * np.arange(8)  # the fifth of eleven images, eight times
    [(plain, _)] = loader_of(files(), NOTHING, way).views([again], seed=0, epoch=1)
    assert (plain == plain[0]).all()
    [(changed, _)] = loader_of(files(), Augmentation(crop="inception"), way).views([again], seed=0, epoch=1)
    assert len({view.numpy().tobytes() for view in changed}) == 8


@pytest.mark.parametrize("way", WAYS)
def test_a_balanced_epoch(way: str) -> None:
    form = ImageForm(size=SIZE)
    reading = read(files(), NOTHING, form, way)
    split = Split(reading.split.items, np.array([0] * 8 + [2] * 3), reading.split.names)
    reading = dataclasses.replace(reading, split=split)
    preprocessing = Preprocessing(dataclasses.replace(form, channels=3), (0.0,) * 3, (1.0,) * 3)
    loader = TrainingLoader(
        reading, preprocessing, batch_size=3, device=CPU, sampling="balanced", workers=0, classes=5
    )  # fmt: skip
    assert loader.class_counts.tolist() == [8, 0, 3, 0, 0]
    assert (len(loader), loader.steps) == (11, 4)
    shown = torch.cat([batch.labels for batch in epoch_of(loader)]).bincount()
    assert sorted(shown.tolist()) == [0, 5, 6]


def test_waiting_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    loader = loader_of(files(count=6), Augmentation(crop="pad"), "memory", batch_size=3)
    made = loader._made

    def slow(*arguments: Any) -> Any:
        for batch in made(*arguments):
            time.sleep(0.1)
            yield batch

    monkeypatch.setattr(loader, "_made", slow)
    epoch_of(loader)
    assert 0.1 < loader.waited < 2


def test_grey_files_and_one_in_colour_are_trained_on_in_colour() -> None:
    grey = stripes(1, upright=True, side=24)[..., 0]
    items: list[Item] = [png(grey), png(stripes(2, upright=True, side=24)), png(grey)]
    for way in WAYS:
        found = by_image(epoch_of(loader_of(items, NOTHING, way, size=(24, 24)))).round()
        assert found.shape == (3, 3, 24, 24)
        np.testing.assert_array_equal(found[0], np.broadcast_to(grey, (3, 24, 24)))
        np.testing.assert_array_equal(found[2], found[0])
