"""Decoding for training in processes of their own, so that images come without being kept anywhere."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import warnings
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from lenext.data.augmentation.augment import Augmenter
from lenext.data.cutting import cut_one
from lenext.data.decode import ImageForm, UnreadableImageError, decode, decode_window, middle
from lenext.data.draws import Purpose, uniforms
from lenext.data.shards import ShardItems
from lenext.data.source import Split
from lenext.data.training_data import kept_form
from lenext.data.windows import DRAWS, draw_windows
from lenext.errors import LenextError, one_line

if TYPE_CHECKING:
    from lenext.data.source import Item

AHEAD = 2  # batches that each process has ready
BUFFER = 2_000  # encoded images of a stream that its order is drawn from; of ImageNet's size they take 220 MB

Views = tuple[NDArray[np.int64], Tensor]  # the images of a batch by their index, and what is shown, (N, H, W, C)

# Who asks for more processes than there are cores knows it.
warnings.filterwarnings("ignore", message="This DataLoader will create", module="torch")


@dataclass(frozen=True)
class Request:
    """What a process is asked for: the views of some images, which come along where it cannot read them itself.

    `indices` are numbers as those of `lenext.data.sampling.epoch_order`.
    """

    seed: int
    epoch: int
    indices: NDArray[np.int64]
    items: Sequence[Item] | None = None


class _Views(Dataset[Tensor | str]):
    """Batches of views, decoded where they are asked for."""

    def __init__(self, split: Split, form: ImageForm, augmenter: Augmenter) -> None:
        self.split, self.form, self.augmenter, self.augmentation = split, form, augmenter, augmenter.augmentation
        augmentation = self.augmentation
        self.kept = kept_form(augmentation, form)
        whole, square = self.kept.fit == "whole", augmentation.crop == "random" and self.kept.fit == "crop"
        self.whole, self.windows = whole, whole or square

    def __getitem__(self, request: Request) -> Tensor | str:
        """Return the views of a batch, uint8 (N, H, W, C), or what to tell of one that cannot be read."""
        indices = request.indices
        assert self.form.channels is not None
        draws = uniforms(request.seed, request.epoch, indices, Purpose.WINDOW, DRAWS)
        views = np.empty((len(indices), *self.form.size, self.form.channels), np.uint8)
        for place, index in enumerate((indices % len(self.split)).tolist()):
            try:
                item = self.split.items[index] if request.items is None else request.items[place]
                self._view(item, draws[place : place + 1], views[place])
            except UnreadableImageError as error:
                return f"{self.split.names[index]} can no longer be read: {error}"
            except LenextError as error:  # torch would add where it came from
                return one_line(error)
        return self.augmenter.change(torch.from_numpy(views), request.seed, request.epoch, indices)

    def _view(self, item: Item, draws: NDArray[np.float64], out: NDArray[np.uint8]) -> None:
        def choose(sides: tuple[int, int]) -> tuple[int, int, int, int]:
            # What is kept in memory has lost the ends of long images.
            top, left, *inside = middle(sides, self.kept.size) if self.whole else (0, 0, *sides)
            window = draw_windows(self.augmentation, draws, np.array([inside]), self.form.size)[0].tolist()
            return window[0] + top, window[1] + left, window[2], window[3]

        if self.windows:
            out[:] = decode_window(item, self.form, choose)
        else:
            kept = decode(item, self.kept)
            cut_one(kept, choose(kept.shape[:2]), out, reflect=self.augmentation.crop == "translate")


class DecodingWorkers:
    """Processes that decode the views of a training set and change them, in order and ahead of time.

    Where the images lie behind https, this process reads them, as one stream, and the others decode.
    """

    def __init__(self, split: Split, form: ImageForm, augmenter: Augmenter, *, workers: int) -> None:
        self._requests = _Requests()
        self._stream = split.items if isinstance(split.items, ShardItems) and split.items.remote else None
        self._loader: DataLoader[Tensor | str] = DataLoader(
            _Views(split, form, augmenter),
            batch_size=None,
            sampler=self._requests,
            num_workers=workers,
            prefetch_factor=AHEAD if workers else None,
            persistent_workers=workers > 0,
            worker_init_fn=_ignore_signals,
            generator=torch.Generator(),  # the loader draws from it; the common one is for the model
        )

    @property
    def streams(self) -> bool:
        """Whether `streamed` is the way that costs no request for each image."""
        return self._stream is not None

    def views(self, seed: int, epoch: int, parts: Sequence[NDArray[np.int64]]) -> Iterator[Views]:
        """Yield each part with its views, uint8 (N, H, W, C).

        Raises:
            LenextError: an image that could be read before no longer can, or a process was killed.
        """
        return self._answers(self._listed(seed, epoch, parts))

    def streamed(
        self, seed: int, epoch: int, sizes: Sequence[int], skip: int = 0, part: tuple[int, int] = (0, 1)
    ) -> Iterator[Views]:
        """Yield the views of every image once, in batches of these sizes and the order of the stream's epoch.

        The first `skip` batches are read and passed over. Of `part`, (rank, world), the stream is one of so many.

        Raises:
            LenextError: as for `views`.
        """
        return self._answers(self._drawn(seed, epoch, sizes, skip, part))

    def _listed(self, seed: int, epoch: int, parts: Sequence[NDArray[np.int64]]) -> Generator[Request, None, None]:
        items = None if self._stream is None else iter(self._stream.take(np.concatenate(parts) % len(self._stream)))
        for part in parts:
            yield Request(seed, epoch, part, None if items is None else list(islice(items, len(part))))

    def _drawn(
        self, seed: int, epoch: int, sizes: Sequence[int], skip: int, part: tuple[int, int]
    ) -> Generator[Request, None, None]:
        assert self._stream is not None
        with contextlib.closing(self._stream.shuffled(seed, epoch, BUFFER, part)) as pairs:
            deque(islice(pairs, sum(sizes[:skip])), maxlen=0)
            for size in sizes[skip:]:
                indices, items = zip(*islice(pairs, size), strict=True)
                yield Request(seed, epoch, np.array(indices), items)

    def _answers(self, requests: Generator[Request, None, None]) -> Iterator[Views]:
        asked = self._requests.begin(requests)
        try:
            for found in self._loader:
                if isinstance(found, str):
                    raise LenextError(found)
                yield asked.popleft(), found
            if self._requests.failed:
                raise self._requests.failed.pop()
        except Exception as error:
            if not _tells_of_a_kill(error):
                raise
            raise LenextError(
                "a process that decodes images was killed, perhaps for memory; give fewer --workers, or --loading cache"
            ) from error
        finally:
            requests.close()


def _tells_of_a_kill(error: Exception) -> bool:
    """Say whether a process is gone: torch says so, or finds the line to it cut before it knows."""
    if isinstance(error, RuntimeError):
        return str(error).startswith("DataLoader worker (pid")
    return isinstance(error, ConnectionError | EOFError | FileNotFoundError) and not str(error).startswith("Caught ")


class _Requests:
    """The requests of the epoch that is under way; each is made when a process has room for it.

    Where one cannot be made they end, and `failed` holds why; raised at this place, it would meet torch in the middle
    of starting its processes.
    """

    def begin(self, requests: Iterator[Request]) -> deque[NDArray[np.int64]]:
        """Start an epoch; return the images of the requests that were made, in their order."""
        self._coming, self._made, self.failed = requests, deque[NDArray[np.int64]](), list[LenextError]()
        return self._made

    def __iter__(self) -> Iterator[Request]:
        try:
            for request in self._coming:
                self._made.append(request.indices)
                yield request
        except LenextError as error:
            self.failed.append(error)


def _ignore_signals(_worker: int) -> None:
    """Leave Ctrl-C and SIGTERM, which every process of a terminal or a job may get, to the one that ends the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "sigwaitinfo"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        threading.Thread(target=_end_when_told, daemon=True).start()


def _end_when_told() -> None:
    """End this process at a SIGTERM of the one that started it."""
    while True:
        if signal.sigwaitinfo({signal.SIGTERM}).si_pid == os.getppid():
            os._exit(0)
