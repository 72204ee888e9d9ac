"""What a run trains on, what it is judged by, and the preprocessing that follows from the images."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray
from pictures import stripes

from lenext.data.decode import ImageForm
from lenext.data.holdout import held_out_mask
from lenext.data.preprocessing import Preprocessing
from lenext.data.reading import Reading
from lenext.data.source import Source, Split
from lenext.data.training_data import TrainingData, read_training_data
from lenext.errors import UserError

FORM = ImageForm(size=(8, 8))
Item = NDArray[np.uint8] | bytes


def pictures(count: int, seed: int = 0) -> list[Item]:
    return [stripes(1000 * seed + i, upright=bool(i % 2), side=12) for i in range(count)]


def split_of(items: list[Item], labels: list[int] | None = None) -> Split:
    """Return a split of two classes in turn, where no labels are given."""
    taken = [i % 2 for i in range(len(items))] if labels is None else labels
    return Split(items, np.array(taken, np.int64), [f"picture {i}" for i in range(len(items))])


def source_of(**splits: Split) -> Source:
    return Source("somewhere", ("a", "b"), splits)


def pixels_of(reading: Reading) -> NDArray[np.uint8]:
    return reading.images.batch(np.arange(len(reading.images)))


def refused(source: Source, form: ImageForm = FORM) -> str:
    with pytest.raises(UserError) as caught:
        read_training_data(source, form)
    assert str(caught.value).startswith("somewhere") or " of somewhere " in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("others", "judged"), [(["val", "test"], "val"), (["test"], "test"), (["val"], "val"), ([], "held-out")]
)
def test_judged_by_is_val_before_test_before_held_out(others: list[str], judged: str) -> None:
    splits = {name: split_of(pictures(10 + i, seed=i)) for i, name in enumerate(["train", *others])}
    data = read_training_data(source_of(**splits), FORM)
    assert data.held_out_split == judged
    if judged == "held-out":
        assert len(data.train.images) + len(data.held_out.images) == 10
    else:
        assert len(data.train.images) == 10
        assert len(data.held_out.images) == len(splits[judged])


def test_held_out_is_what_the_bytes_decide() -> None:
    source = source_of(all=split_of(pictures(60)))
    data = read_training_data(source, FORM)
    digests = np.concatenate([data.train.digests, data.held_out.digests])
    labels = np.concatenate([data.train.labels, data.held_out.labels])
    expected = [False] * len(data.train.images) + [True] * len(data.held_out.images)
    assert held_out_mask(digests, labels).tolist() == expected
    assert 4 <= len(data.held_out.images) <= 20
    names = {*data.train.split.names, *data.held_out.split.names}
    assert names == {f"picture {i}" for i in range(60)}


def test_what_is_skipped_is_told_for_both_parts() -> None:
    train, val = [b"", *pictures(6)], [*pictures(4, seed=1), b"words"]
    data = read_training_data(source_of(train=split_of(train), val=split_of(val)), FORM)
    assert data.skipped == [("picture 0", "empty file"), ("picture 4", "not an image")]
    whole = read_training_data(source_of(all=split_of([b"", *pictures(20)])), FORM)
    assert whole.skipped == [("picture 0", "empty file")]


def test_the_judging_split_gets_the_channels_of_training() -> None:
    grey = [stripes(i, upright=True, side=8)[..., 0] for i in range(4)]
    data = read_training_data(source_of(train=split_of([*grey]), val=split_of(pictures(4))), FORM)
    assert data.train.images.channels == data.held_out.images.channels == data.preprocessing.form.channels == 1
    data = read_training_data(source_of(train=split_of(pictures(4)), val=split_of([*grey])), FORM)
    assert data.train.images.channels == data.held_out.images.channels == data.preprocessing.form.channels == 3


@pytest.mark.parametrize("names", [(), ("cat",)])
def test_a_classifier_needs_two_classes(names: tuple[str, ...]) -> None:
    source = Source("somewhere", names, {"all": split_of(pictures(4), [0] * 4)})
    only = "one class, 'cat'" if names else "no classes"
    assert refused(source) == f"somewhere has {only}; a classifier needs at least two"


def test_there_must_be_a_split_to_train_on() -> None:
    source = source_of(test=split_of(pictures(4)), val=split_of(pictures(4)))
    assert refused(source) == "somewhere has no train split, only val, test"


def test_every_class_needs_a_readable_image() -> None:
    """The first that could not be read is named as an example."""
    source = source_of(all=split_of([*pictures(10), b"words", b""], [0] * 10 + [1, 1]))
    assert refused(source) == (
        "the class 'b' of somewhere has no readable image to train on; picture 10: not an image; "
        "add some, or take the class away"
    )
    source = source_of(train=split_of(pictures(4), [1] * 4), val=split_of(pictures(4)))
    assert refused(source) == (
        "the class 'a' of somewhere has no readable image to train on; add some, or take the class away"
    )


def test_something_must_be_left_to_judge_by() -> None:
    alone = split_of(pictures(2))
    message = "somewhere: each class has one image, so none can be held out; add images"
    assert refused(source_of(all=alone)) == message
    assert refused(source_of(all=split_of(pictures(2) * 3))) == message  # copies are no second image
    unreadable = source_of(train=alone, val=split_of([b"", b"words"]))
    assert refused(unreadable) == "somewhere: val has no readable image; add images"


def moments(data: TrainingData) -> tuple[list[float], list[float]]:
    """Return mean and deviation of the training pixels by channel, from 0 to 1, as NumPy has them."""
    stacked = pixels_of(data.train) / 255
    return stacked.mean((0, 1, 2)).tolist(), stacked.std((0, 1, 2)).tolist()


@pytest.mark.parametrize("channels", [None, 1, 3])
@pytest.mark.parametrize("split", ["all", "train"])
def test_mean_and_deviation_are_those_of_the_training_pixels(channels: int | None, split: str) -> None:
    """Of training alone: the images held out, and those of val, must not leak into them."""
    splits = {split: split_of(pictures(40))}
    if split == "train":
        splits["val"] = split_of([np.zeros((8, 8, 3), np.uint8)] * 20)
    data = read_training_data(source_of(**splits), dataclasses.replace(FORM, channels=channels))
    mean, std = moments(data)
    assert len(mean) == (channels or 3)
    assert data.preprocessing.mean == pytest.approx(mean, abs=1e-6)
    assert data.preprocessing.std == pytest.approx(std, abs=1e-6)
    assert data.preprocessing.form == dataclasses.replace(FORM, channels=channels or 3)


@pytest.mark.parametrize("value", [0, 7, 255])
def test_constant_images_are_not_divided_by_zero(value: int) -> None:
    first, second = np.full((8, 8), value, np.uint8), np.full((9, 8), value, np.uint8)
    source = source_of(train=split_of([first, second]), val=split_of([first, second]))
    preprocessing = read_training_data(source, FORM).preprocessing
    assert preprocessing.mean == pytest.approx((value / 255,), abs=1e-6)
    assert preprocessing.std == pytest.approx((0.5 / 255,), abs=1e-6)


def test_a_stored_preprocessing_is_taken_as_it_is() -> None:
    stored = Preprocessing(ImageForm(size=(5, 7), channels=1, fit="pad", interpolation="nearest"), (0.3,), (0.7,))
    data = read_training_data(source_of(all=split_of(pictures(20))), FORM, stored)
    assert data.preprocessing is stored
    assert pixels_of(data.train).shape[1:] == pixels_of(data.held_out).shape[1:] == (5, 7, 1)
