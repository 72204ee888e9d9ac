"""What led to answers: the Grad-CAM of each, for the pages of runs and evaluations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from lenext.classifier import Classifier
from lenext.data.decode import seen_part
from lenext.explanation.gradcam import grad_cam
from lenext.explanation.heat_map import HeatMap
from lenext.explanation.overlay import overlay
from lenext.explanation.places import places

AT_ONCE = 8  # images in a batch


@dataclass(frozen=True)
class Reasons:
    """Who tells what led to answers: the classifier that gave them, among all its classes or those at `columns`."""

    classifier: Classifier
    columns: NDArray[np.int64] | None = None

    def maps(self, pixels: NDArray[np.uint8], answers: NDArray[np.int64]) -> list[HeatMap]:
        """Return the map of each image for its answer, in pixels of what the network sees.

        uint8 (N, H, W, C), (N,). A network without stages gives none, nor does a device without memory for it.
        """
        model, preprocessing = self.classifier.model, self.classifier.preprocessing
        if not model.stages or model.spec is None:
            return []
        classes = answers if self.columns is None else self.columns[answers]
        where = places(model.spec, len(model.stages) - 1)
        found: list[HeatMap] = []
        try:
            for start in range(0, len(pixels), AT_ONCE):
                part = slice(start, start + AT_ONCE)
                images = preprocessing.normalise(torch.from_numpy(pixels[part]).to(self.classifier.device))
                asked = torch.from_numpy(classes[part]).to(images.device)
                heat = grad_cam(model, images, asked).float().cpu().numpy()
                found += [HeatMap(each, *where) for each in heat]
        except torch.OutOfMemoryError:  # the page does without, rather than the run
            return []
        return found

    def picture(self, photo: Image.Image, heat: HeatMap, side: int, *, as_seen: bool) -> Image.Image:
        """Return the map over the photo, whose longer side gets `side` pixels.

        The photo may be what the network saw, `as_seen`, or what that was cut from.
        """
        form = self.classifier.preprocessing.form
        whole = (0.0, 0.0, float(photo.width), float(photo.height))
        part = whole if as_seen else seen_part(photo.size, form)
        return overlay(photo, heat.moved(part, form.size), part, (side, side))
