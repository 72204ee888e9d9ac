"""`load`: a trained classifier from a run folder or a model file, with its preprocessing and class names."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL.Image import Image

from lenext.creation import pretrained
from lenext.data.decode import UnreadableImageError, decode
from lenext.data.folder import image_files
from lenext.data.preprocessing import Preprocessing
from lenext.data.reading import available_cores
from lenext.device import choose_device
from lenext.errors import LenextError, UserError
from lenext.files import is_folder
from lenext.models import ImageClassifier, lookup
from lenext.weights.catalog import CatalogEntry
from lenext.weights.classes import ClassList

Picture = str | Path | Image | NDArray[np.uint8]
ONE_PICTURE = (str, Path, Image, np.ndarray)
BATCH = 64


@dataclass(frozen=True)
class Classifier:
    """A model, what is done to images before it sees them, and what its classes are called.

        classifier = lenext.load("runs/lenet5-digits")
        classifier.predict("a.png", top=3)[0]["predictions"][0]["label"]

    `metadata` is what a file of lenext says of the weights: figures, on which split, of which data. `trained_on` are
    the digests of the images that they were trained on. `presumed` says what the weights do not say and was taken
    from similar ones, `unnamed` that their classes have numbers for names; `published` is their entry in the catalog.
    """

    model: ImageClassifier
    preprocessing: Preprocessing
    classes: ClassList
    metadata: Mapping[str, Any]
    trained_on: NDArray[np.uint64]
    device: torch.device
    presumed: str = ""
    unnamed: bool = False
    published: CatalogEntry | None = None

    @property
    def name(self) -> str:
        """The architecture's name in the registry."""
        assert self.model.spec is not None
        return self.model.spec.name

    @property
    def class_names(self) -> tuple[str, ...]:
        """What the classes are called, in the order of the logits."""
        return self.classes.names

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

    def _decode(self, picture: Picture) -> NDArray[np.uint8] | str:
        try:
            return decode(Path(picture) if isinstance(picture, str) else picture, self.preprocessing.form)
        except UnreadableImageError as error:
            return str(error)

    def _best(self, pixels: NDArray[np.uint8], top: int) -> list[list[dict[str, Any]]]:
        values, indices = self.probabilities(pixels).topk(min(top, len(self.class_names)))
        return [
            [{**self.called(i), "probability": value} for value, i in zip(row, order, strict=True)]
            for row, order in zip(values.tolist(), indices.tolist(), strict=True)
        ]


def load(target: str | Path, *, weights: str | Path | None = None, device: str = "auto") -> Classifier:
    """Return a classifier in evaluation mode, with the preprocessing and the class names of its weights.

    `target` is a run folder, a file that lenext wrote, or other weights that say of which architecture they are: a
    name of `lenext.list_weights`, or `hub:owner/name`. With `weights`, which may be any that `lenext.create` takes,
    it is the name of the architecture.

    Raises:
        UserError: not there, not complete, damaged, of another architecture, or of a format that this version does
            not know.
        LenextError: a download failed.
    """
    name = None if weights is None else lookup(str(target)).name
    where = str(target if weights is None else weights)
    found = pretrained(name, target if weights is None else weights)
    model = found.model
    assert model.spec is not None
    model.drop_training_only()
    place = choose_device(device)
    preprocessing = Preprocessing.from_json(found.preprocessing, where)
    model.eval().to(place, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Classifier(
        model,
        preprocessing,
        found.classes,
        found.metadata,
        found.trained_on,
        place,
        found.presumed,
        found.unnamed,
        found.published,
    )


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
