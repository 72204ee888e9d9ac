"""OpenVINO: runs its own files, and ONNX files whose images come at the size that they are resized to."""

from __future__ import annotations

import contextlib
import sys
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lenext.data.cores import available_cores
from lenext.engines.engine import EngineName, as_rgb, normalised
from lenext.engines.exported import PROBABILITIES, ExportedFile
from lenext.engines.kept_blobs import blob_path, keep_blob, recall_blob
from lenext.errors import UserError, one_line

DEVICE = "CPU"
CONVERTER = "openvino.tools.ovc"  # of other formats to OpenVINO's


def import_openvino() -> Any:
    """Return the module, without the converter, whose own imports take longer than all the rest.

    Whoever wants that imports it by its own name.
    """
    hidden = not {"openvino", CONVERTER, "torch"} & sys.modules.keys()  # beside torch the time is of no weight
    if hidden:
        sys.modules[CONVERTER] = None  # type: ignore[assignment]  # so that importing it fails, which OpenVINO expects
    try:
        import openvino
    finally:
        if hidden:
            del sys.modules[CONVERTER]
    return openvino


class OpenVino:
    """A model of OpenVINO; https://docs.openvino.ai.

    It is compiled for each number of images that it is asked about, so that it knows all shapes, and once more for
    whole images, of any size; each of these is kept in the user's cache.
    """

    name: EngineName = "openvino"

    def __init__(self, file: ExportedFile, threads: int) -> None:
        """Start OpenVINO; the file is loaded when it is first asked, where nothing is kept of it."""
        openvino = import_openvino()
        self._file, self._threads = file, threads
        self._core = openvino.Core()
        self._version = str(openvino.__version__)
        self._model: Any = None  # not read before something has to be compiled
        self._compiled: dict[tuple[Any, ...], Any] = {}
        self._requests = threading.local()
        self._lock = threading.Lock()

    def answer(self, pixels: NDArray[np.uint8], output: str = PROBABILITIES) -> NDArray[np.float32]:
        """Return one output, (N, classes) or (N, classes, h, w), for images uint8 (N, H, W, C)."""
        given: Any = as_rgb(pixels) if self._file.inside else normalised(pixels, self._file)
        found = self._request(given.shape, output).infer([given], share_inputs=True)
        return np.array(next(iter(found.values())))

    def _request(self, shape: tuple[int, ...], output: str) -> Any:
        """Return this thread's own request for images of a shape."""
        own = self._requests.__dict__.setdefault("made", {})
        known = not self._file.inside or shape[1:3] == self._file.given.size
        key = (shape if known else None, output)
        if key not in own:
            with self._lock:
                if key not in self._compiled:
                    self._compiled[key] = self._compile(*key)
            own[key] = self._compiled[key].create_infer_request()
        return own[key]

    def _compile(self, shape: tuple[int, ...] | None, output: str) -> Any:
        """Return the network for a shape and an output, from the cache where it was compiled before."""
        streams = max(1, available_cores() // self._threads)  # answers at a time, each by so many threads
        settings = {
            "INFERENCE_NUM_THREADS": self._threads * streams,
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": streams,
            "INFERENCE_PRECISION_HINT": "f32",
        }
        path = blob_path(self._file.path, self._version, shape, output, settings)
        if (kept := recall_blob(path)) is not None:
            with contextlib.suppress(RuntimeError):  # OpenVINO looks whether it fits this machine
                return self._core.import_model(kept, DEVICE, settings)
        compiled = self._core.compile_model(self._shaped(shape, output), DEVICE, settings)
        keep_blob(path, compiled.export_model().getvalue())
        return compiled

    def _shaped(self, shape: tuple[int, ...] | None, output: str) -> Any:
        """Return the model of one output, for images of a shape, or of any where it is None."""
        if self._model is None:
            try:
                self._model = self._core.read_model(self._file.path)
            except RuntimeError as error:
                raise UserError(f"{self._file.path} cannot be loaded: {one_line(error)}; export it again") from None
        model = self._model.clone()
        wanted = next(each for each in model.outputs if output in each.get_names())
        made = import_openvino().Model([wanted.get_node()], model.get_parameters(), self._file.path.stem)
        if shape is not None:
            made.reshape(list(shape))
        return made
