"""Batches in order, as tensors on the model's device."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import islice
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lenext.data.preprocessing import Preprocessing
from lenext.data.reading import Reading

T = TypeVar("T")


@dataclass(frozen=True)
class Batch:
    """Images (N, C, H, W), float32 and normalised, and their labels (N,).

    Where each image is mixed with the one at the same place from the end, `shares` (N,) are its own share. `of` is how
    many images the batch has over all processes that train together, where it is more than these.
    """

    images: Tensor
    labels: Tensor
    shares: Tensor | None = None
    of: int | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def whole(self) -> int:
        """How many images the batch has over all processes."""
        return len(self) if self.of is None else self.of


class Loader:
    """Batches of a reading, in order."""

    def __init__(
        self, reading: Reading, preprocessing: Preprocessing, *, batch_size: int, device: torch.device
    ) -> None:
        self.images = reading.images
        self.labels = torch.from_numpy(reading.labels)
        self.preprocessing, self.batch_size, self.device = preprocessing, batch_size, device

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.images)

    @property
    def steps(self) -> int:
        """Return the number of batches that hold every image once."""
        return batch_count(len(self), self.batch_size)

    def in_order(self) -> Iterator[Batch]:
        """Yield every image once, in order."""
        parts = np.array_split(np.arange(len(self)), self.steps)
        decoded: Iterable[NDArray[np.uint8]] = map(self.images.batch, parts)
        if self.images.way == "workers":
            each = self.images.each()
            decoded = one_ahead(np.stack(list(islice(each, len(part)))) for part in parts)
        for indices, pixels in zip(parts, decoded, strict=True):
            images = torch.from_numpy(pixels).to(self.device, non_blocking=True)
            labels = self.labels[torch.from_numpy(indices)].to(self.device, non_blocking=True)
            yield Batch(self.preprocessing.normalise(images), labels)


def batch_count(images: int, batch_size: int) -> int:
    """Return how many batches hold so many images once, of equal size to within one image.

    None holds a lone image where more are asked for: batch normalisation cannot train on one.
    """
    steps = -(-images // batch_size)
    return steps if batch_size == 1 else max(1, min(steps, images // 2))


def one_ahead(items: Iterable[T]) -> Iterator[T]:
    """Yield the items, each made in a thread while the one before it is used."""
    iterator, missing = iter(items), object()
    asked: SimpleQueue[Future[Any] | None] = SimpleQueue()

    def ask() -> Future[Any]:
        future: Future[Any] = Future()
        asked.put(future)
        return future

    def make() -> None:
        while (future := asked.get()) is not None:
            try:
                future.set_result(next(iterator, missing))
            except BaseException as error:
                future.set_exception(error)
            del future  # and what was made, as soon as it has been used

    # No pool: a process that is forked in a thread of one fails at its end, when it waits for that thread. A daemon,
    # for an error may keep this generator from being closed, and Python would wait for the thread before it ends.
    thread = Thread(target=make, name="ahead", daemon=True)
    thread.start()
    try:
        coming = ask()
        while (item := coming.result()) is not missing:
            coming = ask()
            yield item
    finally:
        del coming  # an error in it would keep itself alive, and with it all that it was raised among
        asked.put(None)
        thread.join()
