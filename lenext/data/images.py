"""Images that can be asked for by index: in memory or mapped from disk, of one size or of many, or in files."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from lenext.data.chunks import in_chunks, most_at_once
from lenext.data.decode import ImageForm, UnreadableImageError, decode
from lenext.data.source import Split
from lenext.errors import LenextError

if TYPE_CHECKING:
    from lenext.data.source import Item


Way = Literal["memory", "cache", "workers"]


class Images(Protocol):
    """Images by index, decoded already or when they are asked for."""

    channels: int
    way: Way  # where the pixels come from: decoded already, in memory or on disk, or decoded each time
    size: tuple[int, int] | None  # of every image, height and width, where all have one

    def __len__(self) -> int: ...

    def batch(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return the images at `indices`, which have one size, as uint8 (N, H, W, C)."""
        ...

    def each(self) -> Iterator[NDArray[np.uint8]]:
        """Yield every image in order, as uint8 (H, W, C)."""
        ...

    def take(self, split: Split, indices: NDArray[np.int64]) -> Images:
        """Return the images at `indices`, in that order; `split` is the part of the source that they are."""
        ...


class Pixels(Images, Protocol):
    """Images whose pixels can be looked at without decoding."""

    def sides(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the height and width of each image, (N, 2)."""
        ...

    def image(self, index: int) -> NDArray[np.uint8]:
        """Return one image as uint8 (H, W, C); it is not to be written to."""
        ...


class ImagesInMemory:
    """All images in one uint8 array, (N, H, W, C), or those of its `rows`."""

    way: Way = "memory"

    def __init__(self, pixels: NDArray[np.uint8], rows: NDArray[np.int64] | None = None) -> None:
        self.pixels, self.rows = pixels, np.arange(len(pixels)) if rows is None else rows
        self.size: tuple[int, int] | None = (pixels.shape[1], pixels.shape[2])
        self.channels = pixels.shape[-1]

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return the images at `indices` as uint8 (N, H, W, C)."""
        return self.pixels[self.rows[indices]]

    def take(self, split: Split, indices: NDArray[np.int64]) -> Images:
        """Return the images at `indices`, in that order, without copying them."""
        return ImagesInMemory(self.pixels, self.rows[indices])

    def each(self) -> Iterator[NDArray[np.uint8]]:
        """Yield every image in order, as uint8 (H, W, C)."""
        return (self.pixels[row] for row in self.rows.tolist())

    def sides(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the height and width of each image, (N, 2)."""
        return np.tile(np.array(self.pixels.shape[1:3], np.int64), (len(indices), 1))

    def image(self, index: int) -> NDArray[np.uint8]:
        """Return one image as uint8 (H, W, C)."""
        image: NDArray[np.uint8] = self.pixels[self.rows[index]]
        return image


class PackedImages:
    """Images of any sizes, one after the other in long arrays of bytes.

    `buffers[places[i, 0]]` holds image i from byte `places[i, 1]` on, of `shapes[i]`, its height and width.
    """

    way: Way = "memory"
    size: tuple[int, int] | None = None

    def __init__(
        self,
        buffers: Sequence[NDArray[np.uint8]],
        places: NDArray[np.int64],
        shapes: NDArray[np.int64],
        channels: int,
    ) -> None:
        self.buffers, self.places, self.shapes, self.channels = buffers, places, shapes, channels

    def __len__(self) -> int:
        return len(self.shapes)

    def batch(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return the images at `indices`, which have one size, as uint8 (N, H, W, C)."""
        return np.stack([self.image(i) for i in indices.tolist()])

    def take(self, split: Split, indices: NDArray[np.int64]) -> Images:
        """Return the images at `indices`, in that order, without copying them."""
        return PackedImages(self.buffers, self.places[indices], self.shapes[indices], self.channels)

    def each(self) -> Iterator[NDArray[np.uint8]]:
        """Yield every image in order, as uint8 (H, W, C)."""
        return map(self.image, range(len(self)))

    def sides(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the height and width of each image, (N, 2)."""
        shapes: NDArray[np.int64] = self.shapes[indices]
        return shapes

    def image(self, index: int) -> NDArray[np.uint8]:
        """Return one image as uint8 (H, W, C)."""
        (buffer, start), (height, width) = self.places[index].tolist(), self.shapes[index].tolist()
        end = start + height * width * self.channels
        image: NDArray[np.uint8] = self.buffers[buffer][start:end].reshape(height, width, self.channels)
        return image


class CachedImages(PackedImages):
    """Images mapped from a file, each held against its checksum when it is first asked for.

    `repair` returns the right pixels of an image whose bytes were damaged; they are written in their place.
    """

    way: Way = "cache"

    def __init__(
        self,
        mapped: NDArray[np.uint8],
        places: NDArray[np.int64],
        shapes: NDArray[np.int64],
        channels: int,
        checksums: NDArray[np.uint32],
        repair: Callable[[int], NDArray[np.uint8]],
        rows: NDArray[np.int64] | None = None,
    ) -> None:
        super().__init__([mapped], places, shapes, channels)
        self.checksums, self.repair = checksums, repair
        self.rows = np.arange(len(shapes)) if rows is None else rows  # of the whole cache
        self.sound = np.zeros(len(shapes), bool)

    def take(self, split: Split, indices: NDArray[np.int64]) -> Images:
        """Return the images at `indices`, in that order, without copying them."""
        return CachedImages(
            self.buffers[0], self.places[indices], self.shapes[indices], self.channels,
            self.checksums[indices], self.repair, self.rows[indices],
        )  # fmt: skip

    def image(self, index: int) -> NDArray[np.uint8]:
        """Return one image as uint8 (H, W, C).

        Raises:
            LenextError: it is damaged, and its file can no longer be read.
        """
        pixels = super().image(index)
        if not self.sound[index]:
            if zlib.crc32(pixels.data) != self.checksums[index]:
                pixels[:] = self.repair(int(self.rows[index]))
            self.sound[index] = True
        return pixels


class ImagesOnDisk:
    """Images decoded anew, on all cores, each time they are asked for; for sets larger than the memory."""

    way: Way = "workers"

    def __init__(self, split: Split, form: ImageForm, workers: int) -> None:
        assert form.channels is not None
        self.split, self.form, self.channels, self.workers = split, form, form.channels, workers
        self.size: tuple[int, int] | None = None if form.fit == "whole" else form.size

    def __len__(self) -> int:
        return len(self.split)

    def batch(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return the images at `indices` as uint8 (N, H, W, C).

        Raises:
            LenextError: an image that could be read before no longer can.
        """
        with ThreadPoolExecutor(self.workers, thread_name_prefix="decode") as pool:
            return np.stack(list(pool.map(self.image, indices.tolist())))

    def take(self, split: Split, indices: NDArray[np.int64]) -> Images:
        """Return the images at `indices`, in that order."""
        return ImagesOnDisk(split, self.form, self.workers)

    def each(self) -> Iterator[NDArray[np.uint8]]:
        """Yield every image in order, as uint8 (H, W, C); what lies in a stream is read as one.

        Raises:
            LenextError: an image that could be read before no longer can.
        """
        with ThreadPoolExecutor(self.workers, thread_name_prefix="decode") as pool:
            for chunk in in_chunks(enumerate(self.split.items), most_at_once(self.form)):
                yield from pool.map(self._decoded, *zip(*chunk, strict=True))

    def image(self, index: int) -> NDArray[np.uint8]:
        """Return one image at the form's size, as uint8 (H, W, C)."""
        return self._decoded(index, self.split.items[index])

    def _decoded(self, index: int, item: Item) -> NDArray[np.uint8]:
        try:
            return decode(item, self.form)
        except UnreadableImageError as error:
            raise LenextError(f"{self.split.names[index]} can no longer be read: {error}") from error
