"""What a training run needs of a source: images to train on, images to judge by, and the preprocessing."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from lenext.data.augmentation.augmentation import NOTHING, Augmentation
from lenext.data.decode import ImageForm
from lenext.data.holdout import held_out_mask
from lenext.data.preprocessing import Preprocessing
from lenext.data.reading import Loading, Reading, read_split
from lenext.data.source import ALL, HELD_OUT, Source
from lenext.errors import UserError
from lenext.progress import SILENT, Progress

ROOM = {"random": 1.5, "inception": 8 / 7}  # times the model's size that images are kept at, to cut windows from


@dataclass(frozen=True)
class TrainingData:
    """The images to train on and those to judge by; `held_out_split` says where the latter are from.

    `skipped` pairs the name of each unreadable image with the reason.
    """

    train: Reading
    held_out: Reading
    held_out_split: str
    preprocessing: Preprocessing
    skipped: list[tuple[str, str]]


def read_training_data(
    source: Source,
    form: ImageForm,
    stored: Preprocessing | None = None,
    progress: Progress = SILENT,
    *,
    augmentation: Augmentation = NOTHING,
    loading: Loading = "auto",
) -> TrainingData:
    """Read a source for training. Judged by is `val`, else `test`, else a fifth held out of what there is.

    The preprocessing is `stored`, that of weights to start from, or takes its mean and deviation from the images.
    Those to train on are kept at the size that the augmentation cuts its windows from.

    Raises:
        UserError: fewer than two classes, no images to train on, or a class without one that can be read.
    """
    if len(source.class_names) < 2:
        only = f"one class, {source.class_names[0]!r}" if source.class_names else "no classes"
        raise UserError(f"{source.location} has {only}; a classifier needs at least two")
    name = next((name for name in ("train", ALL) if name in source.splits), None)
    if name is None:
        raise UserError(f"{source.location} has no train split, only {', '.join(source.splits)}")
    form = stored.form if stored else form
    kept = kept_form(augmentation, form)
    whole = read_split(source.splits[name], kept, what="reading images", loading=loading, progress=progress)
    skipped = list(whole.skipped)
    judged = next((split for split in ("val", "test") if split in source.splits), None)
    fixed = dataclasses.replace(form, channels=whole.images.channels)
    if judged:
        train = whole
        held_out = read_split(
            source.splits[judged], fixed, what=f"reading {judged}", loading=loading, progress=progress
        )
        skipped += held_out.skipped
    else:
        mask = held_out_mask(whole.digests, whole.labels)
        train, held_out = whole.take(np.flatnonzero(~mask)), whole.take(np.flatnonzero(mask))
        held_out = as_evaluated(held_out, kept, fixed, loading, progress)
    _require_images(source, train, held_out, judged, skipped)
    preprocessing = stored or _preprocessing_of(train, form)
    return TrainingData(train, held_out, judged or HELD_OUT, preprocessing, skipped)


def kept_form(augmentation: Augmentation, form: ImageForm) -> ImageForm:
    """Return what images are brought to before the augmentation cuts its windows: the form itself, or more."""
    low, high = augmentation.scale
    if augmentation.crop == "random" and low == high:
        size = (round(form.size[0] * low), round(form.size[1] * low))
        return dataclasses.replace(form, size=size, crop_ratio=1.0)
    room = ROOM.get(augmentation.crop)
    if room is None:
        return form
    return dataclasses.replace(
        form, size=(round(form.size[0] * room), round(form.size[1] * room)), crop_ratio=1.0, fit="whole"
    )


def as_evaluated(
    reading: Reading, kept: ImageForm, form: ImageForm, loading: Loading, progress: Progress = SILENT
) -> Reading:
    """Return a reading of images that were kept in another form, each as evaluation sees it."""
    if dataclasses.replace(kept, channels=form.channels) == form:
        return reading
    return read_split(reading.split, form, what="reading those held out", loading=loading, progress=progress)


def _require_images(
    source: Source, train: Reading, held_out: Reading, judged: str | None, skipped: list[tuple[str, str]]
) -> None:
    missing = sorted(set(range(len(source.class_names))) - set(np.unique(train.labels).tolist()))
    if missing:
        example = f"; {skipped[0][0]}: {skipped[0][1]}" if skipped else ""
        raise UserError(
            f"the class {source.class_names[missing[0]]!r} of {source.location} has no readable image to train on"
            f"{example}; add some, or take the class away"
        )
    if not len(held_out.images):
        hint = f"{judged} has no readable image" if judged else "each class has one image, so none can be held out"
        raise UserError(f"{source.location}: {hint}; add images")


def _preprocessing_of(train: Reading, form: ImageForm) -> Preprocessing:
    """Return the preprocessing whose mean and deviation are those of the training images' pixels."""
    count = int(train.areas.sum())
    total, squares = train.sums.sum(0).T.tolist()
    mean = [value / count / 255 for value in total]
    variance = [value / count / 255**2 - m**2 for value, m in zip(squares, mean, strict=True)]
    # Below half a grey level there is nothing to scale up.
    std = [max(v, (0.5 / 255) ** 2) ** 0.5 for v in variance]
    form = dataclasses.replace(form, channels=train.images.channels)
    return Preprocessing(form, tuple(round(m, 6) for m in mean), tuple(round(s, 6) for s in std))
