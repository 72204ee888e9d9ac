"""`export_int8`: a file in eight bits, kept only where it answers nearly as well, on images that it was not made by."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lenext.classifier import Classifier
from lenext.data.cores import available_cores
from lenext.data.decode import UnreadableImageError, decode, file_content
from lenext.data.holdout import digest
from lenext.data.opening import open_source
from lenext.deployment.exporting.quantisation import quantise
from lenext.engines.engine import Engine
from lenext.engines.exported import ExportedFile, files_of, read_exported
from lenext.engines.opening import RUNNERS, engines_for, open_engine
from lenext.errors import LenextError, UserError
from lenext.evaluation.choosing import columns_of
from lenext.progress import SILENT, Progress

CALIBRATING, JUDGING = 300, 1_000  # images at most
ROUNDS, CALLS = 10, 10  # of the comparison of speed
MAX_DROP = 2.0  # points of top-1


class TooWorseError(LenextError):
    """Eight bits cost more than was allowed."""


@dataclass(frozen=True)
class Labelled:
    """Images as they are given to the graph, each uint8 (1, H, W, C), and their classes."""

    pixels: list[NDArray[np.uint8]]
    labels: list[int]


@dataclass(frozen=True)
class Attempt:
    """One way that was tried: top-1 of the images judged by, in percent, and the share of multiply-adds in int8."""

    way: str
    top1: float
    macs: float


@dataclass(frozen=True)
class Int8:
    """What eight bits cost and brought.

    `top1` and `float_top1` are of `judged` images, none of which is among the `calibrated` ones. `classes` are those
    that lost an answer: name, images, right before, right after. `speed` is, of each engine, how many times as fast it
    runs the file as the one in float32, the median of alternating rounds; `size` its share of that one's bytes.
    """

    calibrated: int
    judged: int
    float_top1: float
    attempts: tuple[Attempt, ...]
    classes: tuple[tuple[str, int, int, int], ...]
    size: float
    speed: dict[str, float]

    @property
    def drop(self) -> float:
        """Points of top-1 that were lost by the way that was kept."""
        return self.float_top1 - self.attempts[-1].top1

    def to_json(self) -> dict[str, Any]:
        """Return the field `int8` of `lenext export --json`."""
        return {
            "calibrated": self.calibrated,
            "judged": self.judged,
            "float_top1": self.float_top1,
            "top1": self.attempts[-1].top1,
            "drop": self.drop,
            "macs_share": self.attempts[-1].macs,
            "size_share": self.size,
            "speed": self.speed,
            "attempts": [vars(each) for each in self.attempts],
            "classes": [
                {"label": name, "images": count, "right_before": before, "right_after": after}
                for name, count, before, after in self.classes
            ],
        }


def labelled_images(classifier: Classifier, file: ExportedFile, data: str | Path) -> tuple[Labelled, Labelled]:
    """Return images to calibrate by and others to judge by, as they are given to the file's graph.

    Those to judge by are of `test` or `val`, or were not trained on; where all were, or the data has no splits, they
    are a half that is drawn.

    Raises:
        UserError: data without labels or of other classes, or too few images.
    """
    source = open_source(data)
    columns = columns_of(source, classifier)
    pairs: dict[str, list[tuple[Any, int]]] = {
        name: list(zip(split.items, columns[split.labels].tolist(), strict=True))
        for name, split in source.splits.items()
    }
    judging = next((name for name in ("test", "val") if name in pairs and "train" in pairs), None)
    rng = np.random.default_rng(0)
    if judging:
        first, second = pairs["train"], pairs[judging]
    else:
        all_ = [pair for each in pairs.values() for pair in each]
        all_ = [all_[i] for i in rng.permutation(len(all_))[: 2 * (CALIBRATING + JUDGING)].tolist()]
        seen = np.isin([digest(file_content(item)) for item, _ in all_], classifier.trained_on)
        half = seen if 0 < seen.sum() < len(all_) else np.arange(len(all_)) < len(all_) // 2
        first = [pair for pair, kept in zip(all_, half, strict=True) if kept]
        second = [pair for pair, kept in zip(all_, half, strict=True) if not kept]
    chosen = [
        [part[i] for i in rng.permutation(len(part))[:most].tolist()]
        for part, most in ((first, CALIBRATING), (second, JUDGING))
    ]
    calibrating, judged = (_decoded(part, file) for part in chosen)
    if len(calibrating.labels) < 2 or not judged.labels:
        raise UserError(
            f"{data} has too few images to calibrate by some and to judge by others; give --check other data"
        )
    return calibrating, judged


def _decoded(pairs: Sequence[tuple[Any, int]], file: ExportedFile) -> Labelled:
    found = Labelled([], [])
    for item, label in pairs:
        try:
            found.pixels.append(decode(item, file.given)[None])
        except UnreadableImageError:
            continue
        found.labels.append(label)
    return found


def quantise_guarded(
    classifier: Classifier,
    file: ExportedFile,
    out: Path,
    calibrating: Labelled,
    judged: Labelled,
    *,
    max_drop: float,
    progress: Progress = SILENT,
) -> Int8:
    """Write the file to `out` in int8, all layers of it, or without those that cost most, and return what it cost.

    Raises:
        TooWorseError: it loses more than `max_drop` points of top-1 on the images to judge by in both ways, or no
            engine runs it faster.
    """
    names = [name for name in engines_for(file.format) if RUNNERS[name].installed]
    before = open_engine(file, names[-1], threads=available_cores())
    right = _right(before, judged, progress)
    attempts: list[Attempt] = []
    ways: tuple[tuple[str, float | None], ...] = (
        ("all layers", None),
        ("without the layers that cost most", max_drop / 100),
    )
    for way, most in ways:
        progress.note(f"quantising: {way}")
        share = quantise(file, out, calibrating.pixels, calibrating.labels, most=most)
        made = read_exported(out)
        found = _right(open_engine(made, names[-1], threads=available_cores()), judged, progress)
        attempts.append(Attempt(way, 100 * float(found.mean()), 100 * share))
        if 100 * int(right.sum() - found.sum()) <= max_drop * len(found):
            speed: dict[str, float] = {name: _speed(file, made, name, calibrating.pixels[0]) for name in names}
            return Int8(
                len(calibrating.labels), len(judged.labels), 100 * float(right.mean()), tuple(attempts),
                _lost(classifier, judged, right, found), _bytes(out) / _bytes(file.path), speed,
            )  # fmt: skip
    tried = "; ".join(f"{each.way} {each.top1:.1f} % with {each.macs:.0f} % of the work" for each in attempts)
    raise TooWorseError(
        f"in int8 more than {max_drop:g} points of top-1 are lost: {100 * right.mean():.1f} % in float32, {tried}; no "
        "file is left. Allow more by --max-drop, or give more images to calibrate by"
    )


def _right(engine: Engine, images: Labelled, progress: Progress) -> NDArray[np.bool_]:
    shown = progress.track(images.pixels, f"judging by {engine.name}", len(images.pixels), lambda _: 1)
    answers = [int(engine.answer(pixels)[0].argmax()) for pixels in shown]
    right: NDArray[np.bool_] = np.array(answers) == np.array(images.labels)
    return right


def _lost(
    classifier: Classifier, images: Labelled, before: NDArray[np.bool_], after: NDArray[np.bool_]
) -> tuple[tuple[str, int, int, int], ...]:
    """Return the classes that have fewer right answers than before, those that lost most first."""
    labels, names = np.array(images.labels), classifier.classes.distinct
    rows = [
        (names[each], int((labels == each).sum()), int(before[labels == each].sum()), int(after[labels == each].sum()))
        for each in np.unique(labels).tolist()
    ]
    return tuple(sorted((row for row in rows if row[3] < row[2]), key=lambda row: row[3] - row[2]))


def _speed(file: ExportedFile, made: ExportedFile, name: Any, pixels: NDArray[np.uint8]) -> float:
    """Return how many times as fast an engine runs one file as the other, the median of alternating rounds."""
    engines = [open_engine(each, name, threads=available_cores()) for each in (file, made)]
    ratios = []
    for _ in range(ROUNDS + 1):
        took = []
        for engine in engines:
            began = time.perf_counter()
            for _ in range(CALLS):
                engine.answer(pixels)
            took.append(time.perf_counter() - began)
        ratios.append(took[0] / took[1])
    return float(np.median(ratios[1:]))  # the first is for warming up


def _bytes(path: Path) -> int:
    return sum(each.stat().st_size for each in files_of(path))
