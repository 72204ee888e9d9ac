"""The training loop. Read this first: everything else in training prepares it or keeps what comes of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from lenext.data.loader import Loader
from lenext.data.training_loader import TrainingLoader
from lenext.errors import LenextError
from lenext.evaluation.judge import Judgement, NotFiniteError, judge
from lenext.models import ImageClassifier
from lenext.processes import ALONE, Group
from lenext.progress import SILENT, Progress
from lenext.training.arithmetic import Arithmetic
from lenext.training.criterion import Criterion
from lenext.training.folder.checkpoint import Checkpoint
from lenext.training.freezing import parts_free_again
from lenext.training.keeping import Keeping, Place, restore
from lenext.training.levenberg_marquardt import IMAGES, DiagonalLevenbergMarquardt
from lenext.training.pace import Pace
from lenext.training.recipes.recipe import Recipe
from lenext.training.schedule import rate_share
from lenext.training.work import DivergedError, Work


@dataclass(frozen=True)
class Epoch:
    """What one pass over the training images brought; `steps` and `images` count from the start of training.

    `began` and `ended` are the instants, on the performance counter, of its first and last step, of which `waited`
    seconds went by waiting for images. `losses` are the training loss of every step; `held_out` is the answer of
    `model` to the images it does not train on, with the weights it has now, or their average. `watched` is its answer
    to the images that early stopping goes by, and `best` whether no earlier epoch did better on them.
    """

    number: int
    steps: int
    images: int
    lr: float
    losses: list[float]
    began: float
    ended: float
    waited: float
    held_out: Judgement
    watched: Judgement | None
    best: bool
    model: ImageClassifier


def fit(
    model: ImageClassifier,
    train: TrainingLoader,
    held_out: Loader,
    recipe: Recipe,
    *,
    seed: int,
    criterion: Criterion | None = None,
    arithmetic: Arithmetic | None = None,
    pace: Pace | None = None,
    stopping: Loader | None = None,
    keeping: Keeping | None = None,
    resumed: Checkpoint | None = None,
    group: Group = ALONE,
    progress: Progress = SILENT,
) -> Iterator[Epoch]:
    """Train the model in place and yield after every epoch.

    `stopping` holds the images that early stopping goes by. `keeping` writes checkpoints, after every epoch and when
    they are due; from `resumed`, one of these, training goes on as if it had never stopped. The processes of `group`
    each train on their own part of every batch, and judge their own part of the images.

    Raises:
        LenextError: the loss is no longer a finite number; the message names step and learning rate.
        UserError: batches of one image, of which batch normalisation cannot take a variance.
    """
    criterion = criterion or Criterion(recipe, train.class_counts, train.device)
    pace = pace or Pace(recipe.epochs * train.steps, train.steps)
    keeping = keeping or Keeping(None, group=group)
    work = Work(model, recipe, criterion, arithmetic or Arithmetic(), group)
    place = restore(resumed, work, pace, group.rank) if resumed else Place()
    while place.losses or (not pace.finished and not 0 < recipe.early_stopping <= place.since):
        _make_steps(work, train, place, pace, keeping, seed, progress)
        number = place.epochs + 1
        judged = work.average.model if work.average else model
        try:
            with keeping.judging(work, place, pace):
                watched = judge(judged, stopping, group=group) if stopping else None
                answers = judge(judged, held_out, group=group)
        except NotFiniteError as error:
            what = f"after step {pace.step}, learning rate {place.lr:.3g}, the model's answers are no finite numbers"
            raise LenextError(f"{what}; {_last_good(keeping)}; try --lr {recipe.lr / 10:.1g}") from error
        place.since += 1
        if watched is None or watched.loss < place.best:
            place.best, place.since = watched.loss if watched else place.best, 0
        yield Epoch(
            number, pace.step, place.images, place.lr, place.losses, pace.last - place.seconds, pace.last, place.waited,
            answers, watched, not place.since, judged,
        )  # fmt: skip
        pace.judge()
        _follow(group, pace)
        place.begin_epoch()
        keeping.keep(work, place, pace)
        keeping.patient = group.world > 1  # who is alone has just written a checkpoint


def _make_steps(
    work: Work, train: TrainingLoader, place: Place, pace: Pace, keeping: Keeping, seed: int, progress: Progress
) -> None:
    """Make the steps of an epoch that are left."""
    number, recipe, model = place.epochs + 1, work.recipe, work.model
    if not place.losses:
        place.freed = int(work.group.sums(parts_free_again(work.frozen, recipe, pace.done) * work.group.first)[0])
    work.free(place.freed)
    model.train()
    began = pace.begin() - place.seconds
    if isinstance(work.optimiser, DiagonalLevenbergMarquardt) and not place.losses:
        images = _one_by_one(train, seed, number)
        work.optimiser.measure(work.local_answers, work.criterion, images, seed=(seed, number))
    waited = train.waited - place.waited
    batches = train.shuffled(seed=seed, epoch=number, skip=len(place.losses)) if not pace.finished else []
    keeping.patient = True
    for batch in progress.track(batches, _title(number, pace), len(train), lambda batch: batch.whole):
        place.lr = recipe.lr * rate_share(recipe, pace.done, pace.steps)
        try:
            place.losses.append(work.step(batch, place.lr, pace.step + 1))
        except DivergedError as error:
            raise LenextError(f"{error}; {_last_good(keeping)}; try --lr {recipe.lr / 10:.1g}") from error
        place.images += batch.whole
        pace.advance()
        _follow(work.group, pace)
        place.seconds, place.waited = pace.last - began, train.waited - waited
        keeping.keep_if_due(work, place, pace)
        if pace.step >= pace.steps:
            break


def _follow(group: Group, pace: Pace) -> None:
    """Let all processes plan by the clock of the first."""
    if pace.deadline is not None:
        pace.steps = int(group.sums(pace.steps * group.first)[0])


def _last_good(keeping: Keeping) -> str:
    if keeping.written is None:
        return "no checkpoint was written before it"
    return f"the last good checkpoint is {keeping.written}"


def _title(number: int, pace: Pace) -> str:
    if not pace.planned:
        return f"epoch {number}"
    return f"epoch {number} of {'about ' if pace.deadline is not None else ''}{pace.epochs}"


def _one_by_one(train: TrainingLoader, seed: int, number: int) -> Iterator[Tensor]:
    """Yield the first images of the epoch, each (1, C, H, W)."""
    left = IMAGES
    for batch in train.shuffled(seed=seed, epoch=number, whole=True):
        yield from batch.images[:left].tensor_split(min(left, len(batch)))
        left -= min(left, len(batch))
        if not left:
            return
