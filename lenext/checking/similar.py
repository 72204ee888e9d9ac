"""Whether two images are copies of each other: one is brought onto the other, and what they show is held together.

Hashes say which images may be alike. Of these the small grey pictures are aligned, as Lucas and Kanade aligned images
in 1981 (https://www.ri.cmu.edu/pub_files/pub3/lucas_bruce_d_1981_2/lucas_bruce_d_1981_2.pdf), by the four edges of the
window that a crop is. Copies agree in middle frequencies; different images of like composition agree in low ones alone.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lenext.checking.hashing import SIDE, VIEWS, alike, resampling, view_hashes
from lenext.checking.threads import hurried
from lenext.progress import SILENT, Progress

MIDDLE, FINE = (4, 12), (6, 16)  # frequencies: half waves across the picture, from and to
# Correlations in these of copies: of 519 photos and 10,000 images of CIFAR-10, resized, compressed and cropped, all had
# more; of the pairs of CIFAR-10's training images that have more, all but a few are copies (docs/LOG.md).
ALIKE, FINELY = 0.945, 0.915
NEARLY = 0.85  # of pairs that are alike but no copies, of which there are few where copies can be told
SAMPLE, MANY = 1000, 50  # images by which that is known, and pairs that are many
PROMISING = (0.5, 0.65, 0.75)  # what it takes to be aligned at all, and to go on after each step
NEAREST = 2  # views, by their hashes, in which two images are aligned
STEPS = 4
FARTHEST = 0.03  # of a side that an edge moves in a step
LEAST = 2.0  # grey levels of middle frequencies, below which there is nothing to compare
STRIP, BATCH = 256, 1024  # images a task, and pairs that are aligned at once


@dataclass(frozen=True)
class Pair:
    """Two images that are alike: `likeness` and `fine` from 0 to 1, and how `b` is to be looked at to be as `a` is."""

    a: int
    b: int
    likeness: float
    fine: float
    view: int

    @property
    def is_copy(self) -> bool:
        """Whether they are alike enough."""
        return self.likeness >= ALIKE and self.fine >= FINELY

    @property
    def how(self) -> str:
        """What was done to one of them, in words, as far as it is known."""
        view = VIEWS[self.view]
        if view.mirrored:
            return "mirrored"
        return f"turned by {90 * view.quarters} degrees" if view.quarters else ""


def near_copies(greys: NDArray[np.uint8], *, workers: int = 1, progress: Progress = SILENT) -> list[Pair]:
    """Return the pairs of small grey pictures (N, SIDE, SIDE) that are copies, each pair once.

    Found are copies that were resized, compressed, or cropped by some twentieth of a side at any edges, and whole ones
    that were mirrored or turned by quarters.

    Raises:
        TooAlikeError: images differ so little, as those of a handwritten digit do, that copies cannot be told.
    """
    if len(greys) > SAMPLE:  # before hours are spent
        some = np.random.default_rng(0).permutation(len(greys))[:SAMPLE]
        _copies_among(_compared(greys[some], workers, SILENT))
    return _copies_among(_compared(greys, workers, progress))


class TooAlikeError(Exception):
    """Images of which copies cannot be told."""


def _copies_among(pairs: list[Pair]) -> list[Pair]:
    """Return the copies among pairs, which stand apart from those that are alike but no copies."""
    copies = [pair for pair in pairs if pair.is_copy]
    others = [pair for pair in pairs if not pair.is_copy]
    images = {image for pair in others for image in (pair.a, pair.b)}
    # A copy of poor quality is alike to one image; a digit to many.
    if len(others) >= MANY and len(others) > max(2 * len(copies), len(images)):
        raise TooAlikeError
    return copies


def _compared(greys: NDArray[np.uint8], workers: int, progress: Progress) -> list[Pair]:
    by_view = np.ascontiguousarray(view_hashes(greys).T)
    best: dict[tuple[int, int], Pair] = {}
    with hurried(ThreadPoolExecutor(workers, thread_name_prefix="comparing")) as pool:
        strips = pool.map(lambda start: _strip(greys, by_view, start), range(0, len(greys), STRIP))
        for found in progress.track(strips, "comparing images", len(greys), lambda _: STRIP):
            for pair in found:
                key = (min(pair.a, pair.b), max(pair.a, pair.b))
                if key not in best or pair.likeness > best[key].likeness:
                    best[key] = pair
    return [best[key] for key in sorted(best)]


def _strip(greys: NDArray[np.uint8], by_view: NDArray[np.uint64], start: int) -> list[Pair]:
    """Return the copies of `STRIP` images, some twice, as `a` is part of `b` and the other way round."""
    pairs = alike(by_view, start, min(start + STRIP, len(greys)))
    pairs = np.concatenate([pairs, pairs[pairs[:, 2] == 0][:, [1, 0, 2, 3]]])  # either may be a part of the other
    pairs = pairs[np.lexsort((pairs[:, 3], pairs[:, 1], pairs[:, 0]))]
    first = np.append(True, (np.diff(pairs[:, :2], axis=0) != 0).any(1))[: len(pairs)]
    place = np.arange(len(pairs)) - np.maximum.accumulate(np.where(first, np.arange(len(pairs)), 0))
    pairs = pairs[place < NEAREST, :3]
    found = []
    for some in np.array_split(pairs, -(-len(pairs) // BATCH) or 1):
        scores = likeness(greys, some)
        alike_at_all = scores[:, 0] > 0
        for (i, j, view), score in zip(some[alike_at_all].tolist(), scores[alike_at_all].tolist(), strict=True):
            found.append(Pair(i, j, score[0], score[1], view))
    return found


def likeness(greys: NDArray[np.uint8], pairs: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return how alike each of the pairs (n, 3) is in middle and in fine frequencies, (n, 2), 0 where they are not.

    Image i as a whole is held to image j in view k, aligned.
    """
    found = np.zeros(len(pairs), np.float32)
    a, b = (greys[pairs[:, column]].astype(np.float32) for column in (0, 1))
    for view in np.unique(pairs[:, 2]).tolist():
        of_view = pairs[:, 2] == view
        b[of_view] = VIEWS[view].of(b[of_view])
    edges = np.array([view.window for view in VIEWS], np.float32)[pairs[:, 2]]
    target = _coefficients(a)
    finest, left = np.zeros(len(pairs), np.float32), np.arange(len(pairs), dtype=np.int64)
    for step in range(STEPS + 1):
        window = _cut(b, edges)
        coefficients = _coefficients(window)
        score = _correlation(target, coefficients, MIDDLE)
        better = score > found[left]
        found[left[better]] = score[better]
        finest[left[better]] = _correlation(target[better], coefficients[better], FINE)
        going_on = score >= PROMISING[min(step, len(PROMISING) - 1)]
        left, edges = left[going_on], edges[going_on]
        a, b, target, window = (each[going_on] for each in (a, b, target, window))
        if step == STEPS or not len(left):
            break
        edges = _moved(a, window, edges)
    found[found < NEARLY] = 0
    return np.stack([found, finest], 1)


def _cut(pictures: NDArray[np.float32], edges: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the windows (top, left, bottom, right) of pictures, at the size of these."""
    rows, columns = resampling(edges[:, 0], edges[:, 2]), resampling(edges[:, 1], edges[:, 3])
    return (rows @ pictures @ columns.transpose(0, 2, 1)).astype(np.float32, copy=False)


@cache
def _waves() -> NDArray[np.float32]:
    from scipy.fft import dct

    return dct(np.eye(SIDE), axis=0, norm="ortho")[: FINE[1]].astype(np.float32)  # type: ignore[no-any-return]


@cache
def _frequency() -> NDArray[np.float32]:
    down, right = np.mgrid[: FINE[1], : FINE[1]]
    return np.hypot(down, right).astype(np.float32)  # type: ignore[no-any-return]


def _coefficients(pictures: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the frequencies of pictures, each times itself, by which natural images have as much of all."""
    return (_waves() @ pictures @ _waves().T * _frequency()).astype(np.float32, copy=False)


def _correlation(a: NDArray[np.float32], b: NDArray[np.float32], band: tuple[int, int]) -> NDArray[np.float32]:
    """Return the correlation of coefficients in a band, 0 where there is next to nothing in it."""
    frequency = _frequency()
    within = (frequency >= band[0]) & (frequency < band[1])
    a, b = a[:, within], b[:, within]
    lengths = np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1)
    least = LEAST * SIDE * frequency[within].min()
    products: NDArray[np.float32] = np.einsum("nc,nc->n", a, b) / np.maximum(lengths[0] * lengths[1], 1e-9)
    return np.where(np.minimum(*lengths) < least, 0, products) if band == MIDDLE else products


def _moved(a: NDArray[np.float32], window: NDArray[np.float32], edges: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the edges one step on, towards where the window is as `a` is."""
    window, a = _normalised(window), _normalised(a)
    down, right = np.gradient(window, axis=(1, 2))
    share = ((np.arange(SIDE) + 0.5) / SIDE).astype(np.float32)
    # An edge that moves by a share of the side moves pixels near it by so many pixels, and those at the other by none.
    down = down * (SIDE / (edges[:, 2] - edges[:, 0]))[:, None, None]
    right = right * (SIDE / (edges[:, 3] - edges[:, 1]))[:, None, None]
    slopes: NDArray[Any] = np.stack(
        [down * (1 - share)[:, None], right * (1 - share), down * share[:, None], right * share], 1
    ).reshape(len(a), 4, -1)
    slopes -= slopes.mean(-1, keepdims=True)
    squares = slopes @ slopes.transpose(0, 2, 1)
    squares += np.eye(4, dtype=np.float32) * (2.5e-4 * np.trace(squares, axis1=1, axis2=2) + 1e-9)[:, None, None]
    steps = np.linalg.solve(squares, slopes @ (a - window).reshape(len(a), -1, 1))[..., 0]
    moved: NDArray[np.float32] = edges + steps.clip(-FARTHEST, FARTHEST)
    moved[:, :2] = moved[:, :2].clip(-0.02, 0.15)
    moved[:, 2:] = moved[:, 2:].clip(0.85, 1.02)
    return moved


def _normalised(pictures: NDArray[np.float32]) -> NDArray[np.float32]:
    pictures = pictures - pictures.mean((1, 2), keepdims=True)
    return pictures / np.maximum(np.linalg.norm(pictures, axis=(1, 2), keepdims=True), 1e-6)  # type: ignore[no-any-return]
