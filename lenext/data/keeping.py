"""Keeping decoded images as they arrive: in memory, or in a file. Grey ones spread when the first in colour comes."""

from __future__ import annotations

import contextlib
import os
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lenext.data.cache import Tables
from lenext.data.chunks import Chunk
from lenext.data.decode import ImageForm
from lenext.data.images import Images, ImagesInMemory, PackedImages


def kept_in_memory(chunks: Iterable[Chunk], count: int, form: ImageForm) -> tuple[list[Chunk], Images]:
    """Take the pixels of all chunks; return these without them, and the images."""
    if form.fit == "whole":
        return _packed(chunks, form)
    kept, done = _Uniform(count, form), []
    for chunk in chunks:
        kept.add(chunk)
        chunk.pixels = None
        done.append(chunk)
    return done, kept.images()


class _Uniform:
    """Images of one size, in one array that has room for all from the start."""

    def __init__(self, count: int, form: ImageForm) -> None:
        self._pixels = np.empty((count, *form.size, form.channels or 1), np.uint8)
        self._filled = 0

    def add(self, chunk: Chunk) -> None:
        assert chunk.pixels is not None
        pixels = chunk.pixels.reshape(-1, *self._pixels.shape[1:3], chunk.channels)
        channels = max(chunk.channels, self._pixels.shape[-1]) if len(pixels) else self._pixels.shape[-1]
        if channels > self._pixels.shape[-1]:
            wider = np.empty((*self._pixels.shape[:-1], channels), np.uint8)
            wider[: self._filled] = self._pixels[: self._filled]
            self._pixels = wider
        self._pixels[self._filled : self._filled + len(pixels)] = pixels  # grey spreads over the channels
        self._filled += len(pixels)

    def images(self) -> ImagesInMemory:
        return ImagesInMemory(self._pixels[: self._filled])


def _packed(chunks: Iterable[Chunk], form: ImageForm) -> tuple[list[Chunk], PackedImages]:
    """Keep images of many sizes, an array for each chunk."""
    done: list[Chunk] = []
    buffers: list[NDArray[np.uint8]] = []
    for chunk in chunks:
        assert chunk.pixels is not None
        buffers.append(chunk.pixels)
        chunk.pixels = None
        done.append(chunk)
    channels = max((chunk.channels for chunk in done if len(chunk.sums)), default=form.channels or 1)
    places = []
    for number, chunk in enumerate(done):
        buffers[number] = _spread(buffers[number], chunk.channels, channels)
        sizes = chunk.shapes.prod(1) * channels
        places.append(np.stack([np.full(len(sizes), number), np.cumsum(sizes) - sizes], 1))
    shapes = [chunk.shapes for chunk in done]
    empty = np.empty((0, 2), np.int64)
    images = PackedImages(
        buffers, np.concatenate(places) if places else empty, np.concatenate(shapes) if shapes else empty, channels
    )
    return done, images


def kept_in_file(chunks: Iterable[Chunk], form: ImageForm, path: Path) -> Tables:
    """Write the pixels of all chunks to a new file, and return what is known of them."""
    done: list[Chunk] = []
    written: list[int] = []  # checksums
    channels = form.channels or 1
    with contextlib.ExitStack() as opened:
        file = opened.enter_context(path.open("wb"))
        for chunk in chunks:
            assert chunk.pixels is not None
            if len(chunk.sums) and chunk.channels > channels:
                file.close()
                channels = chunk.channels
                written = _spread_file(path, done, channels)
                file = opened.enter_context(path.open("ab"))
            pixels = _spread(chunk.pixels, chunk.channels, channels)
            file.write(pixels.data)
            written += _checksums(pixels, chunk.shapes, channels)
            chunk.pixels = None
            done.append(chunk)
        file.flush()
        os.fsync(file.fileno())
    sums = [np.broadcast_to(chunk.sums, (len(chunk.sums), channels, 2)) for chunk in done]
    shapes = [chunk.shapes for chunk in done]
    return Tables(
        np.concatenate(shapes) if shapes else np.empty((0, 2), np.int64),
        np.array(written, np.uint32),
        np.array([value for chunk in done for value in chunk.digests], np.uint64),
        np.concatenate(sums) if sums else np.empty((0, channels, 2), np.int64),
        [reason for chunk in done for reason in chunk.reasons],
    )


def _spread(pixels: NDArray[np.uint8], channels: int, wanted: int) -> NDArray[np.uint8]:
    return pixels if channels == wanted else np.repeat(pixels, wanted)


def _spread_file(path: Path, done: list[Chunk], channels: int) -> list[int]:
    """Give the grey images that were written their other channels, and return the new checksums."""
    grey = path.with_suffix(".grey")
    path.rename(grey)
    written: list[int] = []
    with grey.open("rb") as before, path.open("wb") as after:
        for chunk in done:
            pixels = np.frombuffer(before.read(int(chunk.shapes.prod(1).sum())), np.uint8).repeat(channels)
            after.write(pixels.data)
            written += _checksums(pixels, chunk.shapes, channels)
    grey.unlink()
    return written


def _checksums(pixels: NDArray[np.uint8], shapes: NDArray[np.int64], channels: int) -> list[int]:
    ends = np.cumsum(shapes.prod(1) * channels).tolist()
    return [zlib.crc32(pixels[start:end].data) for start, end in zip([0, *ends], ends, strict=False)]
