"""ONNX Runtime: runs ONNX files."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lenext.engines.engine import EngineName, as_rgb, normalised
from lenext.engines.exported import CLASS_MAP, LOGITS, PROBABILITIES, ExportedFile
from lenext.engines.pruning import pruned
from lenext.errors import UserError, one_line


class OnnxRuntime:
    """A session of ONNX Runtime; https://onnxruntime.ai.

    It works out every output, whichever is asked for, so that class maps have a session of their own: of a network
    as small as MobileNetV2 they take a seventh of the time.
    """

    name: EngineName = "onnxruntime"

    def __init__(self, file: ExportedFile, threads: int) -> None:
        """Load the file.

        Raises:
            UserError: the file is damaged.
        """
        self._file, self._threads = file, threads
        self._lock = threading.Lock()
        self._whole: Any = None
        try:
            small = pruned(file.path, (PROBABILITIES, LOGITS))
        except (ValueError, OSError, IndexError) as error:
            raise UserError(f"{file.path} cannot be loaded: {one_line(error)}; export it again") from None
        self._session = self._opened(small or str(file.path))
        if small is None:
            self._whole = self._session
        self._input = self._session.get_inputs()[0].name

    def answer(self, pixels: NDArray[np.uint8], output: str = PROBABILITIES) -> NDArray[np.float32]:
        """Return one output, (N, classes) or (N, classes, h, w), for images uint8 (N, H, W, C)."""
        given: Any = as_rgb(pixels) if self._file.inside else normalised(pixels, self._file)
        session = self._session if output != CLASS_MAP else self._mapping()
        found: NDArray[np.float32] = session.run([output], {self._input: given})[0]
        return found

    def _mapping(self) -> Any:
        """Return the session of the whole file."""
        with self._lock:
            if self._whole is None:
                self._whole = self._opened(str(self._file.path))
            return self._whole

    def _opened(self, model: str | bytes) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = self._threads, 1
        options.log_severity_level = 4  # what is wrong is raised too
        # Threads that spin between two calls take the cores from whoever decodes the next images.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its errors share no class
            raise UserError(f"{self._file.path} cannot be loaded: {one_line(error)}; export it again") from None
