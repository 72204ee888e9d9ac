"""Reading many images at once: all cores decode, unreadable ones are set aside, the rest is kept if it fits."""

from __future__ import annotations

import dataclasses
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import joblib
import numpy as np
import psutil
from numpy.typing import NDArray

from lenext.data.decode import ImageForm, UnreadableImageError, decode, file_content
from lenext.data.holdout import digest
from lenext.data.source import Split
from lenext.errors import LenextError
from lenext.progress import SILENT, Progress

if TYPE_CHECKING:
    from lenext.data.source import Item

LARGEST_CHUNK = 256  # images a task
CHUNK_BYTES = 64 * 2**20  # decoded, a task
MANY = 4_000  # from here on decoding processes pay for their start; threads hold each other up on small images
MEMORY_SHARE = 0.5  # of the free memory, for decoded images

# Whoever interrupts the reading knows that tasks were left undone.
warnings.filterwarnings("ignore", message=".*tasks .*(executed|processed)", module="joblib")


class Images(Protocol):
    """Decoded images by index: kept in memory, or decoded when they are asked for."""

    channels: int

    def __len__(self) -> int: ...

    def batch(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return the images at `indices` as uint8 (N, H, W, C)."""
        ...


class ImagesInMemory:
    """All images as one uint8 array, (N, H, W, C)."""

    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        self.pixels = pixels
        self.channels = pixels.shape[-1]

    def __len__(self) -> int:
        return len(self.pixels)

    def batch(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return the images at `indices` as uint8 (N, H, W, C)."""
        return self.pixels[indices]


class ImagesOnDisk:
    """Images decoded anew, on all cores, each time they are asked for; for sets larger than the memory."""

    def __init__(self, split: Split, form: ImageForm, workers: int) -> None:
        assert form.channels is not None
        self.split, self.form, self.channels, self.workers = split, form, form.channels, workers
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="decode")

    def __len__(self) -> int:
        return len(self.split)

    def batch(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return the images at `indices` as uint8 (N, H, W, C).

        Raises:
            LenextError: an image that could be read before no longer can.
        """
        return np.stack(list(self._pool.map(self._decode, indices.tolist())))

    def _decode(self, index: int) -> NDArray[np.uint8]:
        try:
            return decode(self.split.items[index], self.form)
        except UnreadableImageError as error:
            raise LenextError(f"{self.split.names[index]} can no longer be read: {error}") from error


@dataclass(frozen=True)
class Reading:
    """What came of reading a split: the images that could be read, in order, and the others with the reason.

    `split` holds only the readable ones. `sums[i]` holds for image i the sum and the sum of squares of each
    channel's pixels, (C, 2), as integers. `skipped` pairs a name with a reason.
    """

    images: Images
    split: Split
    digests: NDArray[np.uint64]
    sums: NDArray[np.int64]
    skipped: list[tuple[str, str]]

    @property
    def labels(self) -> NDArray[np.int64]:
        """The class of each image that could be read."""
        return self.split.labels

    def take(self, indices: NDArray[np.int64]) -> Reading:
        """Return the images at `indices`, in that order; what was skipped stays with the whole."""
        images, split = self.images, self.split.take(indices)
        if isinstance(images, ImagesOnDisk):
            part: Images = ImagesOnDisk(split, images.form, images.workers)
        else:
            part = ImagesInMemory(images.batch(indices))
        return Reading(part, split, self.digests[indices], self.sums[indices], [])


def read_split(
    split: Split, form: ImageForm, *, what: str, workers: int | None = None, progress: Progress = SILENT
) -> Reading:
    """Read every image of a split, on all cores, and keep the pixels in memory where they fit.

    Where the form leaves the channels open, they are 1 when every image is grey, else 3.
    """
    workers = workers or available_cores()
    keep = _bytes_needed(len(split), form) <= MEMORY_SHARE * psutil.virtual_memory().available
    size = _chunk_size(len(split), form, workers)
    chunks = ([split.items[i] for i in range(k, min(k + size, len(split)))] for k in range(0, len(split), size))
    decoded = joblib.Parallel(
        n_jobs=workers if len(split) > 1 else 1,
        backend="loky" if len(split) >= MANY else "threading",
        return_as="generator",
    )(joblib.delayed(_read_chunk)(chunk, form, keep) for chunk in chunks)
    kept = _Kept(len(split), form) if keep else None
    done: list[_Chunk] = []
    for chunk in progress.track(decoded, what, len(split), lambda chunk: len(chunk.reasons)):
        if kept is not None:
            kept.add(chunk.pixels)
        chunk.pixels = None
        done.append(chunk)
    return _assemble(split, form, kept, done, workers)


def available_cores() -> int:
    """Return how many cores this process may use."""
    return joblib.cpu_count()  # type: ignore[no-any-return]


@dataclass
class _Chunk:
    """What one task read: `pixels` and `sums` of the readable images, and a reason ("" where readable) for each."""

    pixels: NDArray[np.uint8] | None
    sums: NDArray[np.int64]
    digests: list[int]
    reasons: list[str]


class _Kept:
    """Pixels that arrive chunk by chunk, grey until the first chunk in colour."""

    def __init__(self, count: int, form: ImageForm) -> None:
        self._pixels = np.empty((count, *form.size, form.channels or 1), np.uint8)
        self._filled = 0

    def add(self, pixels: NDArray[np.uint8] | None) -> None:
        assert pixels is not None
        channels = max(pixels.shape[-1], self._pixels.shape[-1]) if len(pixels) else self._pixels.shape[-1]
        if channels > self._pixels.shape[-1]:
            wider = np.empty((*self._pixels.shape[:-1], channels), np.uint8)
            wider[: self._filled] = self._pixels[: self._filled]
            self._pixels = wider
        self._pixels[self._filled : self._filled + len(pixels)] = pixels  # grey spreads over the channels
        self._filled += len(pixels)

    def images(self) -> ImagesInMemory:
        return ImagesInMemory(self._pixels[: self._filled])


def _bytes_needed(count: int, form: ImageForm) -> int:
    return count * form.size[0] * form.size[1] * (form.channels or 3)


def _chunk_size(count: int, form: ImageForm, workers: int) -> int:
    """Return how many images a task takes: enough tasks for all cores, and none that holds much memory."""
    even = -(-count // (8 * workers))
    return max(1, min(even, LARGEST_CHUNK, CHUNK_BYTES // _bytes_needed(1, form)))


def _read_chunk(items: list[Item], form: ImageForm, keep: bool) -> _Chunk:
    pixels: list[NDArray[np.uint8]] = []
    digests, reasons = [], []
    for item in items:
        try:
            data = file_content(item)
            pixels.append(decode(data, form))
        except UnreadableImageError as error:
            reasons.append(str(error))
        else:
            reasons.append("")
            digests.append(digest(data))
    channels = max((image.shape[-1] for image in pixels), default=form.channels or 1)
    stacked = np.empty((len(pixels), *form.size, channels), np.uint8)
    for i, image in enumerate(pixels):
        stacked[i] = image
    totals = stacked.sum((1, 2), dtype=np.int64)
    squares = np.einsum("nhwc,nhwc->nc", stacked, stacked, dtype=np.int64, casting="safe")  # makes no wide copy
    sums = np.stack([totals, squares], -1)  # (N, C, 2)
    return _Chunk(stacked if keep else None, sums, digests, reasons)


def _assemble(split: Split, form: ImageForm, kept: _Kept | None, done: list[_Chunk], workers: int) -> Reading:
    reasons = [reason for chunk in done for reason in chunk.reasons]
    skipped = [(split.names[i], reason) for i, reason in enumerate(reasons) if reason]
    if skipped:
        split = split.take(np.flatnonzero([not reason for reason in reasons]))
    channels = max((chunk.sums.shape[1] for chunk in done if len(chunk.sums)), default=form.channels or 1)
    sums = [np.broadcast_to(chunk.sums, (len(chunk.sums), channels, 2)) for chunk in done]
    images: Images
    if kept is not None:
        images = kept.images()
    else:
        images = ImagesOnDisk(split, dataclasses.replace(form, channels=channels), workers)
    return Reading(
        images,
        split,
        np.array([value for chunk in done for value in chunk.digests], np.uint64),
        np.concatenate(sums) if sums else np.empty((0, channels, 2), np.int64),
        skipped,
    )
