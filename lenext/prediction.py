"""`Predictor`: names what is in images, whatever runs the network; needs no torch."""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image

from lenext.data.chunks import in_chunks
from lenext.data.cores import available_cores
from lenext.data.decode import ImageForm, UnreadableImageError, decode
from lenext.data.folder import image_files
from lenext.data.preprocessing import Preprocessing
from lenext.errors import LenextError, UserError
from lenext.files import is_folder
from lenext.progress import SILENT, Progress
from lenext.recording.columns import LOW_CONFIDENCE
from lenext.recording.record import Making, Record, Tally
from lenext.weights.classes import ClassList

Picture = str | Path | Image | NDArray[np.uint8]
ONE_PICTURE = (str, Path, Image, np.ndarray)
TOLD = 10  # unreadable images that are told one by one
AHEAD = 2  # chunks for each lane that are under way or wait for their turn

T = TypeVar("T")
R = TypeVar("R")
Named = tuple[str, Picture]
Answered = tuple[list[Named], list[NDArray[np.uint8] | str], NDArray[np.float32]]


@dataclass(frozen=True)
class Lanes:
    """How a network is asked about many images: `answer`, by `count` threads at once, so many images at a time.

    With one lane, which leaves no core idle by itself, all cores decode the images that come next.
    """

    count: int
    images: int
    answer: Callable[[NDArray[np.uint8]], NDArray[np.float32]]


class Predictor(ABC):
    """A classifier that is ready to be asked; `classes` are what it knows, `metadata` is what its weights say.

    `presumed` says what its weights do not say and was taken from similar ones, `unnamed` that its classes have
    numbers for names.
    """

    classes: ClassList
    preprocessing: Preprocessing
    metadata: Mapping[str, Any]
    presumed: str
    unnamed: bool

    @property
    @abstractmethod
    def name(self) -> str:
        """The architecture's name in the registry."""

    @property
    @abstractmethod
    def form(self) -> ImageForm:
        """What images are brought to before `probabilities` takes them."""

    @property
    @abstractmethod
    def run_by(self) -> str:
        """The library that runs the network."""

    @abstractmethod
    def answering(self, threads: int) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
        """Return what gives probabilities as `probabilities` does, when so many threads ask at once."""

    @abstractmethod
    def class_map(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """uint8 (N, H, W, C) of the `form` -> what the head answers at each place of the map, (N, classes, h, w)."""

    @abstractmethod
    def lanes(self, images: int) -> Lanes:
        """Return how so many images are best asked about."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Return in hexadecimal digits what only the same weights with the same classes and preprocessing have."""

    def probabilities(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """uint8 (N, H, W, C) of the `form` -> probabilities (N, classes)."""
        return self.lanes(len(pixels)).answer(pixels)

    @property
    def class_names(self) -> tuple[str, ...]:
        """What the classes are called, in the order of the logits."""
        return self.classes.names

    def predict(
        self, images: Picture | Sequence[Picture], top: int = 5, *, low_confidence: float | None = None
    ) -> list[dict[str, Any]]:
        """Return one entry an image, in order: {image, predictions: [{label, probability}]} or {image, error}.

        `images` is a file, a folder (its images, in order), a PIL image, a uint8 array (H, W) or (H, W, C), or a
        sequence of these. With `low_confidence`, a probability, each answer also says under that name whether its
        first is below it, so that a person should look at the image.

        Raises:
            UserError: `top` is below one, or `low_confidence` is no probability.
        """
        return list(self.predict_each(images, top, low_confidence=low_confidence))

    def predict_each(
        self, images: Picture | Sequence[Picture], top: int = 5, *, low_confidence: float | None = None
    ) -> Iterator[dict[str, Any]]:
        """Yield what `predict` returns, in order, as soon as it is known; images are decoded while others are asked."""
        yield from self._answers(list(_expanded(images)), top, low_confidence)

    def record(
        self,
        images: Picture | Sequence[Picture],
        out: str | Path,
        top: int = 5,
        *,
        low_confidence: float | None = None,
        resume: bool = False,
        strict: bool = False,
        progress: Progress = SILENT,
    ) -> Tally:
        """Write what `predict` returns to a .jsonl, .csv or .parquet file as soon as it is known; return the counts.

            lenext.load("photos.onnx").record("photos/", "answers.csv", low_confidence=0.6, resume=True).images

        With `resume`, a file that is there is gone on with: images that it has answers to are passed over. With
        `strict`, the first unreadable image ends it.

        Raises:
            UserError: no images; a file that is there already, or holds answers that were made otherwise.
            LenextError: an unreadable image, where `strict`; the file cannot be written.
        """
        _require_sense(top, low_confidence)
        named = list(_expanded(images))
        if not named:
            raise UserError("there is no image to answer; give files, or folders that hold some")
        ranks = min(top, len(self.classes))
        making = Making(self.name, self.fingerprint(), ranks, self.classes.ids is not None, low_confidence)
        with Record(Path(out), making, resume=resume) as record:
            left = [each for each in named if record.is_new(each[0])]
            answers = self._answers(left, top, low_confidence) if left else iter(())
            told = 0
            for entry in progress.track(answers, "predicting", len(left), lambda _: 1):
                if strict:
                    require_read(entry)
                record.append(entry)
                if "error" in entry and (told := told + 1) <= TOLD:
                    progress.note(f"skipped {entry['image']}: {entry['error']}")
        return record.tally

    def _answers(self, pictures: Sequence[Named], top: int, low_confidence: float | None) -> Iterator[dict[str, Any]]:
        _require_sense(top, low_confidence)
        lanes = self.lanes(len(pictures))
        work = self._by_lanes if lanes.count > 1 else self._by_one
        for chunk, pixels, answers in work(lanes, in_chunks(pictures, lanes.images)):
            rows = iter(self._best(answers, top))
            for (name, _), decoded in zip(chunk, pixels, strict=True):
                if isinstance(decoded, str):
                    yield {"image": name, "error": decoded}
                    continue
                best = next(rows)
                doubt = {} if low_confidence is None else {LOW_CONFIDENCE: best[0]["probability"] < low_confidence}
                yield {"image": name, "predictions": best, **doubt}

    def _by_lanes(self, lanes: Lanes, chunks: Iterator[list[Named]]) -> Iterator[Answered]:
        """Let each thread decode some images and ask about them."""

        def answered(chunk: list[Named]) -> Answered:
            pixels = [self._decode(picture) for _, picture in chunk]
            return chunk, pixels, _asked(lanes, pixels)

        with ThreadPoolExecutor(lanes.count, thread_name_prefix="lane") as pool:
            yield from in_order(pool, answered, chunks, AHEAD * lanes.count)

    def _by_one(self, lanes: Lanes, chunks: Iterator[list[Named]]) -> Iterator[Answered]:
        """Ask about some images while all cores decode the next ones."""
        with ThreadPoolExecutor(available_cores()) as decoders:

            def decoded(chunk: list[Named]) -> tuple[list[Named], list[NDArray[np.uint8] | str]]:
                return chunk, list(decoders.map(self._decode, (picture for _, picture in chunk)))

            with ThreadPoolExecutor(1) as ahead:
                for chunk, pixels in in_order(ahead, decoded, chunks, 2):
                    yield chunk, pixels, _asked(lanes, pixels)

    def _decode(self, picture: Picture) -> NDArray[np.uint8] | str:
        try:
            return decode(Path(picture) if isinstance(picture, str) else picture, self.form)
        except UnreadableImageError as error:
            return str(error)

    def _best(self, answers: NDArray[np.float32], top: int) -> list[list[dict[str, Any]]]:
        order = np.argsort(-answers, axis=1, kind="stable")[:, :top]
        values = np.take_along_axis(answers, order, axis=1)
        return [
            [{**self.called(i), "probability": value} for value, i in zip(row, places, strict=True)]
            for row, places in zip(values.tolist(), order.tolist(), strict=True)
        ]

    def index_of(self, label: str) -> int:
        """Return the index of the class called `label`: its name, its WordNet id, or another that ImageNet has for it.

        Raises:
            UserError: no such class, with those of like names, or several.
        """
        classes = self.classes
        found = classes.place(label)
        if found is not None:
            return found
        names = reversed(list(enumerate(classes.names)))
        folded = {name.replace("_", " ").casefold(): number for number, name in names}
        wanted = label.replace("_", " ").strip().casefold()
        if wanted in folded:
            return folded[wanted]
        if self.unnamed:
            raise UserError(f"these weights do not name their classes; give a number from 0 to {len(classes) - 1}")
        close = [name for name in folded if wanted and wanted in name.split()][:3]
        close += difflib.get_close_matches(wanted, folded, n=3, cutoff=0.5)
        near = list(dict.fromkeys(classes.names[folded[name]] for name in close))[:3]
        few = f"give one of {', '.join(classes.names)}" if len(classes) <= 12 else "give a name or a WordNet id"
        hint = f"did you mean {' or '.join(near)}?" if near else few
        raise UserError(f"{self.name} has no class {label!r} among its {len(classes):,}; {hint}")

    def called(self, index: int) -> dict[str, str]:
        """Return the name of a class, and its WordNet id where it has one."""
        ids = self.classes.ids
        return {"label": self.class_names[index], **({"id": ids[index]} if ids else {})}


def _require_sense(top: int, low_confidence: float | None) -> None:
    if top < 1:
        raise UserError(f"top {top} cannot be: give 1 or more")
    if low_confidence is not None and not 0 <= low_confidence <= 1:
        raise UserError(f"low confidence {low_confidence:g} is no probability; give 0 to 1")


def require_read(entry: Mapping[str, Any]) -> None:
    """Raise LenextError for the entry of an image that could not be read."""
    if "error" in entry:
        raise LenextError(f"{entry['image']} cannot be read: {entry['error']}")


def _expanded(images: Picture | Sequence[Picture]) -> Iterator[Named]:
    return expand([images] if isinstance(images, ONE_PICTURE) else images)


def _asked(lanes: Lanes, pixels: list[NDArray[np.uint8] | str]) -> NDArray[np.float32]:
    """Return the probabilities of those images that could be decoded, (N, classes)."""
    readable = [each for each in pixels if isinstance(each, np.ndarray)]
    if not readable:
        return np.empty((0, 1), np.float32)
    answers = lanes.answer(np.stack(readable))
    if not np.isfinite(answers).all():
        raise LenextError("the model's answers are not finite numbers: its weights are damaged; train again")
    return answers


def in_order(pool: ThreadPoolExecutor, work: Callable[[T], R], items: Iterable[T], ahead: int) -> Iterator[R]:
    """Yield what the threads of a pool make of the items, in their order, of which `ahead` are under way or done."""
    waiting: deque[Future[R]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) >= ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def expand(images: Iterable[Picture]) -> Iterator[tuple[str, Picture]]:
    """Yield each picture with its name; a folder becomes the image files below it, in order.

    Raises:
        UserError: a folder cannot be read.
    """
    for number, picture in enumerate(images):
        if not isinstance(picture, str | Path):
            yield f"image {number}", picture
        elif not is_folder(picture):
            yield str(picture), picture
        else:
            yield from ((str(path), path) for path in image_files(Path(picture)))
