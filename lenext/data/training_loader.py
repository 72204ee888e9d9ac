"""Batches to train on: shuffled, cut, augmented, each image as (seed, epoch, index) decide, whatever the way in."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lenext.data.augmentation.augment import Augmenter
from lenext.data.augmentation.augmentation import NOTHING, Augmentation
from lenext.data.cores import available_cores
from lenext.data.cutting import cut
from lenext.data.draws import Purpose, uniforms
from lenext.data.loader import Batch, batch_count, one_ahead
from lenext.data.preprocessing import Preprocessing
from lenext.data.reading import Reading
from lenext.data.sampling import Sampling, epoch_order, own_part
from lenext.data.windows import DRAWS, draw_windows
from lenext.data.workers import DecodingWorkers, Views
from lenext.device import one_thread
from lenext.errors import UserError
from lenext.processes import ALONE, Group


class TrainingLoader:
    """Batches of a reading in an order that the seed and the epoch decide, each image as its augmentation has it.

        loader = TrainingLoader(reading, preprocessing, batch_size=128, device=device)
        for batch in loader.shuffled(seed=0, epoch=1): ...

    `sampling="balanced"` shows every class equally often. `waited` adds up the seconds from asking for a batch to
    having it. `axes` are the principal axes of the training set's colours, where the augmentation needs them.
    `classes` is how many there are, where the last may have no image. Of several processes in `group`, each gets its
    own part of every batch.

    Raises:
        UserError: a balanced order of images that are decoded as they come through a line, or batches of so few images
            that a process would have less than two.
    """

    def __init__(
        self,
        reading: Reading,
        preprocessing: Preprocessing,
        *,
        batch_size: int,
        device: torch.device,
        augmentation: Augmentation = NOTHING,
        sampling: Sampling = "shuffled",
        workers: int | None = None,
        axes: Tensor | None = None,
        classes: int = 0,
        group: Group = ALONE,
    ) -> None:
        self.labels, self.classes, self.group = reading.labels, classes, group
        self.preprocessing, self.batch_size, self.device = preprocessing, batch_size, device
        self.augmentation, self.sampling = augmentation, sampling
        fill = tuple(255 * level for level in preprocessing.mean)
        self.augmenter = Augmenter(augmentation, fill=fill, axes=axes)
        self.workers = available_cores() if workers is None else workers
        self._images, self.waited = reading.images, 0.0
        self.way = reading.images.way
        self._decoding: DecodingWorkers | None = None
        if self.way == "workers":
            self._decoding = DecodingWorkers(reading.split, preprocessing.form, self.augmenter, workers=self.workers)
            if self._decoding.streams and sampling == "balanced":
                raise UserError(
                    "balanced sampling takes the images in an order of its own, and those behind https come in theirs; "
                    "give sampling shuffled, or --loading cache"
                )
        if len(self) // self.steps // 2 < group.world > 1:
            raise UserError(
                f"a step of {len(self) // self.steps} images cannot be shared by {group.world} processes, as each "
                "needs two; give a larger --batch-size, or fewer processes"
            )
        self._ready = augmentation == NOTHING and self.way == "memory"  # nothing to do that a thread could do ahead

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.labels)

    @property
    def class_counts(self) -> Tensor:
        """Return how many images each class up to the last one has, (classes,)."""
        return torch.from_numpy(np.bincount(self.labels, minlength=self.classes))

    @property
    def steps(self) -> int:
        """Return the number of batches of an epoch."""
        return batch_count(len(self), self.batch_size)

    def shuffled(self, *, seed: int, epoch: int, skip: int = 0, whole: bool = False) -> Iterator[Batch]:
        """Yield the batches of an epoch, without the first `skip`; as a `whole`, or this process's part of them.

        Raises:
            LenextError: an image that could be read before no longer can.
        """
        group = ALONE if whole else self.group
        if self._decoding is not None and self._decoding.streams:
            sizes = [
                np.array([len(part) for part in np.array_split(each, self.steps)]) for each in group.parts(len(self))
            ]
            of = np.sum(sizes, axis=0)[skip:].tolist()
            leads: list[int | None] = [None] * len(of)
            found = self._decoding.streamed(seed, epoch, sizes[group.rank].tolist(), skip, (group.rank, group.world))
        else:
            order = epoch_order(self.labels, self.sampling, seed=seed, epoch=epoch)
            batches_of_all = np.array_split(order, self.steps)[skip:]
            of, leads = [len(batch) for batch in batches_of_all], [int(batch[0]) for batch in batches_of_all]
            found = self._cut(seed, epoch, [own_part(batch, group.rank, group.world) for batch in batches_of_all])
        # What is cut and decoded ahead leaves the rest to the threads of torch, which are of no use to two at once.
        batches = self._made(seed, epoch, found if self._ready else one_ahead(found), leads)
        for count in of:
            began = time.perf_counter()
            batch = next(batches)
            self.waited += time.perf_counter() - began
            yield replace(batch, of=count)
        next(batches, None)  # lets the others come to their end, too

    def views(self, parts: list[NDArray[np.int64]], *, seed: int, epoch: int) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Yield the images of each part as uint8 (N, H, W, C), and each one's own share (N,) where they are mixed.

        A part holds numbers as those of `lenext.data.sampling.epoch_order`.
        """
        for indices, views in self._cut(seed, epoch, parts):
            yield self._augmented(views, seed, epoch, indices)

    def _made(self, seed: int, epoch: int, found: Iterator[Views], leads: list[int | None]) -> Iterator[Batch]:
        for (indices, views), lead in zip(found, leads, strict=True):
            pixels, shares = self._augmented(views, seed, epoch, indices, lead)
            labels = torch.from_numpy(self.labels[indices % len(self)]).to(self.device, non_blocking=True)
            # Two threads of which one waits for a core that a decoding process has are slower than one.
            with one_thread() if self._decoding is not None else nullcontext():
                images = self.preprocessing.normalise(pixels)
            yield Batch(images, labels, shares)

    def _augmented(
        self, views: Tensor, seed: int, epoch: int, indices: NDArray[np.int64], lead: int | None = None
    ) -> tuple[Tensor, Tensor | None]:
        pixels = views.to(self.device, non_blocking=True)
        if self._decoding is None:  # whose processes change what they decode
            pixels = self.augmenter.change(pixels, seed, epoch, indices)
        return self.augmenter.mix(pixels, seed, epoch, indices, lead)

    def _cut(self, seed: int, epoch: int, parts: list[NDArray[np.int64]]) -> Iterator[Views]:
        """Yield each part and its views, uint8 (N, H, W, C) on the CPU."""
        if self._decoding is not None:
            yield from self._decoding.views(seed, epoch, parts)
            return
        images, size, plan = self._images, self.preprocessing.form.size, self.augmentation
        in_place = plan.crop == "none" and images.size == size
        for indices in parts:
            rows = indices % len(self)
            if in_place:
                yield indices, torch.from_numpy(images.batch(rows))
                continue
            draws = uniforms(seed, epoch, indices, Purpose.WINDOW, DRAWS)
            windows = draw_windows(plan, draws, images.sides(rows), size)  # type: ignore[attr-defined]
            made = cut(images, rows, windows, size, reflect=plan.crop == "translate")  # type: ignore[arg-type]
            yield indices, torch.from_numpy(made)
