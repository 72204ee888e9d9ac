"""Decoding the images of a split on all cores, some at a time; unreadable ones are set aside with the reason."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from lenext.data.decode import LONGEST, ImageForm, UnreadableImageError, decode, file_content
from lenext.data.holdout import digest
from lenext.data.source import Split

if TYPE_CHECKING:
    from lenext.data.source import Item

T = TypeVar("T")

LARGEST_CHUNK = 256  # images a task
CHUNK_BYTES = 16 * 2**20  # decoded, a task
AHEAD_BYTES = 256 * 2**20  # decoded, that are handed out at once
TASKS = 8  # for each core, that are handed out at once at least
MANY = 4_000  # from here on decoding processes pay for their start; threads hold each other up on small images

# Whoever interrupts the reading knows that tasks were left undone.
warnings.filterwarnings("ignore", message=".*tasks .*(executed|processed)", module="joblib")


@dataclass
class Chunk:
    """What one task read: of the readable images `pixels`, one after the other, their `shapes` (N, 2) and `sums`.

    `reasons` has an entry for each image, "" where it could be read, and `contents` the digest of its file, 0 where
    that could not be opened.
    """

    pixels: NDArray[np.uint8] | None
    shapes: NDArray[np.int64]
    sums: NDArray[np.int64]
    contents: list[int]
    reasons: list[str]

    @property
    def digests(self) -> list[int]:
        """The digests of the readable images."""
        return [content for content, reason in zip(self.contents, self.reasons, strict=True) if not reason]

    @property
    def channels(self) -> int:
        """How many channels its images have."""
        return int(self.sums.shape[1])


def decoded_chunks(split: Split, form: ImageForm, *, keep: bool, workers: int) -> Iterator[Chunk]:
    """Yield every image of the split, in order, decoded on all cores; the pixels only where they are kept."""
    import joblib

    size = _chunk_size(len(split), form, workers)
    # joblib goes on whether or not what it has read is used, so that it gets some tasks at a time.
    ahead = max(TASKS * workers, AHEAD_BYTES // (size * bytes_needed(form)))
    for some in in_chunks(in_chunks(split.items, size), ahead):
        yield from joblib.Parallel(
            n_jobs=workers if len(split) > 1 else 1,
            backend="loky" if len(split) >= MANY else "threading",
            return_as="generator",
        )(joblib.delayed(_read_chunk)(chunk, form, keep) for chunk in some)


def in_chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield the items, so many at a time."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def _read_chunk(items: list[Item], form: ImageForm, keep: bool) -> Chunk:
    images: list[NDArray[np.uint8]] = []
    contents, reasons = [0] * len(items), [""] * len(items)
    for i, item in enumerate(items):
        try:
            data = file_content(item)
            contents[i] = digest(data)
            images.append(decode(data, form))
        except UnreadableImageError as error:
            reasons[i] = str(error)
    channels = max((image.shape[-1] for image in images), default=form.channels or 1)
    shapes = np.array([image.shape[:2] for image in images], np.int64).reshape(-1, 2)
    ends = np.cumsum(shapes.prod(1) * channels)
    packed = np.empty(int(ends[-1]) if len(ends) else 0, np.uint8)
    sums = np.empty((len(images), channels, 2), np.int64)
    for i, (image, end) in enumerate(zip(images, ends.tolist(), strict=True)):
        place = packed[end - image.shape[0] * image.shape[1] * channels : end].reshape(-1, channels)
        place[:] = image.reshape(-1, image.shape[-1])  # grey spreads over the channels
        sums[i, :, 0] = place.sum(0, dtype=np.int64)
        sums[i, :, 1] = np.einsum("pc,pc->c", place, place, dtype=np.int64, casting="safe")  # makes no wide copy
    return Chunk(packed if keep else None, shapes, sums, contents, reasons)


def _chunk_size(count: int, form: ImageForm, workers: int) -> int:
    """Return how many images a task takes: enough tasks for all cores, and none that holds much memory."""
    return max(1, min(-(-count // (TASKS * workers)), most_at_once(form)))


def most_at_once(form: ImageForm) -> int:
    """Return how many images of the form may be decoded before one of them is used."""
    return max(1, min(LARGEST_CHUNK, CHUNK_BYTES // bytes_needed(form)))


def bytes_needed(form: ImageForm) -> int:
    """Return how many bytes an image of the form has at most."""
    longest = LONGEST if form.fit == "whole" else 1.0
    return int(form.size[0] * form.size[1] * longest) * (form.channels or 3)
