"""`load`: a trained classifier from a run folder or a model file, with its preprocessing and class names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL.Image import Image

from lenext.creation import create
from lenext.data.decode import UnreadableImageError, decode
from lenext.data.folder import image_files
from lenext.data.preprocessing import Preprocessing
from lenext.data.reading import available_cores
from lenext.device import choose_device
from lenext.errors import LenextError, UserError, one_line
from lenext.files import is_folder
from lenext.models import ImageClassifier, lookup
from lenext.models.skeleton import Skeleton
from lenext.weights.loading import answering, load_strictly, require_fit
from lenext.weights.model_file import find_model_file, read_model_file

Picture = str | Path | Image | NDArray[np.uint8]
ONE_PICTURE = (str, Path, Image, np.ndarray)
BATCH = 64


@dataclass(frozen=True)
class Classifier:
    """A model, what is done to images before it sees them, and what its classes are called.

        classifier = lenext.load("runs/lenet5-digits")
        classifier.predict("a.png", top=3)[0]["predictions"][0]["label"]

    `metadata` is what the file says of the weights: figures, on which split, of which data. `trained_on` are the
    digests of the images that they were trained on.
    """

    model: ImageClassifier
    preprocessing: Preprocessing
    class_names: tuple[str, ...]
    metadata: dict[str, Any]
    trained_on: NDArray[np.uint64]
    device: torch.device

    @property
    def name(self) -> str:
        """The architecture's name in the registry."""
        return str(self.metadata["model"])

    def predict(self, images: Picture | Sequence[Picture], top: int = 5) -> list[dict[str, Any]]:
        """Return one entry an image, in order: {image, predictions: [{label, probability}]} or {image, error}.

        `images` is a file, a folder (its images, in order), a PIL image, a uint8 array (H, W) or (H, W, C), or a
        sequence of these.

        Raises:
            UserError: `top` is below one.
        """
        return list(self.predict_each(images, top))

    def predict_each(self, images: Picture | Sequence[Picture], top: int = 5) -> Iterator[dict[str, Any]]:
        """Yield what `predict` returns, as soon as each batch is through."""
        if top < 1:
            raise UserError(f"top {top} cannot be: give 1 or more")
        pictures = list(expand([images] if isinstance(images, ONE_PICTURE) else images))
        with ThreadPoolExecutor(available_cores()) as pool:
            for start in range(0, len(pictures), BATCH):
                group = pictures[start : start + BATCH]
                decoded = list(pool.map(self._decode, (picture for _, picture in group)))
                readable = [pixels for pixels in decoded if isinstance(pixels, np.ndarray)]
                answers = iter(self._best(np.stack(readable), top) if readable else [])
                for (name, _), pixels in zip(group, decoded, strict=True):
                    if isinstance(pixels, np.ndarray):
                        yield {"image": name, "predictions": next(answers)}
                    else:
                        yield {"image": name, "error": pixels}

    @torch.inference_mode()
    def probabilities(self, pixels: NDArray[np.uint8]) -> torch.Tensor:
        """uint8 (N, H, W, C) as the preprocessing gives it -> probabilities (N, classes)."""
        images = self.preprocessing.normalise(torch.from_numpy(pixels).to(self.device))
        logits: torch.Tensor = self.model(images)
        if not logits.isfinite().all():
            raise LenextError("the model's answers are not finite numbers: its weights are damaged; train again")
        return logits.float().softmax(1).cpu()

    def _decode(self, picture: Picture) -> NDArray[np.uint8] | str:
        try:
            return decode(Path(picture) if isinstance(picture, str) else picture, self.preprocessing.form)
        except UnreadableImageError as error:
            return str(error)

    def _best(self, pixels: NDArray[np.uint8], top: int) -> list[list[dict[str, Any]]]:
        values, indices = self.probabilities(pixels).topk(min(top, len(self.class_names)))
        return [
            [{"label": self.class_names[i], "probability": value} for value, i in zip(row, order, strict=True)]
            for row, order in zip(values.tolist(), indices.tolist(), strict=True)
        ]


def load(target: str | Path, *, weights: str | Path | None = None, device: str = "auto") -> Classifier:
    """Return the classifier in a run folder or a `.safetensors` file that lenext wrote, in evaluation mode.

    With `weights`, that is where it is, and `target` is the name of the architecture that it must be.

    Raises:
        UserError: not there, not complete, damaged, or of a format that this version does not know.
    """
    path = find_model_file(target if weights is None else weights)
    file = read_model_file(path)
    metadata = file.metadata
    if weights is not None:
        file.require_model(lookup(str(target)).name, str(path))
    with Skeleton():  # before memory is asked for that a mislabelled file would need
        bare = _build(metadata, path)
    require_fit(bare, answering(bare, file.tensors), where=str(path))
    model = _build(metadata, path)
    model.drop_training_only()
    load_strictly(model, file.tensors, where=str(path))
    preprocessing = Preprocessing.from_json(metadata["preprocessing"], str(path))
    if (list(preprocessing.form.size), preprocessing.form.channels) != (metadata["size"], metadata["in_channels"]):
        raise UserError(f"{path} is damaged: its preprocessing makes images that its model does not take")
    class_names = tuple(str(name) for name in metadata["class_names"])
    if len(class_names) != metadata["classes"]:
        raise UserError(f"{path} is damaged: {len(class_names)} class names for {metadata['classes']} classes")
    place = choose_device(device)
    model.eval().to(place, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Classifier(model, preprocessing, class_names, metadata, file.trained_on, place)


def _build(metadata: dict[str, Any], path: Path) -> ImageClassifier:
    try:
        return create(
            metadata["model"],
            classes=metadata["classes"],
            in_channels=metadata["in_channels"],
            size=tuple(metadata["size"]),
            **metadata["options"],
        )
    except (UserError, TypeError, ValueError, RuntimeError, MemoryError, OverflowError) as error:
        raise UserError(f"{path} names a model that cannot be built: {one_line(error)}") from error


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
