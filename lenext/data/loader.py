"""Batches: which images, in which order, as tensors on the model's device."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lenext.data.preprocessing import Preprocessing
from lenext.data.reading import Images, ImagesOnDisk, Reading


@dataclass(frozen=True)
class Batch:
    """Images (N, C, H, W), float32 and normalised, and their labels (N,)."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


class Loader:
    """Batches of a reading: in order, or shuffled anew for each epoch by the seed alone."""

    def __init__(
        self, reading: Reading, preprocessing: Preprocessing, *, batch_size: int, device: torch.device
    ) -> None:
        self.images: Images = reading.images
        self.labels = torch.from_numpy(reading.labels)
        self.preprocessing, self.batch_size, self.device = preprocessing, batch_size, device

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.images)

    @property
    def steps(self) -> int:
        """Return the number of batches that hold every image once; none holds a lone one where more are asked for."""
        steps = -(-len(self) // self.batch_size)
        return steps if self.batch_size == 1 else max(1, min(steps, len(self) // 2))

    def in_order(self) -> Iterator[Batch]:
        """Yield every image once, in order."""
        return self._batches(np.arange(len(self)))

    def shuffled(self, *, seed: int, epoch: int) -> Iterator[Batch]:
        """Yield every image once, in an order that (seed, epoch) decides."""
        return self._batches(np.random.default_rng((seed, epoch)).permutation(len(self)))

    def _batches(self, order: NDArray[np.int64]) -> Iterator[Batch]:
        # Of equal size to within one image, so that no batch is left with a lone one.
        parts = np.array_split(order, self.steps)
        for indices, pixels in zip(parts, self._decoded(parts), strict=True):
            images = torch.from_numpy(pixels).to(self.device, non_blocking=True)
            labels = self.labels[torch.from_numpy(indices)].to(self.device, non_blocking=True)
            yield Batch(self.preprocessing.normalise(images), labels)

    def _decoded(self, parts: list[NDArray[np.int64]]) -> Iterator[NDArray[np.uint8]]:
        if not isinstance(self.images, ImagesOnDisk):
            yield from map(self.images.batch, parts)
            return
        with ThreadPoolExecutor(1) as ahead:  # the next batch is decoded while the model works on this one
            coming = ahead.submit(self.images.batch, parts[0])
            for part in [*parts[1:], None]:
                pixels = coming.result()
                if part is not None:
                    coming = ahead.submit(self.images.batch, part)
                yield pixels
