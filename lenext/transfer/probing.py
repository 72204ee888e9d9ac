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
from lenext.data.caching import digests_of
from lenext.data.cores import available_cores
from lenext.data.opening import open_source
from lenext.data.reading import Reading
from lenext.data.source import ALL, Source, Split, split_name
from lenext.errors import UserError
from lenext.evaluation.intervals import percent_wilson
from lenext.evaluation.significance import holm, of_same_images
from lenext.progress import SILENT, Progress
from lenext.transfer.backbones import Backbone, find_backbones
from lenext.transfer.embedding import CENTER, Embedded, embed, require_embeddable
from lenext.transfer.heads import HEADS, HeadName, by_turns, fit_head
from lenext.transfer.linear import require_linear, write_linear
from lenext.transfer.rereading import read_to_embed

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

    def of(self, name: HeadName) -> HeadResult:
        """Return what the head of this name did."""
        return next(each for each in self.heads if each.head == name)

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
    where there are more. Embeddings are kept, so that a second probe of the same images only reads their bytes and fits
    heads. `out` is a model file for the backbone that logistic regression does best on, with such a head fitted to all
    images.

    Raises:
        UserError: an unknown backbone, head or split, too few images, or weights that cannot be read.
        LenextError: a write failed.
    """
    started = time.perf_counter()
    backbones = find_backbones([models] if isinstance(models, str) else models, weights)
    _require_sense(heads, folds, views)
    if out is not None and "logistic" not in heads:
        raise UserError(f"out {out} holds a logistic head, and {', '.join(heads)} alone are to be fitted; add logistic")
    source = open_source(data, exclude=exclude, progress=progress)
    whole, names = _taken(source, split)
    kept, digests = _distinct(whole, images, seed, progress)
    taken = whole.take(kept)
    tried = [
        _try(backbone, source, taken, digests, heads, views, folds, device, seed, out is not None, progress)
        for backbone in backbones
    ]
    tried.sort(key=lambda each: -each.probed.best.top1)
    if out is not None:
        best = max(tried, key=lambda each: each.probed.of("logistic").top1)
        _write_best(Path(out), best, source, views, seed)
    skipped = dict(each for one in tried for each in one.skipped)
    copies = len(whole) - len(taken) if images is None else 0
    return ProbeResult(
        str(data), len(tried[0].labels), source.class_names, names, folds, views, copies,
        [{"path": path, "reason": reason} for path, reason in skipped.items()],
        _compared([each.probed for each in tried]), time.perf_counter() - started,
    )  # fmt: skip


def _try(
    backbone: Backbone,
    source: Source,
    taken: Split,
    digests: NDArray[np.uint64],
    heads: Sequence[HeadName],
    views: str,
    folds: int,
    device: str,
    seed: int,
    to_write: bool,
    progress: Progress,
) -> _Tried:
    classifier = backbone.load(device)
    if classifier.presumed:
        progress.note(f"note: {backbone.called}: {classifier.presumed}")
    if to_write:
        require_linear(classifier)
    reading = read_to_embed(classifier, taken, digests, views=views, seed=seed, progress=progress)
    parts = _folds(source, reading.labels, folds, seed)
    _tell_trained_on(backbone.called, classifier, reading, progress)
    embedded = embed(classifier, reading, views=views, seed=seed, what=backbone.called, progress=progress)
    found = _judged(classifier, backbone.called, embedded, reading.labels, parts, heads, seed)
    return _Tried(found, classifier, reading.labels, reading.digests, reading.skipped, embedded)


def _write_best(path: Path, best: _Tried, source: Source, views: str, seed: int) -> None:
    logistic = best.probed.of("logistic")
    figures = {"split": "crosswise", "top1": logistic.top1, "images": len(best.labels), "views": views}
    write_linear(
        path, best.classifier, best.embedded, best.labels, best.digests, source.class_names,
        figures=figures, data=source.location, seed=seed,
    )  # fmt: skip


@dataclass(frozen=True)
class _Tried:
    """A backbone that was judged, and what is known of the images that took part."""

    probed: Probed
    classifier: Classifier
    labels: NDArray[np.int64]
    digests: NDArray[np.uint64]
    skipped: list[tuple[str, str]]
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


def _distinct(
    split: Split, most: int | None, seed: int, progress: Progress
) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Return the images that differ by their bytes, in order, some of each class where there are more than `most`.

    Those that cannot be opened are among them, to be told when they are read. Their digests come with them.
    """
    digests = digests_of(split, available_cores(), progress, what="comparing bytes")
    first = np.unique(digests, return_index=True)[1]
    kept = np.union1d(first[digests[first] != 0], np.flatnonzero(digests == 0)).astype(np.int64)
    kept = kept if most is None else kept[by_turns(split.labels[kept], most, seed)]
    return kept, digests[kept]


def _folds(
    source: Source, labels: NDArray[np.int64], folds: int, seed: int
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    from sklearn.model_selection import StratifiedKFold

    counts = np.bincount(labels, minlength=len(source.class_names))
    present = np.flatnonzero(counts)
    if len(present) < 2:
        raise UserError(
            f"a probe needs readable images of two classes, and {source.location} has them of {len(present)}"
        )
    least = present[np.argmin(counts[present])]
    if counts[least] < folds:
        way = f"give --folds {counts[least]}" if counts[least] > 1 else "leave the class out"
        raise UserError(
            f"of {source.class_names[least]!r} in {source.location} {counts[least]} different readable images take "
            f"part, fewer than the {folds} folds; add some, draw more with --images, or {way}"
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
