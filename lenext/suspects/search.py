"""`find_suspects`: training images that are probably mislabelled, from what networks that never saw them answer."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from lenext.data.opening import open_source
from lenext.data.reading import Reading, read_split
from lenext.data.source import ALL, Source
from lenext.device import choose_device
from lenext.errors import UserError
from lenext.progress import SILENT, Progress
from lenext.suspects.answering import Answered, again, answers_out_of_fold
from lenext.suspects.confident import doubts, require_cleanlab
from lenext.suspects.folds import folds_of, require_enough
from lenext.suspects.result import Suspect, Suspects
from lenext.training.settings import Settings

FOLDS, MOST_FOLDS = 5, 100


def find_suspects(
    run: str | Path,
    data: str | Path,
    *,
    folds: int = FOLDS,
    epochs: int | None = None,
    seed: int | None = None,
    exclude: str | Path | None = None,
    device: str = "auto",
    threads: int | None = None,
    progress: Progress = SILENT,
) -> Suspects:
    """Find training images that are probably mislabelled, by confident learning (https://arxiv.org/abs/1911.00068).

    The settings of `run`, a run folder, are trained again `folds` times, each time on all folds of `data` but one,
    which that network then answers; `epochs` is for how many, where not as many as the run. The images are those of the
    split `train`, or all where there are no splits. Equal images are in one fold. `exclude` lists images to leave out;
    where None is given, those that the run left out of the same data. `seed` and `threads` are the run's where None.

    Raises:
        UserError: no run folder, other classes, too few images for so many folds, or weights to start from that were
            trained on the images.
        LenextError: the loss is no longer finite.
    """
    began = time.perf_counter()
    require_cleanlab()
    if not 2 <= folds <= MOST_FOLDS:
        raise UserError(f"folds {folds} cannot be; give 2 to {MOST_FOLDS}")
    chosen = choose_device(device)
    trained = again(Path(run), str(data), chosen, epochs=epochs, seed=seed, threads=threads)
    settings = trained.settings
    listed = exclude if exclude is not None else settings.exclude
    source = open_source(data, exclude=listed, progress=progress)
    _require_classes(source, trained.class_names, str(run), progress)
    reading = _read(source, settings, progress)
    require_enough(source, reading.digests, reading.labels, folds)
    placed = folds_of(reading.digests, reading.labels, folds, settings.seed)
    answered = list(answers_out_of_fold(trained, source, reading.split, placed, chosen, progress))
    return _found(str(run), settings, source, reading, answered, began)


def _require_classes(source: Source, known: tuple[str, ...], run: str, progress: Progress) -> None:
    """Refuse data that the run's settings were not made for; tell of classes that differ."""
    if len(source.class_names) < 2:
        raise UserError(f"{source.location} has one class, {source.class_names[0]!r}: there is none to take it for")
    shared = [name for name in known if name in source.class_names]
    if known and not shared:
        raise UserError(
            f"{run} has none of the classes of {source.location}, such as {source.class_names[0]!r}; its own are "
            f"{', '.join(known[:5])}{', ...' if len(known) > 5 else ''}; give the run's data, or a run on these"
        )
    for name in source.class_names:
        if known and name not in known:
            progress.note(
                f"note: {run} does not have the class {name!r}; the folds are trained on the classes of the data"
            )
            return


def _read(source: Source, settings: Settings, progress: Progress) -> Reading:
    """Read the images that are trained on once, for their digests and for what cannot be read; none is kept."""
    name = next((name for name in ("train", ALL) if name in source.splits), None)
    if name is None:
        raise UserError(f"{source.location} has no train split, only {', '.join(source.splits)}")
    return read_split(
        source.splits[name], settings.form(), what="looking at images", loading="workers", progress=progress
    )


def _found(
    run: str, settings: Settings, source: Source, reading: Reading, answered: list[Answered], began: float
) -> Suspects:
    rows = np.concatenate([each.rows for each in answered])
    order = np.argsort(rows)
    rows = rows[order]
    labels = reading.labels[rows]
    probabilities = np.concatenate([each.judgement.probabilities for each in answered])[order]
    predicted = np.concatenate([each.judgement.predicted for each in answered])[order]
    found, names = doubts(labels, probabilities), source.class_names
    suspects = tuple(
        Suspect(
            reading.split.names[rows[row]], names[labels[row]], names[predicted[row]],
            float(probabilities[row, labels[row]]), float(probabilities[row, predicted[row]]), float(score),
        )
        for row, score in zip(found.rows.tolist(), found.scores.tolist(), strict=True)
    )  # fmt: skip
    skipped = dict(reading.skipped + [pair for each in answered for pair in each.skipped])
    return Suspects(
        run=run, model=settings.model, data=source.location, images=len(rows), class_names=names, folds=len(answered),
        epochs=max(each.epochs for each in answered), top1=100 * float((predicted == labels).mean()),
        estimated_noise=found.noise, suspects=suspects,
        skipped_files=tuple({"path": path, "reason": reason} for path, reason in skipped.items()),
        seconds=time.perf_counter() - began, rows=rows[found.rows], reading=reading,
    )  # fmt: skip
