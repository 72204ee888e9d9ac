"""Occlusion, integrated gradients and class maps: values by hand, and what each has to sum up to."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import lenext
from lenext.errors import UserError
from lenext.explanation.attribution import integrated_gradients, occlusion
from lenext.explanation.methods import METHODS, Explainer
from lenext.explanation.sight import look
from lenext.models import ImageClassifier
from lenext.models.heads import DenseHead

pytest.importorskip("captum")


class Weighed(ImageClassifier):
    """The logit of class 0 is the sum of the pixels weighed; that of class 1 its negative."""

    def __init__(self, weights: torch.Tensor) -> None:
        super().__init__()
        side = weights.shape[0]
        self.stem, self.stages = nn.Identity(), nn.ModuleList()
        layer = nn.Linear(side * side, 2, bias=False)
        layer.weight = nn.Parameter(torch.stack([weights.flatten(), -weights.flatten()]))
        self.head = DenseHead(1, (side, side), (), layer, pool=nn.Identity(), stride=1, activation=nn.ReLU)


def test_occlusion_by_hand() -> None:
    """Of twenty pixels a side, a cell has two, and a patch four by four, so that a cell lies under up to four."""
    weights = torch.zeros(20, 20)
    weights[9, 5] = 1.0
    image = torch.full((1, 1, 20, 20), 3.0)
    heat, side = occlusion(Weighed(weights), image, 0)
    assert (heat.shape, side) == ((10, 10), 2)
    # The patches that cover row 8 or 9 begin at rows 6 and 8, those that cover column 4 or 5 at columns 2 and 4: the
    # cell of the pixel lies under those four alone, a neighbour beside it under four of which two cover the pixel.
    assert heat[4, 2] == pytest.approx(3)
    assert [float(heat[place]) for place in ((3, 2), (5, 2), (4, 1), (4, 3))] == pytest.approx([1.5] * 4)
    assert float(heat[3, 1]) == pytest.approx(0.75)
    assert float(heat[7:].abs().max()) == 0
    assert float(occlusion(Weighed(weights), image, 1)[0][4, 2]) == pytest.approx(-3)


def test_integrated_gradients_of_a_linear_model_are_its_terms() -> None:
    torch.manual_seed(0)
    weights, image = torch.randn(6, 6), torch.randn(1, 1, 6, 6)
    torch.testing.assert_close(integrated_gradients(Weighed(weights), image, 0), weights * image[0, 0])


@pytest.mark.parametrize("name", ["lenet5", "resnet20_cifar"])
def test_integrated_gradients_sum_to_the_difference_of_the_logits(name: str) -> None:
    torch.manual_seed(0)
    model = lenext.create(name, classes=4, in_channels=1, size=32).eval()
    image = torch.randn(1, 1, 32, 32)
    heat = integrated_gradients(model, image, 2)
    with torch.no_grad():
        gain = float((model(image) - model(torch.zeros_like(image)))[0, 2])
    assert float(heat.sum()) == pytest.approx(gain, rel=0.03, abs=0.01)
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.fixture(scope="module")
def page() -> Image.Image:
    """A five of the built-in digits at the left of a page that is twice as wide as high."""
    from sklearn.datasets import load_digits

    digit = Image.fromarray((load_digits().images[5] * 255 / 16).astype(np.uint8)).resize((28, 28))
    canvas = Image.new("L", (56, 28))
    canvas.paste(digit, (0, 0))
    return canvas


@pytest.mark.parametrize("method", METHODS)
def test_every_method_lies_on_the_photo(digits_run: object, page: Image.Image, method: str) -> None:
    classifier = lenext.load(str(digits_run))
    (found,) = lenext.explain(classifier, page, method=method).readable  # type: ignore[arg-type]
    whole = (0.0, 0.0, 56.0, 28.0)
    assert found.seen == (whole if method == "dense" else (14.0, 0.0, 42.0, 28.0))
    assert found.heat.peak is not None
    x, y = found.heat.peak
    assert found.seen[0] <= x <= found.seen[2]
    assert found.seen[1] <= y <= found.seen[3]
    assert found.picture().size == (448, 224)
    assert found.stage == (1 if method == "gradcam" else None)


def test_the_class_map_is_that_of_the_windows(digits_run: object, page: Image.Image) -> None:
    classifier = lenext.load(str(digits_run))
    found = lenext.explain(classifier, page, method="dense", label="5").readable[0].heat
    assert (found.values.shape, found.first, found.step, found.full) == ((1, 8), (14.0, 14.0), (4.0, 4.0), 1.0)
    at_left = classifier.probabilities(np.asarray(page)[None, :, :28, None].copy())[0, 5]
    assert float(found.values[0, 0]) == pytest.approx(float(at_left), abs=0.3), "but for the padding"
    small = page.crop((0, 0, 28, 28)).resize((8, 8))
    assert lenext.explain(classifier, small, method="dense").readable[0].heat.first == pytest.approx((4.0, 4.0))
    large = page.resize((28 * 40, 28 * 20))
    seen = lenext.explain(classifier, large, method="dense").readable[0].heat
    assert seen.step == pytest.approx((20.0, 20.0)), "the shorter side is no more than four windows"


def test_without_captum_a_line_says_so(digits_run: object, page: Image.Image, monkeypatch: pytest.MonkeyPatch) -> None:
    classifier = lenext.load(str(digits_run))
    monkeypatch.setitem(sys.modules, "captum", None)
    for method, what in (("occlusion", "occlusion"), ("integrated-gradients", "integrated gradients")):
        with pytest.raises(UserError, match=rf"^{what} needs Captum.*: pip install 'lenext\[explain\]'$"):
            lenext.explain(classifier, page, method=method)  # type: ignore[arg-type]
    for method in ("gradcam", "dense"):
        assert lenext.explain(classifier, page, method=method).readable  # type: ignore[arg-type]


def test_what_cannot_be_asked(digits_run: object) -> None:
    classifier = lenext.load(str(digits_run))
    with pytest.raises(UserError, match="no method 'cam'; give one of gradcam, occlusion"):
        Explainer(classifier, "cam")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="stage 1 cannot be given for dense"):
        Explainer(classifier, "dense", 1)
    with pytest.raises(UserError, match="is out of range: the stages of lenet5 are 0 to 1"):
        Explainer(classifier, "gradcam", 3)
    assert look(classifier, "black", np.zeros((10, 20), np.uint8)).part == (5.0, 0.0, 15.0, 10.0)
