"""Sight: an image as people see it, and what of it a network sees."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from lenext.classifier import Classifier
from lenext.data.decode import UnreadableImageError, fitted, open_image, seen_part
from lenext.pages.heat import Box
from lenext.prediction import Picture


@dataclass(frozen=True)
class Sight:
    """An upright image of mode L or RGB, and the `part` of it (left, top, right, bottom, in its pixels) that is seen.

    `pixels` are what the network sees, uint8 (H, W, C). A part that is padded reaches beyond the image.
    """

    name: str
    photo: Image.Image
    pixels: NDArray[np.uint8]
    part: Box

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of what the network sees, in its own pixels."""
        return self.pixels.shape[0], self.pixels.shape[1]

    def tensor(self, classifier: Classifier) -> Tensor:
        """Return what enters the network, (1, C, H, W)."""
        return classifier.preprocessing.normalise(torch.from_numpy(self.pixels[None]).to(classifier.device))


def look(classifier: Classifier, name: str, picture: Picture) -> Sight:
    """Return the image called `name`, and what the classifier sees of it.

    Raises:
        UnreadableImageError: empty, truncated, or no image.
    """
    form = classifier.preprocessing.form
    photo = open_image(Path(picture) if isinstance(picture, str) else picture, form.channels)
    if not photo.width * photo.height:
        raise UnreadableImageError("an image without pixels")
    try:
        seen = np.array(fitted(photo, form))
    except (Image.DecompressionBombError, MemoryError) as error:
        raise UnreadableImageError(f"too large at {form.size[0]}x{form.size[1]} pixels") from error
    return Sight(name, photo, seen if seen.ndim == 3 else seen[..., None], seen_part(photo.size, form))
