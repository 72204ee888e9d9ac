"""`load`: a trained classifier from a run folder or a model file, with its preprocessing and class names."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from lenext.creation import pretrained
from lenext.data.cores import available_cores
from lenext.data.decode import ImageForm
from lenext.data.preprocessing import Preprocessing
from lenext.device import choose_device
from lenext.engines.opening import missing
from lenext.errors import LenextError, UserError
from lenext.models import ImageClassifier, lookup
from lenext.prediction import Lanes, Predictor
from lenext.weights.catalog import CatalogEntry
from lenext.weights.classes import ClassList

BATCH = 64


@dataclass(frozen=True)
class Classifier(Predictor):
    """A model, what is done to images before it sees them, and what its classes are called.

        classifier = lenext.load("runs/lenet5-digits")
        classifier.predict("a.png", top=3)[0]["predictions"][0]["label"]

    `metadata` is what a file of lenext says of the weights: figures, on which split, of which data. `trained_on` are
    the digests of the images that they were trained on. `presumed` says what the weights do not say and was taken
    from similar ones, `unnamed` that their classes have numbers for names; `published` is their entry in the catalog.
    `network`, where there is one, answers pixels in the model's place.
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
    network: Callable[[torch.Tensor], torch.Tensor] | None = None

    @property
    def name(self) -> str:
        """The architecture's name in the registry."""
        assert self.model.spec is not None
        return self.model.spec.name

    @property
    def form(self) -> ImageForm:
        """What images are brought to."""
        return self.preprocessing.form

    def fingerprint(self) -> str:
        """Return the digest of all weights, class names and preprocessing."""
        digest = hashlib.sha256(repr((self.name, self.class_names, self.preprocessing)).encode())
        for name, tensor in self.model.state_dict().items():
            digest.update(name.encode())
            digest.update(tensor.cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def lanes(self, images: int) -> Lanes:
        """Return one lane, for torch takes all cores by itself."""
        return Lanes(1, BATCH, self._answer)

    @property
    def run_by(self) -> str:
        """The library that runs the network."""
        return "pytorch" if self.network is None else "compiled"

    def answering(self, threads: int) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
        """Return what gives probabilities when so many threads ask at once; torch then takes fewer for each."""
        torch.set_num_threads(max(1, available_cores() // threads))
        return self._answer

    @torch.inference_mode()
    def class_map(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """uint8 (N, H, W, C) of the `form` -> what the head answers at each place of the map, (N, classes, h, w)."""
        x = self.preprocessing.normalise(torch.from_numpy(np.require(pixels, requirements="W")).to(self.device))
        found: NDArray[np.float32] = self.model.logits_and_map(x)[1].float().cpu().numpy()
        return found

    @torch.inference_mode()
    def _answer(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        found: NDArray[np.float32] = self._asked(pixels).softmax(1).cpu().numpy()
        return found

    @torch.inference_mode()
    def logits(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """uint8 (N, H, W, C) of the `form` -> logits (N, classes)."""
        found: NDArray[np.float32] = self._asked(pixels).cpu().numpy()
        return found

    def _asked(self, pixels: NDArray[np.uint8]) -> torch.Tensor:
        writable = np.require(pixels, requirements="W")  # torch warns of others
        given = torch.from_numpy(writable).to(self.device)
        if self.network is not None:
            logits: torch.Tensor = self.network(given)
        else:
            logits = self.model(self.preprocessing.normalise(given))
        if not logits.isfinite().all():
            raise LenextError("the model's answers are not finite numbers: its weights are damaged; train again")
        return logits.float()

    def compiled(self) -> Classifier:
        """Return a classifier that answers by a network which torch compiles, for each shape that it meets.

        Raises:
            UserError: there is no C++ compiler, which torch needs for it.
        """
        if (lacking := missing("compiled")) is not None:
            raise UserError(f"the engine compiled cannot be had: {lacking}")
        network = _FromPixels(self.model, self.preprocessing).eval().to(self.device)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # torch uses of its own what it has deprecated
            made = torch.compile(network, dynamic=False, options={"freezing": True})
        return replace(self, network=made)


class _FromPixels(nn.Module):
    """A model with what is done to pixels before, in plain steps that can be compiled."""

    def __init__(self, model: ImageClassifier, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.model = model
        levels = 255 * torch.tensor([preprocessing.mean, preprocessing.std])
        self.levels = nn.Parameter(levels[..., None, None], requires_grad=False)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """uint8 (N, H, W, C) -> logits (N, classes)"""
        images = (pixels.permute(0, 3, 1, 2) - self.levels[0]) / self.levels[1]
        logits: torch.Tensor = self.model(images)
        return logits


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
