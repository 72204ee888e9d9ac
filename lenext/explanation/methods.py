"""The methods: how far each place of an image speaks for a class, told in four ways."""

from __future__ import annotations

import math
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from lenext.classifier import Classifier
from lenext.data.decode import RESAMPLING
from lenext.dense import densify
from lenext.errors import UserError
from lenext.explanation.attribution import integrated_gradients, occlusion
from lenext.explanation.gradcam import grad_cam
from lenext.explanation.heat_map import HeatMap
from lenext.explanation.places import Places, places
from lenext.explanation.sight import Sight

Method = Literal["gradcam", "occlusion", "integrated-gradients", "dense"]
METHODS: tuple[Method, ...] = get_args(Method)
BLUR = 48  # of the side, the deviation over which integrated gradients are smoothed, for single pixels tell nothing
LARGEST = 4  # times the window that the shorter side of an image has in the dense form

# What the brightest place of each means.
BRIGHTEST = {
    "gradcam": "the place whose feature maps speak most for the class",
    "occlusion": "where covering it lowers the logit of the class most",
    "integrated-gradients": "the pixels that add most to the logit of the class",
    "dense": "windows around it are the class with probability 1",
}


class Explainer:
    """One way of asking one classifier: `map` of an image and a class gives a map on the image.

    explainer = Explainer(lenext.load("runs/a"), "gradcam")
    """

    def __init__(self, classifier: Classifier, method: Method, stage: int | None = None) -> None:
        """Take the last stage where `stage`, counted from 0, is None; only Grad-CAM has one.

        Raises:
            UserError: no such method, a stage that the network has not, or one for a method that has none.
        """
        if method not in METHODS:
            raise UserError(f"there is no method {method!r}; give one of {', '.join(METHODS)}")
        if stage is not None and method != "gradcam":
            raise UserError(f"stage {stage} cannot be given for {method}, which looks at no stage; leave it out")
        self.classifier, self.method = classifier, method
        self.stage: int | None = None
        self.places: Places | None = None
        if method == "gradcam":
            self.stage = chosen_stage(classifier, stage)
            assert classifier.model.spec is not None
            self.places = places(classifier.model.spec, self.stage)

    def map(self, sight: Sight, index: int, classifier: Classifier | None = None) -> HeatMap:
        """Return how far each place of the image speaks for a class, in pixels of the photo.

        Another `classifier` of the same architecture may be asked instead.
        """
        classifier = classifier or self.classifier
        model = classifier.model
        if self.method == "dense":
            return class_map(classifier, sight, index)
        x = sight.tensor(classifier)
        if self.places is not None:
            heat = grad_cam(model, x, torch.tensor([index], device=x.device), self.stage)[0]
            found = HeatMap(heat.float().cpu().numpy(), *self.places)
        elif self.method == "occlusion":
            covered, side = occlusion(model, x, index)
            found = HeatMap(covered.cpu().numpy(), (side / 2, side / 2), (float(side), float(side)))
        else:
            smooth = _smoothed(integrated_gradients(model, x, index).cpu().numpy())
            found = HeatMap(smooth, (0.5, 0.5), (1.0, 1.0))
        return found.moved(sight.part, sight.size)


def chosen_stage(classifier: Classifier, stage: int | None) -> int:
    """Return the number of the stage, counted from 0, or that of the last where it is None.

    Raises:
        UserError: the network has no such stage, or none at all.
    """
    count = len(classifier.model.stages)
    if not count:
        raise UserError(
            f"{classifier.name} has no stages, so no feature maps to weigh; "
            "give --method occlusion, integrated-gradients or dense"
        )
    number = count - 1 if stage is None else stage
    classifier.model.require_stage(number)
    return number


def class_map(classifier: Classifier, sight: Sight, index: int) -> HeatMap:
    """Return the probability of a class in each window of the whole image, from the dense form of the classifier.

    The image has its own size; it is enlarged where it is smaller than the window, and made smaller where its shorter
    side is more than four windows.
    """
    form = classifier.preprocessing.form
    dense = densify(classifier.model, form.size).eval()
    photo = sight.photo
    least = max(dense.size[0] / photo.height, dense.size[1] / photo.width)
    scale = max(least, min(1.0, LARGEST * least))
    size = max(dense.size[0], round(photo.height * scale)), max(dense.size[1], round(photo.width * scale))
    shown = photo if size == (photo.height, photo.width) else photo.resize(size[::-1], RESAMPLING[form.interpolation])
    pixels = np.asarray(shown).reshape(1, *size, -1)
    x = classifier.preprocessing.normalise(torch.tensor(pixels).to(classifier.device))
    with torch.inference_mode():
        probability = dense(x)[0].float().softmax(0)[index].cpu().numpy()
    window = dense.size[0] / 2, dense.size[1] / 2
    found = HeatMap(probability, window, (float(dense.stride), float(dense.stride)), full=1.0)
    return found.moved((0.0, 0.0, float(photo.width), float(photo.height)), size)


def _smoothed(values: NDArray[np.float32]) -> NDArray[np.float32]:
    from scipy.ndimage import gaussian_filter

    smooth: NDArray[np.float32] = gaussian_filter(values, math.sqrt(values.size) / BLUR)
    return smooth
