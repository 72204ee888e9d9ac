"""Looking: the views of each image, decoded on all cores, through the network, and averaged."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from lenext.classifier import Classifier
from lenext.data.chunks import in_chunks
from lenext.data.cores import available_cores
from lenext.data.decode import RESAMPLING, ImageForm, UnreadableImageError, fitted, middle, open_image
from lenext.data.loader import one_ahead
from lenext.data.reading import Reading
from lenext.dense import densify
from lenext.errors import LenextError
from lenext.evaluation.judge import NOT_FINITE, Judgement, NotFiniteError
from lenext.evaluation.views.geometry import View
from lenext.evaluation.views.protocols import Protocol
from lenext.progress import SILENT, Progress

if TYPE_CHECKING:
    from lenext.data.source import Item

HELD_BYTES = 128 << 20  # of decoded views that wait, and as many again that are decoded meanwhile
BATCH_PIXELS = 64 * 224 * 224  # that go through the network at once
MOST = 256  # views that do
LONGEST = 4.0  # times longer than the network's shape that an image is looked at; of longer ones the middle is


@dataclass(frozen=True)
class Looked:
    """The judgement, and what it cost an image, in the mean: passes of the network, and their pixels in native ones."""

    judgement: Judgement
    passes: float
    area: float


@torch.inference_mode()
def look(
    classifier: Classifier,
    reading: Reading,
    protocol: Protocol,
    *,
    seed: int = 0,
    what: str = "judging",
    progress: Progress = SILENT,
) -> Looked:
    """Return the answers to every image, in order, averaged over the views; the model is left in evaluation mode.

    The judgement's logits are the logs of averaged probabilities. Places that a protocol draws depend on `seed` and on
    the bytes of each image alone.

    Raises:
        UserError: the network cannot have the dense form that the protocol asks for.
        LenextError: an image that could be read before no longer can; answers that are no finite numbers.
    """
    form = classifier.preprocessing.form
    network: nn.Module = classifier.model.eval()
    if protocol.dense:
        network = densify(classifier.model, form.size, finer=protocol.finer)
        network.eval().to(classifier.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    sums = torch.zeros(len(reading.images), len(classifier.class_names), dtype=torch.float64)
    counts = torch.zeros(len(sums), dtype=torch.float64)
    pixels = 0
    for places, images in seen(classifier, reading, protocol, seed=seed, what=what, progress=progress):
        sums.index_add_(0, places, _probabilities(network, images, protocol))
        counts.index_add_(0, places, torch.ones(len(places), dtype=torch.float64))
        pixels += len(places) * images.shape[2] * images.shape[3]
    # Highest probabilities do not sum to one, as the averages of others do.
    probabilities = sums / (sums.sum(1, keepdim=True) if protocol.largest else counts[:, None])
    logits = probabilities.clamp(min=1e-300).log().float().numpy()
    native = form.size[0] * form.size[1] * len(sums)
    return Looked(Judgement(logits, reading.labels), float(counts.mean()), pixels / native)


def seen(
    classifier: Classifier,
    reading: Reading,
    protocol: Protocol,
    *,
    seed: int = 0,
    what: str = "looking",
    progress: Progress = SILENT,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the views of all images, some at a time: the index of each one's image, (n,), and the views, (n, C, H, W).

    Those of an image come in the protocol's order where all have one size.

    Raises:
        LenextError: an image that could be read before no longer can.
    """
    chunks = one_ahead(_decoded_chunks(reading, protocol, classifier.preprocessing.form, seed))
    for chunk in progress.track(chunks, what, len(reading.images), lambda chunk: chunk.images):
        for batch in _batches(chunk.views):
            places = torch.tensor([index for index, _ in batch])
            images = torch.from_numpy(np.stack([view for _, view in batch])).to(classifier.device)
            yield places, classifier.preprocessing.normalise(images)


def _probabilities(network: nn.Module, images: Tensor, protocol: Protocol) -> Tensor:
    """Return what the network answers to views, (N, C, H, W) -> probabilities (N, classes), in float64 on the CPU."""
    logits = network(images).cpu().double()
    if not logits.isfinite().all():
        raise NotFiniteError(NOT_FINITE)
    if not protocol.dense:
        probabilities: Tensor = logits.softmax(1)
    elif protocol.largest:
        probabilities = logits.softmax(1).amax((2, 3))  # (N, classes, h, w) -> (N, classes)
    else:
        probabilities = logits.mean((2, 3)).softmax(1)  # (N, classes, h, w) -> (N, classes)
    return probabilities


@dataclass(frozen=True)
class _Chunk:
    """The views of some images, each with the index of its image; uint8 (H, W, C)."""

    images: int
    views: list[tuple[int, NDArray[np.uint8]]]


def _decoded_chunks(reading: Reading, protocol: Protocol, form: ImageForm, seed: int) -> Iterator[_Chunk]:
    """Yield the views of all images, of as many at a time as may wait."""
    usual = protocol.views(form.size, form, np.random.default_rng(seed))
    needed = sum(math.prod(view.size) for view in usual) * (form.channels or 3)
    size = max(1, min(256, HELD_BYTES // needed))
    numbers = range(len(reading.images))

    def views_of(number: int, item: Item) -> list[tuple[int, NDArray[np.uint8]]]:
        draws = np.random.default_rng([seed, int(reading.digests[number])])
        try:
            return [(number, view) for view in cut_views(item, protocol, form, draws)]
        except UnreadableImageError as error:
            raise LenextError(f"{reading.split.names[number]} can no longer be read: {error}") from error

    with ThreadPoolExecutor(available_cores(), thread_name_prefix="views") as pool:
        for chunk in in_chunks(zip(numbers, reading.split.items, strict=True), size):
            found = list(pool.map(views_of, *zip(*chunk, strict=True)))
            yield _Chunk(len(chunk), [view for views in found for view in views])


def cut_views(item: Item, protocol: Protocol, form: ImageForm, draws: np.random.Generator) -> list[NDArray[np.uint8]]:
    """Return the protocol's views of one image, in order, each as uint8 (H, W, C); of very long ones of the middle.

    Raises:
        UnreadableImageError: empty, truncated, or no image.
    """
    image = open_image(item, form.channels)
    top, left, height, width = middle((image.height, image.width), form.size, LONGEST)
    part = image if (width, height) == image.size else image.crop((left, top, left + width, top + height))
    try:
        views = protocol.views((height, width), form, draws)
        scaled: dict[tuple[int, int] | None, Image.Image] = {}
        if any(view.scaled is None for view in views):
            scaled[None] = fitted(image, form)
        return [_cut(part, view, form, scaled) for view in views]
    except (Image.DecompressionBombError, MemoryError) as error:
        raise UnreadableImageError("too large for these views") from error


def _cut(
    image: Image.Image, view: View, form: ImageForm, scaled: dict[tuple[int, int] | None, Image.Image]
) -> NDArray[np.uint8]:
    """Return one view; `scaled` keeps the image at the sizes that it was brought to already."""
    resample = RESAMPLING[form.interpolation]
    if view.scaled is not None and view.scaled not in scaled:
        height, width = view.scaled
        scaled[view.scaled] = image if image.size == (width, height) else image.resize((width, height), resample)
    top, left, height, width = view.box
    part = scaled[view.scaled].crop((left, top, left + width, top + height))
    if (height, width) != view.size:
        part = part.resize((view.size[1], view.size[0]), resample)
    pixels = np.asarray(part)
    pixels = pixels if pixels.ndim == 3 else pixels[..., None]  # (H, W) -> (H, W, 1)
    return pixels[:, ::-1] if view.mirrored else pixels


def _batches(views: Iterable[tuple[int, NDArray[np.uint8]]]) -> Iterator[list[tuple[int, NDArray[np.uint8]]]]:
    """Yield views of one size together, as many as go through the network at once."""

    def shape(view: tuple[int, NDArray[np.uint8]]) -> tuple[int, ...]:
        return view[1].shape

    for (height, width, _), same in groupby(sorted(views, key=shape), key=shape):
        yield from in_chunks(same, max(1, min(MOST, BATCH_PIXELS // (height * width))))
