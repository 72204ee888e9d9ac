"""Reading a split through the cache: decoded once, by whichever run comes first."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lenext.data.cache import Cache, Tables, cache_key
from lenext.data.chunks import LARGEST_CHUNK, Chunk, decoded_chunks, in_chunks
from lenext.data.decode import ImageForm, UnreadableImageError, decode, file_content
from lenext.data.holdout import digest
from lenext.data.images import CachedImages
from lenext.data.keeping import kept_in_file
from lenext.data.source import Split
from lenext.errors import LenextError
from lenext.progress import Progress

if TYPE_CHECKING:
    from lenext.data.source import Item


def cached_images(
    split: Split, form: ImageForm, *, what: str, workers: int, progress: Progress, make: bool = True
) -> tuple[CachedImages, Tables] | None:
    """Return the readable images of the split, mapped from the cache, where they are put first if `make` says so.

    Raises:
        LenextError: the cache cannot be written to, or an image changed while it was read.
    """
    digests = digests_of(split, workers, progress)
    cache = Cache(cache_key(digests, form), progress)
    with cache.locked():
        tables = cache.read(len(split))
        if tables is None and not make:
            return None
        if tables is None:
            chunks = _as_before(decoded_chunks(split, form, keep=True, workers=workers), digests, split)
            shown = progress.track(chunks, what, len(split), lambda chunk: len(chunk.reasons))
            tables = cache.write(lambda path: kept_in_file(shown, form, path))
        return cache.images(tables, _repair(split, form, tables)), tables


def _as_before(chunks: Iterable[Chunk], digests: NDArray[np.uint64], split: Split) -> Iterator[Chunk]:
    """Yield the chunks; each image has the digest that the cache is called by."""
    place = 0
    for chunk in chunks:
        for content in chunk.contents:
            if content != digests[place]:
                raise LenextError(f"{split.names[place]} changed while it was read; start again")
            place += 1
        yield chunk


def _repair(split: Split, form: ImageForm, tables: Tables) -> Callable[[int], NDArray[np.uint8]]:
    """Return what decodes a readable image of the split anew."""
    readable, _ = split.readable(tables.reasons)
    exact = dataclasses.replace(form, channels=tables.channels)

    def repair(row: int) -> NDArray[np.uint8]:
        try:
            data = file_content(readable.items[row])
            if digest(data) == tables.digests[row]:
                return decode(data, exact)
            reason = "it has changed since; start again"
        except UnreadableImageError as error:
            reason = str(error)
        raise LenextError(f"{readable.names[row]} can no longer be read: {reason}")

    return repair


def digests_of(
    split: Split, workers: int, progress: Progress, *, what: str = "looking for the cache"
) -> NDArray[np.uint64]:
    """Return the digest of each file, 0 of one that cannot be opened."""
    with ThreadPoolExecutor(workers) as pool:
        chunks = in_chunks(split.items, LARGEST_CHUNK)
        found = (value for chunk in chunks for value in pool.map(_digest, chunk))
        return np.array(list(progress.track(found, what, len(split), lambda _: 1)), np.uint64)


def _digest(item: Item) -> int:
    try:
        return digest(file_content(item))
    except UnreadableImageError:
        return 0
