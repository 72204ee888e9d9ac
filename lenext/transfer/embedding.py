"""Embeddings: what a network makes of each image before its last layer, computed once and kept on disk."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lenext.classifier import Classifier
from lenext.data.loader import Loader
from lenext.data.reading import Reading
from lenext.errors import LenextError, UserError
from lenext.evaluation.views.looking import seen
from lenext.evaluation.views.protocols import protocol
from lenext.files import user_cache, write_atomically
from lenext.models import ImageClassifier
from lenext.models.parts import CLASSIFIER
from lenext.progress import SILENT, Progress

CENTER = "center"
LAYOUT = 1  # of the files that are kept; those of another are made anew
BATCH_PIXELS = 64 * 224 * 224  # that go through the network at once
CHECKSUM = 16  # bytes at the end of a file


@dataclass(frozen=True)
class Embedded:
    """The embeddings of N images by V views, (N, V, D), float32; `seconds` that they took, 0 where they were kept."""

    values: NDArray[np.float32]
    seconds: float
    kept: bool

    @property
    def mean(self) -> NDArray[np.float32]:
        """The mean over the views, (N, D)."""
        return self.values.mean(1)  # type: ignore[no-any-return]


def embed(
    classifier: Classifier,
    reading: Reading,
    *,
    stage: int | None = None,
    views: str = CENTER,
    seed: int = 0,
    what: str = "embedding",
    progress: Progress = SILENT,
) -> Embedded:
    """Return what enters the last layer for every image of `reading`, in order, or what stage `stage` gives.

    Of a stage it is the mean of each map, or of each square of it where the network has dense layers bound to a size:
    what the head of the network cut there would see. Views may be those of any protocol that looks at places of one
    size. Embeddings are kept in the user's cache, by the weights, the preprocessing and the bytes of the images.

    Raises:
        UserError: a stage that the network does not have, or views of its dense form.
        LenextError: embeddings that are no finite numbers.
    """
    model = classifier.model.eval()
    if stage is not None:
        model.require_stage(stage)
    require_embeddable(views)
    path = _place(classifier, reading, stage, views, seed)
    found = _kept(path, len(reading.images))
    if found is not None:
        return Embedded(found, 0.0, kept=True)
    began = time.perf_counter()
    values = _embedded(classifier, reading, stage, views, seed, what, progress)
    if not np.isfinite(values).all():
        raise LenextError(f"the embeddings of {classifier.name} are no finite numbers: its weights are damaged")
    seconds = time.perf_counter() - began
    with contextlib.suppress(LenextError, OSError):  # a full disk is no reason to end
        _keep(path, values)
    return Embedded(values, seconds, kept=False)


def is_kept(classifier: Classifier, reading: Reading, *, views: str = CENTER, seed: int = 0) -> bool:
    """Say whether the embeddings of these images, from the last stage, are kept; they may turn out damaged."""
    return _place(classifier, reading, None, views, seed).exists()


def require_embeddable(views: str) -> None:
    """Raise UserError where there are no views of this name, or they are of the dense form."""
    if protocol(views).dense:
        raise UserError(f"views {views} are of the dense form, which has no embedding; give center, mirror or ten-crop")


def stage_embedding(model: ImageClassifier, maps: Tensor) -> Tensor:
    """Return what the head of the network, cut after the stage that gives `maps`, would see: (N, C, H, W) -> (N, D)."""
    head = model.head.for_map(maps.shape[1], (maps.shape[2], maps.shape[3]), 1)
    return head.eval().embed(maps)


@torch.inference_mode()
def _embedded(
    classifier: Classifier, reading: Reading, stage: int | None, views: str, seed: int, what: str, progress: Progress
) -> NDArray[np.float32]:
    model, found = classifier.model, list[Tensor]()

    def answer(images: Tensor) -> Tensor:
        made = model.embed(images) if stage is None else stage_embedding(model, model.feature_map(images, stage))
        return made.float().cpu()

    height, width = classifier.preprocessing.form.size
    if views == CENTER:
        size = max(1, min(256, BATCH_PIXELS // (height * width)))
        loader = Loader(reading, classifier.preprocessing, batch_size=size, device=classifier.device)
        for batch in progress.track(loader.in_order(), what, len(loader), len):
            found.append(answer(batch.images))
        return torch.cat(found)[:, None].numpy()
    places = []
    for indices, images in seen(classifier, reading, protocol(views), seed=seed, what=what, progress=progress):
        places.append(indices)
        found.append(answer(images))
    order = torch.cat(places).argsort(stable=True)
    values = torch.cat(found)[order]
    return values.view(len(reading.images), -1, values.shape[1]).numpy()


def _place(classifier: Classifier, reading: Reading, stage: int | None, views: str, seed: int) -> Path:
    """Return the file of these embeddings; its name says everything that they depend on."""
    assert classifier.model.spec is not None
    whole = asdict(classifier.model.spec)
    spec = {key: whole[key] for key in ("name", "in_channels", "options")}
    drawn = seed if views not in (CENTER, "mirror", "full", "ten-crop") else None
    said = [LAYOUT, spec, classifier.preprocessing.to_json(), stage, views, drawn, torch.__version__]
    found = hashlib.blake2b(json.dumps(said, sort_keys=True, default=str).encode(), digest_size=16)
    for name, tensor in classifier.model.state_dict().items():
        if not name.startswith(CLASSIFIER):
            found.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    found.update(reading.digests.tobytes())
    return user_cache() / "embeddings" / f"{found.hexdigest()}.f32"


def _kept(path: Path, images: int) -> NDArray[np.float32] | None:
    """Return the embeddings that a file holds, or None where there is none, or a damaged one."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    head, data, checksum = content[:16], content[16:-CHECKSUM], content[-CHECKSUM:]
    if hashlib.blake2b(head + data, digest_size=CHECKSUM).digest() != checksum:
        return None
    views, width = np.frombuffer(head, np.int64).tolist()
    values = np.frombuffer(data, np.float32)
    return values.reshape(images, views, width) if values.size == images * views * width else None


def _keep(path: Path, values: NDArray[np.float32]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = np.array(values.shape[1:], np.int64).tobytes() + np.ascontiguousarray(values).tobytes()
    content += hashlib.blake2b(content, digest_size=CHECKSUM).digest()
    write_atomically(path, lambda beside: beside.write_bytes(content))
