"""Reading a split through the cache: decoded once, by whichever run comes first."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from lenext.data.cache import Cache, Tables, cache_key
from lenext.data.chunks import decoded_chunks
from lenext.data.decode import ImageForm, UnreadableImageError, decode, file_content
from lenext.data.holdout import digest
from lenext.data.images import CachedImages
from lenext.data.keeping import kept_in_file
from lenext.data.source import Split
from lenext.errors import LenextError
from lenext.progress import Progress


def cached_images(
    split: Split, form: ImageForm, *, what: str, workers: int, progress: Progress
) -> tuple[CachedImages, Tables]:
    """Return the readable images of the split, mapped from the cache, where they are put first if need be.

    Raises:
        LenextError: the cache cannot be written to.
    """
    cache = Cache(cache_key(_digests(split, workers, progress), form), progress)
    with cache.locked():
        tables = cache.read()
        if tables is None:
            chunks = decoded_chunks(split, form, keep=True, workers=workers)
            shown = progress.track(chunks, what, len(split), lambda chunk: len(chunk.reasons))
            tables = cache.write(lambda path: kept_in_file(shown, form, path))
    readable, _ = split.readable(tables.reasons)
    exact = dataclasses.replace(form, channels=tables.channels)

    def repair(row: int) -> NDArray[np.uint8]:
        try:
            return decode(readable.items[row], exact)
        except UnreadableImageError as error:
            raise LenextError(f"{readable.names[row]} can no longer be read: {error}") from error

    return cache.images(tables, repair), tables


def _digests(split: Split, workers: int, progress: Progress) -> NDArray[np.uint64]:
    """Return the digest of each file, 0 of one that cannot be opened."""

    def of(index: int) -> int:
        try:
            return digest(file_content(split.items[index]))
        except UnreadableImageError:
            return 0

    with ThreadPoolExecutor(workers) as pool:
        found = progress.track(pool.map(of, range(len(split))), "looking for the cache", len(split), lambda _: 1)
        return np.array(list(found), np.uint64)
