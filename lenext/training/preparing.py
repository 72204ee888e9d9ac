"""What a run needs before its first step: images, recipe, model, loaders, and how the arithmetic will run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lenext.conversion import origin_of
from lenext.creation import Pretrained, create
from lenext.data.colours import colour_axes
from lenext.data.holdout import watched_mask
from lenext.data.loader import Loader
from lenext.data.preprocessing import Preprocessing
from lenext.data.reading import Reading
from lenext.data.source import Source
from lenext.data.training_data import TrainingData, as_evaluated, kept_form, read_training_data
from lenext.data.training_loader import TrainingLoader
from lenext.errors import UserError
from lenext.models import ImageClassifier
from lenext.processes import ALONE, Group
from lenext.progress import SILENT, Progress
from lenext.training.arithmetic import Arithmetic, choose_arithmetic
from lenext.training.criterion import Criterion
from lenext.training.fitting import Beginning, fit_to_images, head_can_be_fitted
from lenext.training.freezing import AT_FIRST, freeze_at_start
from lenext.training.memory import StepMemory, memory_explained, require_memory, step_memory
from lenext.training.norms import synchronised
from lenext.training.pace import LONGEST, Pace
from lenext.training.recipes import Recipe, Situation, about, make_recipe, remarks
from lenext.training.recipes.situation import all_grey, training_split
from lenext.training.settings import Settings, network_rates
from lenext.training.similarity import measured_separation
from lenext.transfer.separation import Separation
from lenext.weights.classes import ClassList

JUDGING_BATCH = 256
SAVING = 1.0  # seconds at the end of a run that has a time to keep, for its report


@dataclass(frozen=True)
class Prepared:
    """Everything that `lenext.training.loop.fit` takes, and what the run folder says of it.

    `data` and `watched`, the images that early stopping goes by, are whole; the loaders have this process's part.
    `classes` is what the classes are called, `origin` what the file of the first weights says of where they are from,
    `trained_before` the digests of the images behind the first weights. `separation` is what was measured of these,
    `beginning` what they were before they were fitted to the images.
    """

    model: ImageClassifier
    data: TrainingData
    recipe: Recipe
    train: TrainingLoader
    held_out: Loader
    stopping: Loader | None
    watched: Reading | None
    criterion: Criterion
    arithmetic: Arithmetic
    pace: Pace
    memory: StepMemory
    classes: ClassList
    origin: Mapping[str, Any]
    trained_before: NDArray[np.uint64]
    notes: list[str] = field(default_factory=list)
    separation: Separation | None = None
    beginning: Beginning | None = None

    @property
    def trained_on(self) -> NDArray[np.uint64]:
        """The digests of the images behind the weights; those set aside count too, for they choose the weights."""
        own = [each.digests for each in (self.data.train, self.watched) if each is not None]
        return np.unique(np.concatenate([self.trained_before, *own]))


def prepare(
    settings: Settings,
    source: Source,
    device: torch.device,
    progress: Progress = SILENT,
    *,
    started: float,
    group: Group = ALONE,
    record: Mapping[str, Any] | None = None,
) -> Prepared:
    """Read the images and build the model; weights that do not fit are refused before any image is read.

    `started` is the instant, on the performance counter, that the time which the settings allow counts from. `record`
    is that of a run that goes on: what it measured of its images is not measured again.

    Raises:
        UserError: a mistake in the settings or in the data.
    """
    began = _begin(settings, source, device, progress, group, record)
    start, stored, recipe, options = began.start, began.stored, began.recipe, began.options
    data = read_training_data(
        source, settings.form(), stored, progress, augmentation=recipe.augmentation, loading=settings.loading
    )
    data, watched = _set_aside(data, recipe, settings)
    model = _model(settings, source, data, start, recipe, options)
    model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    images = min(recipe.batch_size, len(data.train.images))
    memory = require_memory(step_memory(model, recipe, -(-images // group.world), device), progress)
    told = [start.presumed if start else "", *remarks(recipe, settings.overrides)]
    notes = [f"note: {each}" for each in told if each]
    notes += _told_of_parts(recipe, start, source.class_names, settings.overrides)
    beginning, fitted = None, list[str]()
    if start:
        beginning, fitted = fit_to_images(model, start, data, recipe, device, settings, group, progress)
    train = TrainingLoader(
        data.train, data.preprocessing,
        batch_size=recipe.batch_size, device=device, augmentation=recipe.augmentation, sampling=recipe.sampling,
        workers=settings.workers, classes=len(source.class_names),
        axes=colour_axes(data.train) if recipe.augmentation.colour_noise else None, group=group,
    )  # fmt: skip
    criterion = Criterion(recipe, train.class_counts, device)
    steps = recipe.epochs * train.steps
    arithmetic = _arithmetic(model, settings, recipe, criterion, train, memory, progress)
    if settings.sync_norm:
        model = synchronised(model, device, group)
    deadline = started + 60 * settings.minutes - SAVING if settings.minutes else None
    judged = len(data.held_out.images) + (len(watched.images) if watched else 0)
    pace = Pace(LONGEST if deadline else steps, train.steps, judged / recipe.batch_size, deadline)
    return Prepared(
        model, data, recipe, train,
        judging_loader(data.held_out, data.preprocessing, device, group),
        judging_loader(watched, data.preprocessing, device, group) if watched else None, watched,
        criterion, arithmetic, pace, memory,
        start.classes.called(source.class_names) if start else ClassList(source.class_names),
        origin_of(start) if start else {},
        start.trained_on if start else np.empty(0, np.uint64),
        notes + fitted, began.separation, beginning,
    )  # fmt: skip


@dataclass(frozen=True)
class _Beginning:
    """The recipe, the options of the architecture, and the weights to start from with their preprocessing."""

    recipe: Recipe
    options: Mapping[str, Any]
    start: Pretrained | None = None
    stored: Preprocessing | None = None
    separation: Separation | None = None


def _begin(
    settings: Settings,
    source: Source,
    device: torch.device,
    progress: Progress,
    group: Group,
    record: Mapping[str, Any] | None,
) -> _Beginning:
    situation = _situation(settings, source)
    recipe = make_recipe(settings.recipe, situation, settings.overrides)
    options = {**network_rates(recipe), **settings.options}
    start = settings.start(source.class_names, options)
    if start is None:
        return _Beginning(recipe, options)
    stored = Preprocessing.from_json(start.preprocessing, str(settings.weights))
    said = None
    if about(recipe.name).compares:
        measured = partial(_measured, start, stored, source, device, settings.seed, progress)
        said = record["separation"] if record and "recipe" in record else group.agreed(measured)
    separation = Separation(tuple(said["top1"]), said["drop"], said["before"]) if said else None
    fitted = recipe.fit_head and head_can_be_fitted(start)
    situation = replace(  # the size is that of the images
        situation, size=stored.form.size, head_fitted=fitted, separation=separation
    )
    recipe = make_recipe(settings.recipe, situation, settings.overrides)
    if recipe.drop_stages and "drop_stages" not in options:
        options = {**network_rates(recipe), **settings.options}
        start = settings.start(source.class_names, options)
    return _Beginning(recipe, options, start, stored, separation)


def _told_of_parts(
    recipe: Recipe, start: Pretrained | None, class_names: Sequence[str], overrides: Mapping[str, Any]
) -> list[str]:
    """Return what is to be known of frozen parts, and of a last layer for other classes."""
    notes = []
    if recipe.fit_head and "fit_head" in overrides and not start:
        notes.append("note: fit_head does nothing without weights to start from")
    if (recipe.freeze or recipe.unfreeze) and not start:
        parts = recipe.freeze or AT_FIRST
        notes.append(f"note: {parts} stays as it was drawn, at random; --weights says what to start from")
    if recipe.unfreeze and recipe.epochs == 1:
        notes.append("note: parts become free at the beginning of later epochs, and this training has one")
    if start and recipe.drop_stages == 0:
        places = [None if start.unnamed else start.classes.place_or_none(name) for name in class_names]
        known, count, before = len(places) - places.count(None), len(places), len(start.classes)
        if not known:
            notes.append(f"note: none of the {count} classes is one of the weights' {before}: the last layer is new")
        elif known < count:
            notes.append(f"note: {known} of the {count} classes are among the weights' {before} and keep their rows")
    return notes


def _measured(*arguments: Any) -> dict[str, Any] | None:
    found = measured_separation(*arguments)
    return asdict(found) if found else None


def _arithmetic(
    model: ImageClassifier,
    settings: Settings,
    recipe: Recipe,
    criterion: Criterion,
    train: TrainingLoader,
    memory: StepMemory,
    progress: Progress,
) -> Arithmetic:
    """Return how to train, which the first process chooses for all."""

    def chosen() -> dict[str, Any]:
        return asdict(
            choose_arithmetic(
                model, recipe, criterion, lambda: next(train.shuffled(seed=settings.seed, epoch=0)),
                images=recipe.epochs * len(train) // train.group.world,
                seconds=60 * settings.minutes if settings.minutes else None, progress=progress,
            )
        )  # fmt: skip

    with memory_explained(memory):
        return Arithmetic(**train.group.agreed(chosen))


def judging_loader(reading: Reading, preprocessing: Preprocessing, device: torch.device, group: Group) -> Loader:
    """Return the batches of this process's part of images that all processes judge together."""
    own = reading if group.world == 1 else reading.take(group.own(len(reading.images)))
    return Loader(own, preprocessing, batch_size=JUDGING_BATCH, device=device)


def _situation(settings: Settings, source: Source) -> Situation:
    """Return what the recipe may depend on, by what can be known before the images are read."""
    split, images = training_split(source)
    if split is None or not len(split):
        return settings.situation(1)
    grey = settings.channels == 1 or all_grey(split)
    return replace(settings.situation(max(1, images)), estimated=images != len(split), grey=grey)


def _model(
    settings: Settings,
    source: Source,
    data: TrainingData,
    start: Pretrained | None,
    recipe: Recipe,
    options: Mapping[str, Any],
) -> ImageClassifier:
    form = data.preprocessing.form
    model = start.model if start else create(
        settings.model, classes=len(source.class_names), in_channels=form.channels, size=form.size, **options
    )  # fmt: skip
    freeze_at_start(model, recipe)
    return model


def _set_aside(data: TrainingData, recipe: Recipe, settings: Settings) -> tuple[TrainingData, Reading | None]:
    """Return the data without the images that early stopping goes by, and these as evaluation sees them."""
    if not recipe.early_stopping:
        return data, None
    mask = watched_mask(data.train.digests, data.train.labels)
    if not mask.any():
        raise UserError("early stopping has no image to go by: no class has two different ones to train on")
    form = data.preprocessing.form
    kept = kept_form(recipe.augmentation, form)
    watched = as_evaluated(data.train.take(np.flatnonzero(mask)), kept, form, settings.loading)
    return replace(data, train=data.train.take(np.flatnonzero(~mask))), watched
