"""`Engine`: what runs a network, whatever library it is of."""

from __future__ import annotations

from typing import Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from lenext.engines.exported import PROBABILITIES, ExportedFile

EngineName = Literal["pytorch", "compiled", "onnxruntime", "openvino", "ncnn"]
ENGINES: tuple[EngineName, ...] = get_args(EngineName)


class Engine(Protocol):
    """A network that is loaded and answers.

    Several threads may ask at once.
    """

    name: EngineName

    def answer(self, pixels: NDArray[np.uint8], output: str = PROBABILITIES) -> NDArray[np.float32]:
        """Return one output for images in the form that is given to the graph, uint8 (N, H, W, C).

        `output` is one of `lenext.engines.exported.OUTPUTS`: (N, classes), or (N, classes, h, w) of a class map.
        """
        ...


def as_rgb(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(N, H, W, 1 or 3) -> (N, H, W, 3)"""
    return pixels if pixels.shape[3] == 3 else pixels.repeat(3, axis=3)


def normalised(pixels: NDArray[np.uint8], file: ExportedFile) -> NDArray[np.float32]:
    """uint8 (N, H, W, C) -> what the network sees, float32 (N, C, H, W)"""
    mean, std = (
        (np.array(each, np.float32) * np.float32(255))[:, None, None]
        for each in (file.preprocessing.mean, file.preprocessing.std)
    )
    planes = np.empty((len(pixels), pixels.shape[3], *pixels.shape[1:3]), np.float32)
    np.subtract(pixels.transpose(0, 3, 1, 2), mean, out=planes)  # plane by plane, which is several times faster
    planes /= std
    return planes
