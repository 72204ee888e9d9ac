"""Decoded images on disk: made once, mapped into memory by every later run, and held against checksums."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import filelock
import numpy as np
from numpy.typing import NDArray

from lenext.data.decode import ImageForm
from lenext.data.images import CachedImages
from lenext.errors import LenextError, one_line
from lenext.files import parse_stamped, stamped, to_json, user_cache, write_text
from lenext.progress import Progress

PIXELS, INDEX, TABLES = "pixels.bin", "index.json", "tables.npz"
KEY = re.compile(r"[0-9a-f]{32}")
LAYOUT = 2  # of the files here; images of another are made anew


def cache_folder() -> Path:
    """Return the folder of decoded images: `LENEXT_CACHE`, or `~/.cache/lenext/images`."""
    given = os.environ.get("LENEXT_CACHE")
    return Path(given) if given else user_cache() / "images"


def cache_key(digests: NDArray[np.uint64], form: ImageForm) -> str:
    """Return the name of the images with these digests, in this order, brought to this form."""
    text = json.dumps([LAYOUT, asdict(form)], sort_keys=True)
    return hashlib.blake2b(text.encode() + digests.tobytes(), digest_size=16).hexdigest()


@dataclass(frozen=True)
class Tables:
    """What is known of the images of a cache: `reasons[i]` is "" where image i of the split could be read.

    The other tables have a row for each readable image: height and width, checksum, digest, and the sums of
    `lenext.data.reading.Reading`.
    """

    shapes: NDArray[np.int64]
    checksums: NDArray[np.uint32]
    digests: NDArray[np.uint64]
    sums: NDArray[np.int64]
    reasons: list[str]

    @property
    def channels(self) -> int:
        """How many channels each image has."""
        return int(self.sums.shape[1])

    @property
    def starts(self) -> NDArray[np.int64]:
        """The byte that each image begins at, and the end of the last one, (N + 1,)."""
        return np.concatenate([[0], np.cumsum(self.shapes.prod(1) * self.channels)]).astype(np.int64)


class Cache:
    """The decoded images of one split in one form."""

    def __init__(self, key: str, progress: Progress) -> None:
        self.folder, self.progress = cache_folder() / key, progress

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other runs from making the same images; wait where one does already."""
        with self._explained():
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            lock = filelock.FileLock(f"{self.folder}.lock")
            try:
                lock.acquire(timeout=0)
            except filelock.Timeout:
                self.progress.note("another run is decoding the same images: waiting for it")
                lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def read(self, images: int) -> Tables | None:
        """Return the tables of so many images that were made before, or None where they are not, or not whole."""
        try:
            where = str(self.folder / INDEX)
            said = parse_stamped((self.folder / INDEX).read_text(encoding="utf-8"), where)
            tables = (self.folder / TABLES).read_bytes()
            if said["layout"] != LAYOUT or said["tables"] != _digest(tables):
                return None
            with np.load(io.BytesIO(tables), allow_pickle=False) as found:
                made = Tables(found["shapes"], found["checksums"], found["digests"], found["sums"], said["reasons"])
            size = (self.folder / PIXELS).stat().st_size
            whole = len(made.reasons) == images and made.reasons.count("") == len(made.shapes)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        return made if whole and size == made.starts[-1] else None

    def write(self, fill: Callable[[Path], Tables]) -> Tables:
        """Let `fill` write the pixels to the file that it is given, and keep them with the tables that it returns.

        Raises:
            LenextError: the disk is full, or cannot be written to.
        """
        beside = self.folder.with_name(f".{self.folder.name}")
        try:
            with self._explained():
                self._tidy()
                beside.mkdir(parents=True)
                tables = fill(beside / PIXELS)
                np.savez(
                    beside / TABLES,
                    shapes=tables.shapes, checksums=tables.checksums, digests=tables.digests, sums=tables.sums,
                )  # fmt: skip
                digest = _digest((beside / TABLES).read_bytes())
                said = {"layout": LAYOUT, "tables": digest, "reasons": tables.reasons}
                write_text(beside / INDEX, to_json(stamped(said)))
                shutil.rmtree(self.folder, ignore_errors=True)
                beside.rename(self.folder)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
        return tables

    def _tidy(self) -> None:
        """Take away what runs that were killed have left, of these images and of others."""
        for left in self.folder.parent.glob(".*/"):
            if left.name == f".{self.folder.name}":
                shutil.rmtree(left, ignore_errors=True)
                continue
            if not KEY.fullmatch(left.name[1:]):  # the folder may be one that others keep things in, too
                continue
            lock = filelock.FileLock(f"{self.folder.with_name(left.name[1:])}.lock")
            with contextlib.suppress(filelock.Timeout), lock.acquire(timeout=0):
                shutil.rmtree(left, ignore_errors=True)

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = error.strerror or one_line(error)
            raise LenextError(
                f"cannot write to the cache {self.folder.parent}: {reason}; set LENEXT_CACHE to a folder that has room "
                "and can be written to, or give --loading workers"
            ) from error

    def images(self, tables: Tables, repair: Callable[[int], NDArray[np.uint8]]) -> CachedImages:
        """Return the images, mapped into memory; `repair` decodes one of them anew."""
        mapped: NDArray[np.uint8] = np.empty(0, np.uint8)
        if tables.starts[-1]:
            with self._explained():
                mapped = np.memmap(self.folder / PIXELS, np.uint8, "r+")
        places = np.stack([np.zeros(len(tables.shapes), np.int64), tables.starts[:-1]], 1)
        return CachedImages(mapped, places, tables.shapes, tables.channels, tables.checksums, repair)


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()
