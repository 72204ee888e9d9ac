"""ncnn: runs its own files, image by image."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lenext.engines.engine import EngineName, normalised
from lenext.engines.exported import CLASS_MAP, LOGITS, PROBABILITIES, ExportedFile
from lenext.errors import LenextError, UserError

HALVES = ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage")
INPUT, OUTPUT = "in0", "out0"  # as pnnx calls them


class Ncnn:
    """A net of ncnn; https://github.com/Tencent/ncnn."""

    name: EngineName = "ncnn"

    def __init__(self, file: ExportedFile, threads: int) -> None:
        """Load the file.

        Raises:
            UserError: the file is damaged.
        """
        import ncnn

        self._file, self._ncnn = file, ncnn
        self._net = ncnn.Net()
        self._net.opt.num_threads = threads
        for each in HALVES:
            setattr(self._net.opt, each, False)
        if self._net.load_param(str(file.path)) or self._net.load_model(str(file.path.with_suffix(".bin"))):
            raise UserError(f"{file.path} cannot be loaded: it is damaged; export it again")

    def answer(self, pixels: NDArray[np.uint8], output: str = PROBABILITIES) -> NDArray[np.float32]:
        """Return one output, (N, classes), for images uint8 (N, H, W, C).

        Raises:
            UserError: a class map is asked for, which these files do not hold.
        """
        if output == CLASS_MAP:
            raise UserError(f"{self._file.path} holds no class map; export the run as onnx or openvino")
        logits = np.stack([self._logits(image) for image in normalised(pixels, self._file)])
        if output == LOGITS:
            return logits
        powers = np.exp(logits - logits.max(1, keepdims=True))
        found: NDArray[np.float32] = powers / powers.sum(1, keepdims=True)
        return found

    def _logits(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        extractor: Any = self._net.create_extractor()
        extractor.input(INPUT, self._ncnn.Mat(image))  # which shares the memory of the image
        failed, found = extractor.extract(OUTPUT)
        if failed:
            raise LenextError(f"{self._file.path} gives no {OUTPUT}: it is damaged; export it again")
        return np.array(found)
