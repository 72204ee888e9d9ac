"""The proof: an exported file against the classifier it is from, on real images, in every engine that is to run it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from lenext.classifier import Classifier
from lenext.data.cores import available_cores
from lenext.data.decode import UnreadableImageError, decode, open_image
from lenext.engines.engine import Engine, EngineName
from lenext.engines.exported import ExportedFile
from lenext.engines.opening import RUNNERS, engines_for, open_engine
from lenext.errors import LenextError
from lenext.progress import SILENT, Progress

MARGIN = 0.01  # between the two largest probabilities, above which the first class must be the same
GAP = 5e-3  # by which a probability may differ
BATCHES = (1, 7)
IMAGES = 200


class NotProvedError(LenextError):
    """A file that does not answer as the classifier does."""


@dataclass(frozen=True)
class Proof:
    """How an engine answered: `agreement` is the share of images with the same first class, in percent.

    `largest_gap` is the largest difference of a probability. Images whose first two classes are closer than `MARGIN`
    may change places.
    """

    engine: EngineName
    images: int
    agreement: float
    largest_gap: float
    unlike: int

    def to_json(self) -> dict[str, Any]:
        """Return the fields of `lenext export --json` for one engine."""
        return {
            "engine": self.engine,
            "images": self.images,
            "agreement": self.agreement,
            "largest_gap": self.largest_gap,
        }


def prove(
    classifier: Classifier, file: ExportedFile, items: Sequence[Any], *, progress: Progress = SILENT
) -> list[Proof]:
    """Return a proof for each installed engine that runs the file.

    Every image is asked about as the file will be: whole, where the preprocessing is inside, and as the folder command
    gives it, in batches of one and of seven.

    Raises:
        NotProvedError: an answer that differs by more than rounding can explain.
    """
    names = [name for name in engines_for(file.format) if RUNNERS[name].installed]
    if not names:
        raise LenextError(f"no engine here runs {file.format} files, so that nothing can be proved")
    expected = _expected(classifier, items, progress)
    proofs = []
    for name in names:
        engine = open_engine(file, name, threads=available_cores())
        proofs.append(compare(engine, file, items, expected, progress))
    return proofs


def compare(
    engine: Engine, file: ExportedFile, items: Sequence[Any], expected: NDArray[np.float32], progress: Progress
) -> Proof:
    """Return how an engine's probabilities, (N, classes), compare with those expected.

    Raises:
        NotProvedError: they differ by more than rounding can explain.
    """
    ways = [_given(engine, file, items, batch, progress) for batch in BATCHES]
    if file.inside and RUNNERS[engine.name].resizes == file.format:
        ways.append(_whole(engine, file, items, progress))
    return compared(engine.name, ways, expected)


def compared(name: EngineName, ways: Sequence[NDArray[np.float32]], expected: NDArray[np.float32]) -> Proof:
    """Return how the probabilities of an engine, (N, classes) each way it was asked, compare with those expected.

    Raises:
        NotProvedError: they differ by more than rounding can explain.
    """
    order = np.sort(expected, axis=1)
    clear = order[:, -1] - order[:, -2] > MARGIN if expected.shape[1] > 1 else np.ones(len(expected), bool)
    gap = max(float(np.abs(found - expected).max()) for found in ways)
    same = np.all([found.argmax(1) == expected.argmax(1) for found in ways], axis=0)
    unlike = int((~same & clear).sum())
    proof = Proof(name, len(expected), 100 * float(same.mean()), gap, unlike)
    if unlike or not gap <= GAP:
        raise NotProvedError(
            f"{name} does not answer as the classifier does: of {len(expected)} images {unlike} have another first "
            f"class, and the largest probability gap is {gap:.2g}, above {GAP:g}; no file is left"
        )
    return proof


def _expected(classifier: Classifier, items: Sequence[Any], progress: Progress) -> NDArray[np.float32]:
    """Return the classifier's own probabilities, by its own pipeline."""
    found = []
    with torch.inference_mode():
        for item in progress.track(items, "asking the classifier", len(items), lambda _: 1):
            found.append(classifier.probabilities(decode(item, classifier.preprocessing.form)[None]))
    return np.concatenate(found)


def _given(
    engine: Engine, file: ExportedFile, items: Sequence[Any], batch: int, progress: Progress
) -> NDArray[np.float32]:
    found = []
    starts = range(0, len(items), batch)
    for start in progress.track(starts, f"{engine.name}, {batch} at once", len(items), lambda _: batch):
        found.append(engine.answer(np.stack([decode(item, file.given) for item in items[start : start + batch]])))
    return np.concatenate(found)


def _whole(engine: Engine, file: ExportedFile, items: Sequence[Any], progress: Progress) -> NDArray[np.float32]:
    found = []
    for item in progress.track(items, f"{engine.name}, whole images", len(items), lambda _: 1):
        found.append(engine.answer(np.asarray(open_image(item, 3))[None]))
    return np.concatenate(found)


def readable(items: Sequence[Any]) -> list[Any]:
    """Return those of the items that are images."""
    kept = []
    for item in items:
        try:
            open_image(item)
        except UnreadableImageError:
            continue
        kept.append(item)
    return kept
