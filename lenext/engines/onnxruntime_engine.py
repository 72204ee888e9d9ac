"""ONNX Runtime: runs ONNX files."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lenext.engines.engine import EngineName, as_rgb, normalised
from lenext.engines.exported import PROBABILITIES, ExportedFile
from lenext.errors import UserError, one_line


class OnnxRuntime:
    """A session of ONNX Runtime; https://onnxruntime.ai."""

    name: EngineName = "onnxruntime"

    def __init__(self, file: ExportedFile, threads: int) -> None:
        """Load the file.

        Raises:
            UserError: the file is damaged.
        """
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 4  # what is wrong is raised too
        # Threads that spin between two calls take the cores from whoever decodes the next images.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(str(file.path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its errors share no class
            raise UserError(f"{file.path} cannot be loaded: {one_line(error)}; export it again") from None
        self._only = onnxruntime.RunOptions()
        self._only.only_execute_path_to_fetches = True
        self._file, self._input = file, self._session.get_inputs()[0].name

    def answer(self, pixels: NDArray[np.uint8], output: str = PROBABILITIES) -> NDArray[np.float32]:
        """Return one output, (N, classes) or (N, classes, h, w), for images uint8 (N, H, W, C)."""
        given: Any = as_rgb(pixels) if self._file.inside else normalised(pixels, self._file)
        found: NDArray[np.float32] = self._session.run([output], {self._input: given}, self._only)[0]
        return found
