"""The principal axes of a training set's colours, along which AlexNet's noise goes."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lenext.data.augmentation.colour import pca_axes
from lenext.data.reading import Reading

MOST = 2_000  # images, evenly spread over the set, whose pixels are looked at


def colour_axes(reading: Reading) -> Tensor:
    """Return (C, C): column k is an eigenvector of the pixels' covariance times its eigenvalue, of levels 0 to 1."""
    return pca_axes(torch.from_numpy(colour_covariance(reading)))


def colour_covariance(reading: Reading) -> NDArray[np.float64]:
    """Return the covariance (C, C) of the pixels, of levels from 0 to 1, from up to `MOST` images."""
    channels, count = reading.images.channels, 0
    total, products = np.zeros(channels), np.zeros((channels, channels))
    chosen = np.linspace(0, len(reading.images) - 1, min(MOST, len(reading.images))).round().astype(np.int64)
    for image in reading.images.take(reading.split.take(chosen), chosen).each():
        pixels = image.reshape(-1, channels) / np.float32(255)
        total += pixels.sum(0, dtype=np.float64)
        products += pixels.T @ pixels
        count += len(pixels)
    mean = total / count
    return np.asarray(products / count - np.outer(mean, mean))
