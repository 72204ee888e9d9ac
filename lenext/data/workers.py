"""Decoding for training in processes of their own, so that images come without being kept anywhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from lenext.data.augmentation.augmentation import Augmentation
from lenext.data.cutting import cut_one
from lenext.data.decode import ImageForm, UnreadableImageError, decode, decode_window
from lenext.data.draws import Purpose, uniforms
from lenext.data.source import Split
from lenext.data.windows import DRAWS, draw_windows
from lenext.errors import LenextError

AHEAD = 2  # batches that each process has ready

Request = tuple[int, int, NDArray[np.int64]]  # a seed, an epoch, and the images of a batch


class _Views(Dataset[Tensor | str]):
    """Batches of views, decoded where they are asked for."""

    def __init__(self, split: Split, form: ImageForm, augmentation: Augmentation) -> None:
        self.split, self.form, self.augmentation = split, form, augmentation

    def __getitem__(self, request: Request) -> Tensor | str:
        """Return the views of a batch, uint8 (N, H, W, C), or what to tell of one that cannot be read."""
        seed, epoch, indices = request
        assert self.form.channels is not None
        draws = uniforms(seed, epoch, indices, Purpose.WINDOW, DRAWS)
        views = np.empty((len(indices), *self.form.size, self.form.channels), np.uint8)
        for place, index in enumerate(indices.tolist()):
            try:
                self._view(index, draws[place : place + 1], views[place])
            except UnreadableImageError as error:
                return f"{self.split.names[index]} can no longer be read: {error}"
        return torch.from_numpy(views)

    def _view(self, index: int, draws: NDArray[np.float64], out: NDArray[np.uint8]) -> None:
        item, form = self.split.items[index], self.form

        def choose(sides: tuple[int, int]) -> tuple[int, int, int, int]:
            return tuple(draw_windows(self.augmentation, draws, np.array([sides]), form.size)[0].tolist())

        if self.augmentation.crop in ("random", "inception"):
            out[:] = decode_window(item, form, choose)
        else:
            cut_one(decode(item, form), choose(form.size), out, reflect=self.augmentation.crop == "translate")


class DecodingWorkers:
    """Processes that decode the views of a training set, in order and ahead of time."""

    def __init__(self, split: Split, form: ImageForm, augmentation: Augmentation, *, workers: int) -> None:
        self._requests: list[Request] = []
        self._loader: DataLoader[Tensor | str] = DataLoader(
            _Views(split, form, augmentation),
            batch_size=None,
            sampler=_Sampler(self._requests),
            num_workers=workers,
            prefetch_factor=AHEAD if workers else None,
            persistent_workers=workers > 0,
            generator=torch.Generator(),  # the loader draws from it; the common one is for the model
        )

    def views(self, seed: int, epoch: int, parts: Sequence[NDArray[np.int64]]) -> Iterator[Tensor]:
        """Yield the views of each batch, uint8 (N, H, W, C).

        Raises:
            LenextError: an image that could be read before no longer can, or a process was killed.
        """
        self._requests[:] = [(seed, epoch, part) for part in parts]
        try:
            for found in self._loader:
                if isinstance(found, str):
                    raise LenextError(found)
                yield found
        except RuntimeError as error:
            if "DataLoader worker" not in str(error):
                raise
            raise LenextError(
                "a process that decodes images was killed, perhaps for memory; give fewer --workers, or --loading cache"
            ) from error


class _Sampler:
    """The batches of the epoch that is asked for."""

    def __init__(self, requests: list[Request]) -> None:
        self.requests = requests

    def __iter__(self) -> Iterator[Request]:
        return iter(list(self.requests))

    def __len__(self) -> int:
        return len(self.requests)
