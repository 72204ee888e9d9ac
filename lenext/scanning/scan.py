"""`scan`: where in an image a class is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lenext.answering import EngineNetwork, answering
from lenext.classifier import Classifier
from lenext.data.reading import free_memory
from lenext.dense import DenseClassifier, densify
from lenext.errors import LenextError, UserError
from lenext.prediction import Picture, Predictor
from lenext.progress import SILENT, Progress
from lenext.scanning.peaks import ClassMap, Peak, find_peaks
from lenext.scanning.pixels import Pixels, open_pixels
from lenext.scanning.tiles import Span, Tiling
from lenext.scanning.windows import Windows, WindowTiling
from lenext.weights.classes import ClassList

SCALES = (0.5, 1.0, 2.0)
LARGEST_SCALE = 16.0
THRESHOLD = 0.5
BACKGROUND = ("background", "__background__")
CUTS = 100_000  # tiles at most; more are a tile far too small


@dataclass(frozen=True)
class Scan:
    """What a scan found: the peaks of a class, best first, and the maps of each scale that they come from.

    `window` is height and width of what the classifier sees at once and `stride` how far its windows lie apart, in
    pixels of the image at scale 1.
    """

    model: str
    image: str
    label: str
    id: str | None
    pixels: Pixels
    window: tuple[int, int]
    stride: int
    threshold: float
    maps: tuple[ClassMap, ...]
    peaks: tuple[Peak, ...]

    @property
    def scales(self) -> tuple[float, ...]:
        """The scales at which the image is as large as the window, or larger."""
        return tuple(each.scale for each in self.maps)

    def fields(self) -> dict[str, Any]:
        """Return the JSON object that `lenext scan --json` prints, without its schema number."""
        return {
            "model": self.model,
            "image": self.image,
            "class": self.label,
            **({"id": self.id} if self.id else {}),
            "height": self.pixels.height,
            "width": self.pixels.width,
            "window": list(self.window),
            "stride": self.stride,
            "scales": list(self.scales),
            "threshold": self.threshold,
            "peaks": [peak.fields() for peak in self.peaks],
        }

    def picture(self) -> bytes:
        """Return the map over the greyed image, with the peaks, as the bytes of a PNG."""
        from lenext.scanning.overlay import draw

        return draw(self.pixels, self.maps, self.peaks, f"{self.label}, {self.model}")


def scan(
    target: str | Path | Predictor,
    image: Picture,
    label: str,
    *,
    weights: str | Path | None = None,
    scales: Sequence[float] = SCALES,
    finer: bool = False,
    threshold: float = THRESHOLD,
    tile: int | None = None,
    device: str = "auto",
    progress: Progress = SILENT,
) -> Scan:
    """Return where in an image the class called `label` is.

        found = lenext.scan("runs/lenet5_valid-mnist", "page.png", "7", scales=(1,))
        found.peaks[0].x, found.peaks[0].probability

    `target` and `weights` are what `lenext.load` takes, or what it gave; `image` is a file, a PIL image or a uint8
    array. The dense form of the classifier answers on the image at each of `scales`, times its own size; those at which
    it would be smaller than the window are left out. With `finer`, the last pool is shifted. An exported file, which
    answers one window at a time, is asked about those that lie a quarter of their side apart, or with `finer` an
    eighth. A class called background stands for nothing, and competes with no other. `tile` is the longest side, in
    pixels, that is worked on at once: as much as the free memory holds, where it is None. The tiles overlap so far
    that they change no answer.

    Raises:
        UserError: no such class, an image that cannot be read or is smaller than the window, a tile too small, or any
            for a network each of whose places sees the whole image.
    """
    factors = _checked(scales, threshold, tile)
    classifier = answering(target, weights=weights, device=device)
    index = classifier.index_of(label)
    pixels = open_pixels(image, classifier.preprocessing.form.channels or 3)
    dense = _sliding(classifier, finer)
    sizes = {factor: _scaled(pixels, factor) for factor in factors}
    sizes = {factor: size for factor, size in sizes.items() if size[0] >= dense.size[0] and size[1] >= dense.size[1]}
    if not sizes:
        high, wide = dense.size
        raise UserError(
            f"image smaller than the window: {pixels.height}x{pixels.width} pixels at scale {max(factors):g}, and "
            f"{classifier.name} sees {high}x{wide}; give a larger scale or image"
        )
    scanner = Scanner(classifier, dense, pixels, index)
    maps = tuple(scanner.maps(sizes, tile, progress))
    return Scan(
        model=classifier.name,
        image=str(image) if isinstance(image, str | Path) else "image",
        label=classifier.class_names[index],
        id=classifier.classes.ids[index] if classifier.classes.ids else None,
        pixels=pixels,
        window=dense.size,
        stride=dense.stride,
        threshold=threshold,
        maps=maps,
        peaks=tuple(peak.within(pixels.height, pixels.width) for peak in find_peaks(maps, threshold)),
    )


@dataclass(frozen=True)
class Scanner:
    """A classifier in its dense form, asked about one of its classes, and the image."""

    classifier: Classifier
    dense: DenseClassifier | Windows
    pixels: Pixels
    index: int

    def maps(self, sizes: dict[float, tuple[int, int]], tile: int | None, progress: Progress) -> Iterator[ClassMap]:
        """Yield the map of each scale, the image being of `sizes` there.

        Raises:
            UserError: it cannot be cut into such tiles.
        """
        tiling = WindowTiling(self.dense) if isinstance(self.dense, Windows) else Tiling(self.dense)
        side = tiling.fitting(free_memory()) if tile is None else tile
        plans = {scale: self._plan(tiling, size, side) for scale, size in sizes.items()}
        work = [(scale, row, column) for scale, (rows, columns) in plans.items() for row in rows for column in columns]
        parts: list[tuple[Span, Span, NDArray[np.float32]]] = []
        shown = progress.track(work, "scanning", len(work), lambda _: 1)
        for number, (scale, row, column) in enumerate(shown):
            parts.append((row, column, self._answers(sizes[scale], row, column)))
            if number + 1 == len(work) or work[number + 1][0] != scale:
                yield self._joined(scale, sizes[scale], parts)
                parts = []

    def _plan(self, tiling: Tiling | WindowTiling, size: tuple[int, int], side: int) -> tuple[list[Span], list[Span]]:
        if tiling.whole and max(size) > side:
            raise UserError(
                f"{self.classifier.name} sees the whole image at every place, so that no part of it can be answered "
                f"alone, and {size[0]}x{size[1]} pixels are more than the {side} a side that are worked on at once; "
                "give a smaller scale, a larger tile, or a network without squeeze-and-excitation"
            )
        rows, columns = tiling.spans(size, side)
        if len(rows) * len(columns) > CUTS:
            raise UserError(f"{len(rows) * len(columns):,} tiles of {side} pixels are too many; give larger ones")
        return rows, columns

    @torch.inference_mode()
    def _answers(self, size: tuple[int, int], row: Span, column: Span) -> NDArray[np.float32]:
        """Return probability, lead and strength of each cell of a tile, (3, h, w)."""
        high, wide = row.end - row.start, column.end - column.start
        interpolation = self.classifier.preprocessing.form.interpolation
        region = self.pixels.region(size, row.start, column.start, high, wide, interpolation)
        x = self.classifier.preprocessing.normalise(torch.from_numpy(region[None]).to(self.classifier.device))
        logits = self.dense.answers(self.dense.map(x)[:, :, row.places, column.places])[0].float()
        if not logits.isfinite().all():
            raise LenextError("the model's answers are not finite numbers: its weights are damaged; train again")
        return _summary(logits, self.index, _background(self.classifier.classes)).cpu().numpy()

    def _joined(
        self, scale: float, size: tuple[int, int], parts: Sequence[tuple[Span, Span, NDArray[np.float32]]]
    ) -> ClassMap:
        if len(parts) == 1:
            made = parts[0][2]
        else:
            high = max(row.cells.stop for row, _, _ in parts) if parts[0][0].cells.stop else parts[0][2].shape[1]
            wide = max(column.cells.stop for _, column, _ in parts) if parts[0][1].cells.stop else parts[0][2].shape[2]
            made = np.empty((3, high, wide), np.float32)
            for row, column, part in parts:
                made[:, row.cells, column.cells] = part
        down, right = self.pixels.height / size[0], self.pixels.width / size[1]
        high, wide = self.dense.size
        return ClassMap(
            scale=scale,
            probability=made[0],
            lead=made[1],
            strength=made[2],
            first=(high / 2 * down, wide / 2 * right),
            step=(self.dense.stride * down, self.dense.stride * right),
            window=(high * down, wide * right),
        )


def _sliding(classifier: Classifier, finer: bool) -> DenseClassifier | Windows:
    """Return the classifier as it answers at every window of a larger image."""
    size = classifier.preprocessing.form.size
    if isinstance(classifier.model, EngineNetwork):
        return Windows(classifier.model, size, finer=finer)
    return densify(classifier.model, size, finer=finer).eval()


def _checked(scales: Sequence[float], threshold: float, tile: int | None) -> list[float]:
    """Return the scales once each, smallest first.

    Raises:
        UserError: a value that cannot be.
    """
    factors = sorted({float(scale) for scale in scales})
    wrong = [factor for factor in factors if not 0 < factor <= LARGEST_SCALE]
    if not factors or wrong:
        raise UserError(f"scales {', '.join(f'{f:g}' for f in wrong) or 'none'}: give numbers up to {LARGEST_SCALE:g}")
    if not 0 <= threshold <= 1:
        raise UserError(f"threshold {threshold:g} is no probability; give 0 to 1")
    if tile is not None and tile < 1:
        raise UserError(f"tile {tile} is not a number of pixels above zero")
    return factors


def _scaled(pixels: Pixels, factor: float) -> tuple[int, int]:
    return max(1, round(pixels.height * factor)), max(1, round(pixels.width * factor))


def _background(classes: ClassList) -> int | None:
    return next((number for number, name in enumerate(classes.names) if name.lower() in BACKGROUND), None)


def _summary(logits: Tensor, index: int, background: int | None) -> Tensor:
    """Return probability and lead of a class and the largest lead of any: (classes, h, w) -> (3, h, w)."""
    probability = logits.softmax(0)[index]
    if len(logits) == 1:
        return torch.stack([probability, logits[0], logits[0]])
    most = logits.topk(2, 0)
    second = torch.where(most.indices[0] == index, most.values[1], most.values[0])
    lead = logits[index] - second
    strength = most.values[0] - most.values[1]
    if background is not None and background != index:
        nothing = most.indices[0] == background
        strength = torch.where(nothing, -strength, strength)
    return torch.stack([probability, lead, strength])
