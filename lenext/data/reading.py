"""Reading many images at once: all cores decode, unreadable ones are set aside, the rest is kept where it fits."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import psutil
from numpy.typing import NDArray

from lenext.data.cache import cache_folder
from lenext.data.caching import cached_images
from lenext.data.chunks import Chunk, bytes_needed, decoded_chunks
from lenext.data.cores import available_cores
from lenext.data.decode import ImageForm
from lenext.data.images import Images, ImagesOnDisk
from lenext.data.keeping import kept_in_memory
from lenext.data.source import Split
from lenext.launch import local_processes
from lenext.progress import SILENT, Progress

MEMORY_SHARE = 0.5  # of the free memory, for decoded images
DISK_SHARE = 0.5  # of the free disk, likewise

# Where Linux tells a container's limit, what it uses, and how much of that are copies of files; in either version.
CONTROLS = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "total_inactive_file"),
)

Loading = Literal["auto", "memory", "cache", "workers"]
LOADINGS: tuple[Loading, ...] = ("auto", "memory", "cache", "workers")


@dataclass(frozen=True)
class Reading:
    """What came of reading a split: the images that could be read, in order, and the others with the reason.

    `split` holds only the readable ones. `sums[i]` holds for image i the sum and the sum of squares of each
    channel's pixels, (C, 2), as integers, and `areas[i]` how many pixels these are. `skipped` pairs a name with a
    reason.
    """

    images: Images
    split: Split
    digests: NDArray[np.uint64]
    sums: NDArray[np.int64]
    areas: NDArray[np.int64]
    skipped: list[tuple[str, str]]

    @property
    def labels(self) -> NDArray[np.int64]:
        """The class of each image that could be read."""
        return self.split.labels

    def take(self, indices: NDArray[np.int64]) -> Reading:
        """Return the images at `indices`, in that order; what was skipped stays with the whole."""
        split = self.split.take(indices)
        images = self.images.take(split, indices)
        return Reading(images, split, self.digests[indices], self.sums[indices], self.areas[indices], [])


def read_split(
    split: Split,
    form: ImageForm,
    *,
    what: str,
    loading: Loading | Literal["once"] = "once",
    workers: int | None = None,
    progress: Progress = SILENT,
) -> Reading:
    """Read every image of a split, on all cores, and keep the pixels in memory or in the cache where they fit.

    `loading` says where: `memory`, `cache` (on disk, where later runs find them), or nowhere (`workers`), and they are
    decoded again whenever they are asked for; `auto` takes the first of these that has room, `once` does not cache.
    Where the form leaves the channels open, they are 1 when every image is grey, else 3.
    """
    workers = workers or available_cores()
    way = choose_loading(loading, len(split), form)
    # Images that were put on disk before are found there, though there may be no room for more.
    if way == "cache" or (loading == "auto" and way == "workers" and os.access(cache_folder(), os.W_OK)):
        make = way == "cache"
        found = cached_images(split, form, what=what, workers=workers, progress=progress, make=make)
        if found is not None:
            cached, tables = found
            readable, skipped = split.readable(tables.reasons)
            return Reading(cached, readable, tables.digests, tables.sums, tables.shapes.prod(1), skipped)
    chunks = decoded_chunks(split, form, keep=way == "memory", workers=workers)
    shown = progress.track(chunks, what, len(split), lambda chunk: len(chunk.reasons))
    if way == "memory":
        done, images = kept_in_memory(shown, len(split), form)
    else:
        done, images = list(shown), None
    return _assemble(split, form, images, done, workers)


def choose_loading(asked: Loading | Literal["once"], count: int, form: ImageForm) -> Loading:
    """Return where so many images of a form are kept."""
    if asked not in ("auto", "once"):
        return asked  # type: ignore[return-value]
    if local_processes() * count * bytes_needed(form) <= MEMORY_SHARE * free_memory():
        return "memory"
    if asked == "auto" and count * bytes_needed(form) <= DISK_SHARE * _free_disk():
        return "cache"
    return "workers"


def free_memory(controls: Path = Path("/sys/fs/cgroup")) -> int:
    """Return how many bytes this process may still take: what the machine has, or what its container leaves it."""
    free: int = psutil.virtual_memory().available
    for limit, usage, files in CONTROLS:
        with contextlib.suppress(OSError, ValueError, KeyError):  # no container, or none with a limit
            most, used = (int((controls / name).read_text()) for name in (limit, usage))
            lines = (controls / limit).with_name("memory.stat").read_text().splitlines()
            given_back = int(dict(line.split() for line in lines)[files])  # copies of files, when memory is short
            free = min(free, max(0, most - used + given_back))
    return free


def _free_disk() -> int:
    folder = cache_folder()
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _assemble(split: Split, form: ImageForm, images: Images | None, done: list[Chunk], workers: int) -> Reading:
    reasons = [reason for chunk in done for reason in chunk.reasons]
    channels = max((chunk.channels for chunk in done if len(chunk.sums)), default=form.channels or 1)
    sums = [np.broadcast_to(chunk.sums, (len(chunk.sums), channels, 2)) for chunk in done]
    shapes = [chunk.shapes for chunk in done]
    readable, skipped = split.readable(reasons)
    if images is None:
        images = ImagesOnDisk(readable, dataclasses.replace(form, channels=channels), workers)
    return Reading(
        images,
        readable,
        np.array([value for chunk in done for value in chunk.digests], np.uint64),
        np.concatenate(sums) if sums else np.empty((0, channels, 2), np.int64),
        np.concatenate(shapes).prod(1) if shapes else np.empty(0, np.int64),
        skipped,
    )
