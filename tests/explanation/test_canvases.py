"""Two digits in two quarters of a canvas: asked for one of them, Grad-CAM points at it, if the weights are trained."""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from pyarrow import parquet as pq
from sklearn.datasets import load_digits

import lenext
from lenext.classifier import Classifier
from lenext.evaluation.intervals import mean_interval
from lenext.explanation.faithfulness import deletion
from lenext.explanation.methods import Explainer
from lenext.explanation.sight import look

pytestmark = pytest.mark.usefixtures("one_thread")

NETWORK, OPTIONS, SIDE, HALF = "resnet20_cifar", {"depth": 0.01}, 16, 8
Canvas = tuple[NDArray[np.uint8], int, tuple[int, int]]


def canvases(split: str, count: int, *, two: bool) -> list[Canvas]:
    """Return canvases, the class of a digit on each, and its quarter; every fifth digit is for testing."""
    digits = load_digits()
    rng = np.random.default_rng(count)
    numbers = np.arange(len(digits.images))
    chosen = numbers[(numbers % 5 == 0) == (split == "test")]
    found = []
    for _ in range(count):
        one = rng.choice(chosen)
        other = rng.choice(chosen[digits.target[chosen] != digits.target[one]])
        page, quarters = np.zeros((SIDE, SIDE), np.uint8), [divmod(int(place), 2) for place in rng.permutation(4)]
        for digit, (row, column) in zip((one, other)[: 1 + two], quarters, strict=False):
            part = page[HALF * row : HALF * (row + 1), HALF * column : HALF * (column + 1)]
            part[:] = digits.images[digit] * 255 / 16
        found.append((page, int(digits.target[one]), quarters[0]))
    return found


def as_png(page: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(page).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    """A small residual network that has learned to name the one digit on a canvas."""
    folder = tmp_path_factory.mktemp("canvases")
    for split, count in (("train", 2_000), ("test", 100)):
        pages = canvases(split, count, two=False)
        rows = {"image": [as_png(page) for page, _, _ in pages], "label": [str(label) for _, label, _ in pages]}
        (folder / "data").mkdir(exist_ok=True)
        pq.write_table(pa.table(rows), folder / "data" / f"{split}.parquet")
    run = lenext.train(
        folder / "data", NETWORK, size=SIDE, options=OPTIONS, epochs=4, seed=1, device="cpu", out=folder / "run"
    )
    assert run.top1 > 85
    return lenext.load(run.run, device="cpu")


def in_place(classifier: Classifier, pages: list[Canvas]) -> float:
    """Return the share of canvases on which the peak for the digit lies in its quarter."""
    explainer, hits = Explainer(classifier, "gradcam"), 0
    for page, label, quarter in pages:
        peak = explainer.map(look(classifier, "canvas", page), classifier.index_of(str(label))).peak
        hits += peak is not None and (peak[1] // HALF, peak[0] // HALF) == quarter
    return hits / len(pages)


def test_the_digit_that_is_asked_for_is_found(classifier: Classifier) -> None:
    pages = canvases("test", 100, two=True)
    assert in_place(classifier, pages) >= 0.9
    for seed in range(3):  # it is not the light that is pointed at, nor the classifier's own answer
        torch.manual_seed(seed)
        model = lenext.create(NETWORK, classes=10, in_channels=1, size=SIDE, **OPTIONS).eval()
        untrained = Classifier(**{**vars(classifier), "model": model})
        assert in_place(untrained, pages) < 0.6


def test_deleting_by_the_map_is_faster_than_at_random(classifier: Classifier) -> None:
    explainer, gains = Explainer(classifier, "gradcam"), []
    for page, label, _ in canvases("test", 40, two=False):
        sight, index = look(classifier, "canvas", page), classifier.index_of(str(label))
        found = deletion(classifier, sight, index, explainer.map(sight, index))
        gains.append(found.random_area - found.area)
    interval = mean_interval(np.array(gains))
    assert interval is not None
    assert interval[0] > 0
