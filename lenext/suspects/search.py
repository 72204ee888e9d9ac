"""`find_suspects`: training images that are probably mislabelled, from what networks that never saw them answer."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lenext.data.exclusions import Exclusion, write_exclusions
from lenext.data.opening import open_source
from lenext.data.reading import Reading, read_split
from lenext.data.source import ALL, Source
from lenext.device import choose_device
from lenext.errors import UserError
from lenext.progress import SILENT, Progress
from lenext.suspects.answering import Answered, answers_out_of_fold, settings_again
from lenext.suspects.confident import doubts, require_cleanlab
from lenext.suspects.folds import folds_of, require_enough
from lenext.training.settings import Settings

FOLDS, MOST_FOLDS = 5, 100
KIND = "mislabelled"


@dataclass(frozen=True)
class Suspect:
    """An image whose label is probably wrong: what its split calls it, its label, and what it probably is.

    `probability` is that of its label, `suggested_probability` that of the class suggested, the most probable one;
    `score` is their difference brought to 0 to 1, low where the label is in doubt.
    """

    path: str
    label: str
    suggested: str
    probability: float
    suggested_probability: float
    score: float


@dataclass(frozen=True)
class Suspects:
    """What was found: `suspects`, the worst first, among so many `images` that were answered out of fold.

        found = lenext.find_suspects("runs/photos", "photos/")
        found.suspects[0].path, found.suspects[0].suggested

    `rows` are where the suspects stand in `reading`. `top1` is the percentage of images whose label was answered,
    `estimated_noise` that of labels that are estimated to be wrong. `epochs` is how many each fold was trained for;
    `skipped_files` are {path, reason}.
    """

    run: str
    model: str
    data: str
    images: int
    class_names: tuple[str, ...]
    folds: int
    epochs: int
    top1: float
    estimated_noise: float
    suspects: tuple[Suspect, ...]
    skipped_files: tuple[dict[str, str], ...]
    seconds: float
    rows: NDArray[np.int64] = field(repr=False)
    reading: Reading = field(repr=False)

    def fields(self) -> dict[str, Any]:
        """Return what the command prints as JSON."""
        return {
            "run": self.run,
            "model": self.model,
            "data": self.data,
            "images": self.images,
            "classes": len(self.class_names),
            "folds": self.folds,
            "epochs": self.epochs,
            "top1": self.top1,
            "estimated_noise": self.estimated_noise,
            "suspects": [asdict(each) for each in self.suspects],
            "skipped": len(self.skipped_files),
            "skipped_files": list(self.skipped_files),
            "seconds": self.seconds,
        }

    def write_exclusions(self, path: str | Path) -> None:
        """Write the suspects as a list for `--exclude`, to be looked through first: some are rare, not wrong.

        Raises:
            UserError: something stands there.
            LenextError: the write failed.
        """
        listed = (
            Exclusion(
                each.path, KIND, f"labelled {each.label}, probably {each.suggested} ({each.suggested_probability:.3f})"
            )
            for each in self.suspects
        )
        write_exclusions(Path(path), listed, data=self.data)

    def write_page(self, path: str | Path, *, command: str = "") -> None:
        """Write the page with pictures.

        Raises:
            LenextError: the write failed.
        """
        from lenext.suspects.page import write_page

        write_page(Path(path), self, command)


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
    settings, known = settings_again(Path(run), str(data), chosen, epochs=epochs, seed=seed, threads=threads)
    listed = exclude if exclude is not None else settings.exclude
    source = open_source(data, exclude=listed, progress=progress)
    _require_classes(source, known, str(run), progress)
    reading = _read(source, settings, progress)
    require_enough(source, reading.digests, reading.labels, folds)
    placed = folds_of(reading.digests, reading.labels, folds, settings.seed)
    answered = list(answers_out_of_fold(settings, source, reading.split, placed, chosen, progress))
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
