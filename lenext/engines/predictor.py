"""`ExportedPredictor`: an exported file that names what is in images."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from lenext.data.cores import available_cores
from lenext.data.decode import ImageForm
from lenext.engines.engine import Engine, EngineName
from lenext.engines.exported import CLASS_MAP, LOGITS, ExportedFile, files_of
from lenext.engines.opening import open_engine
from lenext.prediction import Lanes, Predictor

FEW = 4  # images for each thread, up to which all threads work on one image
CHUNK, MOST = 4 * 256 * 256, 64  # pixels and images that a thread asks about at once; more is no faster
TASKS = 8  # for each thread, at least, so that all end at about the same time


class ExportedPredictor(Predictor):
    """An exported file with an engine that runs it, which is loaded when it is first asked.

    Of few images each is answered by all threads; of many, each thread has a network of its own for one thread, and
    decodes what it asks about, so that no core ever waits for another.
    """

    def __init__(self, file: ExportedFile, *, engine: EngineName | None = None, threads: int | None = None) -> None:
        self.file, self.engine, self.threads = file, engine, threads or available_cores()
        self.classes, self.unnamed = file.classes, file.metadata.get("unnamed") is True
        self.presumed = str(file.metadata.get("presumed", ""))
        self.preprocessing, self.metadata = file.preprocessing, file.metadata
        self._loaded: dict[int, Engine] = {}
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        """The architecture's name in the registry."""
        return str(self.file.metadata["model"])

    @property
    def form(self) -> ImageForm:
        """What images are brought to before the file's own preprocessing, if it has one, does the rest."""
        return self.file.given

    @property
    def run_by(self) -> str:
        """The library that runs the network."""
        return self.loaded(self.threads).name

    def answering(self, threads: int) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
        """Return what gives probabilities when so many threads ask at once."""
        return self.loaded(max(1, self.threads // threads)).answer

    def fingerprint(self) -> str:
        """Return the digest of the file, with that of its weights where these stand beside it.

        A file that stands in for other weights, as `lenext bench` makes them, has the digest of those.
        """
        if "fingerprint" in self.file.metadata:
            return str(self.file.metadata["fingerprint"])
        digest = hashlib.sha256()
        for path in files_of(self.file.path):
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        return digest.hexdigest()

    def lanes(self, images: int) -> Lanes:
        """Return how so many images are best asked about."""
        height, width = self.form.size
        chunk = max(1, min(MOST, CHUNK // (height * width), images // (TASKS * self.threads)))
        if images <= FEW * self.threads or self.threads == 1:
            return Lanes(1, chunk, self.loaded(self.threads).answer)
        return Lanes(self.threads, chunk, lambda pixels: self.loaded(1).answer(pixels))  # loads while others decode

    def probabilities(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """uint8 (N, H, W, C) of the `form` -> probabilities (N, classes)."""
        return self.loaded(self.threads).answer(pixels)

    def logits(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """uint8 (N, H, W, C) of the `form` -> logits (N, classes)."""
        return self.loaded(self.threads).answer(pixels, LOGITS)

    def class_map(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """uint8 (N, H, W, C) of the `form` -> what the head answers at each place of the map, (N, classes, h, w)."""
        return self.loaded(self.threads).answer(pixels, CLASS_MAP)

    def loaded(self, threads: int) -> Engine:
        """Return the engine with so many threads, loaded once."""
        with self._lock:
            if threads not in self._loaded:
                self._loaded[threads] = open_engine(self.file, self.engine, threads=threads)
            return self._loaded[threads]
