"""`probe`: which network's features tell a user's classes apart best, judged crosswise by quick heads."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lenext.classifier import Classifier
from lenext.data.opening import open_source
from lenext.data.reading import Reading, read_split
from lenext.data.source import ALL, Source, Split, split_name
from lenext.errors import UserError
from lenext.evaluation.intervals import percent_wilson
from lenext.evaluation.significance import holm, of_same_images
from lenext.progress import SILENT, Progress
from lenext.transfer.backbones import find_backbones
from lenext.transfer.embedding import CENTER, Embedded, embed, require_embeddable
from lenext.transfer.heads import HEADS, HeadName, fit_head
from lenext.transfer.linear import require_linear, write_linear

FOLDS = 5


@dataclass(frozen=True)
class HeadResult:
    """How a head did on the images that it did not learn from: right answers in percent, with 95 % interval.

    `strengths` are what it chose in each fold, and `seconds` what fitting took.
    """

    head: HeadName
    top1: float
    top1_interval: tuple[float, float]
    strengths: list[float | None]
    seconds: float
    right: NDArray[np.bool_] = field(repr=False, compare=False)


@dataclass(frozen=True)
class Probed:
    """One backbone: its heads, the best first, the width of its embedding, and what embedding took; `kept`, nothing."""

    model: str
    called: str
    heads: list[HeadResult]
    dimensions: int
    embed_seconds: float
    images_per_second: float | None
    kept: bool
    versus_best: str = ""

    @property
    def best(self) -> HeadResult:
        """The head that did best."""
        return self.heads[0]

    def to_json(self) -> dict[str, Any]:
        """Return the fields of the command's JSON."""
        heads = [{key: value for key, value in vars(each).items() if key != "right"} for each in self.heads]
        return {
            **{key: getattr(self, key) for key in ("model", "called", "dimensions", "embed_seconds")},
            "images_per_second": self.images_per_second,
            "kept": self.kept,
            "top1": self.best.top1,
            "top1_interval": self.best.top1_interval,
            "fit_seconds": sum(each.seconds for each in self.heads),
            "versus_best": self.versus_best,
            "heads": heads,
        }


@dataclass(frozen=True)
class ProbeResult:
    """The backbones, the best first, and what they were judged on; `duplicates` are images left out for that."""

    data: str
    images: int
    class_names: tuple[str, ...]
    splits: tuple[str, ...]
    folds: int
    views: str
    duplicates: int
    skipped_files: list[dict[str, str]]
    models: list[Probed]
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return the fields of the command's JSON."""
        whole = {key: value for key, value in asdict(replace(self, models=[])).items() if key != "models"}
        return {
            **whole,
            "classes": len(self.class_names),
            "skipped": len(self.skipped_files),
            "models": [each.to_json() for each in self.models],
        }


def probe(
    data: str | Path,
    models: str | Sequence[str],
    *,
    weights: str | Path | None = None,
    heads: Sequence[HeadName] = HEADS,
    views: str = CENTER,
    folds: int = FOLDS,
    split: str | None = None,
    images: int | None = None,
    exclude: str | Path | None = None,
    out: str | Path | None = None,
    device: str = "auto",
    seed: int = 0,
    progress: Progress = SILENT,
) -> ProbeResult:
    """Rank backbones by how well heads on their frozen embeddings tell the classes of `data` apart.

        lenext.probe("photos/", ["resnet18", "mobilenet_v2"]).models[0].best.top1

    `models` are what `lenext.transfer.backbones.find_backbones` takes. Every image is judged once, by heads that were
    fitted to the other folds; images of equal bytes count once. Those of `train` and `val` take part, or of the whole;
    never those of `test`, unless `split` says so. `views` is how each image is looked at, `images` how many are drawn
    where there are more. Embeddings are kept: a second probe of the same images only fits heads. `out` is a model file
    for the best backbone with a logistic head that was fitted to all images.

    Raises:
        UserError: an unknown backbone, head or split, too few images, or weights that cannot be read.
        LenextError: a write failed.
    """
    started = time.perf_counter()
    backbones = find_backbones([models] if isinstance(models, str) else models, weights)
    _require_sense(heads, folds, views)
    source = open_source(data, exclude=exclude, progress=progress)
    taken, names = _taken(source, split)
    tried: list[_Tried] = []
    for backbone in backbones:
        classifier = backbone.load(device)
        if classifier.presumed:
            progress.note(f"note: {backbone.called}: {classifier.presumed}")
        if out is not None:
            require_linear(classifier)
        read = read_split(taken, classifier.preprocessing.form, what="reading images", progress=progress)
        reading = read.take(_distinct(read, images, seed))
        parts = _folds(source, reading.labels, folds, seed)
        _tell_trained_on(backbone.called, classifier, reading, progress)
        embedded = embed(classifier, reading, views=views, seed=seed, what=backbone.called, progress=progress)
        found = _judged(classifier, backbone.called, embedded, reading.labels, parts, heads, seed)
        tried.append(_Tried(found, classifier, read, reading, embedded))
    tried.sort(key=lambda each: -each.probed.best.top1)
    best = tried[0]
    if out is not None:
        _write_best(Path(out), best, source, seed)
    skipped = dict(each for one in tried for each in one.read.skipped)
    return ProbeResult(
        str(data), len(best.reading.images), source.class_names, names, folds, views,
        len(best.read.images) - len(np.unique(best.read.digests)),
        [{"path": path, "reason": reason} for path, reason in skipped.items()],
        _compared([each.probed for each in tried]), time.perf_counter() - started,
    )  # fmt: skip


def _write_best(path: Path, best: _Tried, source: Source, seed: int) -> None:
    figures = {"split": "crosswise", "top1": best.probed.best.top1, "images": len(best.reading.images)}
    write_linear(
        path, best.classifier, best.reading, best.embedded, source.class_names,
        figures=figures, data=source.location, seed=seed,
    )  # fmt: skip


@dataclass(frozen=True)
class _Tried:
    """A backbone that was judged, all images that were read for it, and those that took part."""

    probed: Probed
    classifier: Classifier
    read: Reading
    reading: Reading
    embedded: Embedded


def _tell_trained_on(called: str, classifier: Classifier, reading: Reading, progress: Progress) -> None:
    seen = int(np.isin(reading.digests, classifier.trained_on).sum())
    if seen:
        progress.note(
            f"note: {called} was trained on {seen:,} of the {len(reading.images):,} images, so that its figures are "
            "too good"
        )


def _require_sense(heads: Sequence[str], folds: int, views: str) -> None:
    require_embeddable(views)
    if folds < 2:
        raise UserError(f"folds {folds} cannot be; give 2 or more")
    for name in heads:
        if name not in HEADS:
            raise UserError(f"no head is called {name!r}; there are {', '.join(HEADS)}")
    if not heads:
        raise UserError(f"no head is given; there are {', '.join(HEADS)}")


def _taken(source: Source, asked: str | None) -> tuple[Split, tuple[str, ...]]:
    """Return the images that take part, and the splits that they are of."""
    if asked is not None:
        wanted = split_name(asked) or asked
        if wanted not in source.splits:
            raise UserError(f"{source.location} has no split {asked!r}; it has {', '.join(source.splits)}")
        return source.splits[wanted], (wanted,)
    names = tuple(name for name in ("train", "val", ALL) if name in source.splits)
    if not names:
        raise UserError(
            f"{source.location} has only {', '.join(source.splits)}; give --split {next(iter(source.splits))}"
        )
    return joined([source.splits[name] for name in names]), names


def joined(splits: Sequence[Split]) -> Split:
    """Return the images of several splits as one."""
    if len(splits) == 1:
        return splits[0]
    return Split(
        [item for split in splits for item in split.items],
        np.concatenate([split.labels for split in splits]),
        [name for split in splits for name in split.names],
    )


def _distinct(reading: Reading, most: int | None, seed: int) -> NDArray[np.int64]:
    """Return the images that differ by their bytes, in order; where there are more than `most`, some of each class."""
    kept = np.sort(np.unique(reading.digests, return_index=True)[1])
    if most is None or len(kept) <= most:
        return kept
    labels = reading.labels[kept]
    order = np.random.default_rng(seed).permutation(len(kept))
    rank = np.empty(len(kept), np.int64)  # of each image within its class, in the order that was drawn
    for label in np.unique(labels):
        own = order[labels[order] == label]
        rank[own] = np.arange(len(own))
    return np.sort(kept[np.lexsort((order, rank))[:most]])


def _folds(
    source: Source, labels: NDArray[np.int64], folds: int, seed: int
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    from sklearn.model_selection import StratifiedKFold

    counts = np.bincount(labels, minlength=len(source.class_names))
    if np.count_nonzero(counts) < 2:
        raise UserError(f"{source.location} has images of {np.count_nonzero(counts)} class; a probe needs two or more")
    least = int(np.argmin(np.where(counts > 0, counts, counts.max())))
    if counts[least] < folds:
        raise UserError(
            f"{source.location} has {counts[least]} different images of {source.class_names[least]!r}, fewer than the "
            f"{folds} folds; add some, or give --folds {max(2, counts[least])}"
        )
    return list(StratifiedKFold(folds, shuffle=True, random_state=seed).split(labels, labels))


def _judged(
    classifier: Classifier,
    called: str,
    embedded: Embedded,
    labels: NDArray[np.int64],
    parts: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]],
    heads: Sequence[HeadName],
    seed: int,
) -> Probed:
    results = []
    for name in heads:
        began = time.perf_counter()
        right, strengths = np.zeros(len(labels), bool), []
        for fitted, judged in parts:
            head = fit_head(name, embedded.values[fitted], labels[fitted], seed=seed)
            right[judged] = head.predict(embedded.mean[judged]) == labels[judged]
            strengths.append(head.strength)
        seconds = time.perf_counter() - began
        count = int(right.sum())
        interval = percent_wilson(count, len(labels))
        results.append(HeadResult(name, 100 * count / len(labels), interval, strengths, seconds, right))
    results.sort(key=lambda each: -each.top1)
    speed = len(labels) / embedded.seconds if embedded.seconds else None
    return Probed(
        classifier.name, called, results, embedded.values.shape[2], embedded.seconds, speed, embedded.kept
    )  # fmt: skip


def _compared(probed: list[Probed]) -> list[Probed]:
    """Say of each backbone but the best whether it does worse than that by more than chance brings."""
    best, *others = probed
    told = holm([of_same_images(best.best.right, each.best.right) for each in others]) if others else []
    return [best, *(replace(each, versus_best=one.verdict) for each, one in zip(others, told, strict=True))]
