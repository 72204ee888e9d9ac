"""`answering`: whatever answers images as a `Classifier`, be it run by torch or, of an exported file, by its engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lenext.classifier import Classifier, load
from lenext.data.preprocessing import Preprocessing
from lenext.engines.engine import EngineName
from lenext.engines.exported import LOGITS, ExportedFile, is_exported
from lenext.engines.predictor import ExportedPredictor
from lenext.errors import UserError
from lenext.loading import load as load_any
from lenext.models import ImageClassifier, Spec
from lenext.prediction import Predictor

AT_ONCE = 32  # images that the engine is asked about


def answering(
    target: str | Path | Predictor,
    *,
    weights: str | Path | None = None,
    device: str = "auto",
    engine: EngineName | None = None,
) -> Classifier:
    """Return a classifier that gives answers, whose network may be an exported file's.

        answering("a.onnx").probabilities(pixels)

    `target`, `weights` and `engine` are what `lenext.load` takes, or what it gave. The network of an exported file
    answers, which is all that judging and scanning ask of it; whatever else is asked is a UserError. Its engine works
    with as many threads as torch.

    Raises:
        UserError: as `lenext.load`.
    """
    if isinstance(target, Classifier):
        return target
    if isinstance(target, ExportedPredictor):
        return _exported(target)
    if isinstance(target, Predictor):
        raise UserError(f"{type(target).__name__} of {target.name} answers as a whole only; give the run that it is of")
    if weights is None and is_exported(target):
        found = load_any(target, device=device, engine=engine, threads=torch.get_num_threads())
        assert isinstance(found, ExportedPredictor)
        return _exported(found)
    return load(target, weights=weights, device=device)


def _exported(predictor: ExportedPredictor) -> Classifier:
    file = predictor.file
    channels = file.preprocessing.form.channels or 3
    as_they_are = Preprocessing(file.preprocessing.form, (0.0,) * channels, (1 / 255,) * channels)
    network = EngineNetwork(predictor).eval()
    return Classifier(network, as_they_are, file.classes, file.metadata, file.trained_on, torch.device("cpu"))


class EngineNetwork(ImageClassifier):
    """The network of an exported file, run by its engine: it answers, and shows nothing of what is inside.

    It takes images of the network's own size with values from 0 to 255. A graph that cuts the middle out of larger
    images is given them in the middle of such.
    """

    def __init__(self, predictor: ExportedPredictor) -> None:
        nn.Module.__init__(self)  # there are no parts to set
        file = predictor.file
        self.predictor, self.frozen = predictor, ()
        form, given = file.preprocessing.form, file.given
        self.size, self.given = form.size, given.size
        self.start = tuple(round((outer - inner) / 2) for outer, inner in zip(given.size, form.size, strict=True))
        self.spec = _spec(file)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, classes)"""
        pixels = x.permute(0, 2, 3, 1).round().to(torch.uint8).cpu().numpy()
        parts = [self._asked(pixels[start : start + AT_ONCE]) for start in range(0, len(pixels), AT_ONCE)]
        return torch.from_numpy(np.concatenate(parts))

    def _asked(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        if self.given != self.size:
            framed = np.zeros((len(pixels), *self.given, pixels.shape[3]), np.uint8)
            down, right = self.start
            framed[:, down : down + self.size[0], right : right + self.size[1]] = pixels
            pixels = framed
        return self.predictor.loaded(self.predictor.threads).answer(np.ascontiguousarray(pixels), LOGITS)

    @property
    def stem(self) -> nn.Module:  # type: ignore[override]
        """There is none: raises UserError."""
        self.refuse()

    @property
    def stages(self) -> nn.ModuleList:  # type: ignore[override]
        """There are none: raises UserError."""
        self.refuse()

    @property
    def head(self) -> NoReturn:  # type: ignore[override]
        """There is none: raises UserError."""
        self.refuse()

    def state_dict(self, *_args: Any, **_options: Any) -> NoReturn:
        """Raise UserError."""
        self.refuse()

    def __deepcopy__(self, _memo: dict[int, Any]) -> NoReturn:
        self.refuse()

    def refuse(self) -> NoReturn:
        """Raise UserError: what was asked for needs the network itself."""
        file = self.predictor.file
        source = file.metadata.get("source")
        raise UserError(
            f"{file.path} is an exported file, which answers but has no network to look into, to average or to slide "
            f"over larger images; give the run or weights that it is from{f', {source}' if source else ''}"
        )


def _spec(file: ExportedFile) -> Spec:
    form = file.preprocessing.form
    return Spec(str(file.metadata["model"]), len(file.classes), form.channels or 3, form.size)
