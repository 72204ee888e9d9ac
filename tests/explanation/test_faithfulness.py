"""Whether maps that are wrong are told from maps that are right."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lenext
from lenext.classifier import Classifier
from lenext.explanation.faithfulness import check, deletion, randomised, rank_correlation
from lenext.explanation.heat_map import HeatMap
from lenext.explanation.methods import Explainer
from lenext.explanation.sight import Sight, look

pytestmark = pytest.mark.usefixtures("one_thread")

EXAMPLES = Path(__file__).parents[2] / "examples" / "digits"


@pytest.fixture(scope="module")
def classifier(digits_run: Path) -> Classifier:
    return lenext.load(digits_run, device="cpu")


@pytest.fixture(scope="module")
def two(classifier: Classifier) -> Sight:
    return look(classifier, "two.png", EXAMPLES / "two.png")


def test_rank_correlation() -> None:
    a = np.array([[1, 2], [3, 4]], np.float32)
    assert rank_correlation(a, a**3) == pytest.approx(1)
    assert rank_correlation(a, -a) == pytest.approx(-1)
    assert rank_correlation(a, np.array([[2, 1], [4, 3]], np.float32)) == pytest.approx(0.6)
    assert rank_correlation(a, np.zeros((2, 2), np.float32)) == 0


def test_a_map_of_the_weights_changes_with_them(classifier: Classifier, two: Sight) -> None:
    explainer = Explainer(classifier, "gradcam")
    before = {key: value.clone() for key, value in classifier.model.state_dict().items()}
    state = torch.get_rng_state()
    found = check(explainer, two, 2, explainer.map(two, 2))
    assert [part for part, _ in found.randomised.cascade] == ["head", "stage 1", "stage 0"], "the stem has no weights"
    assert found.randomised.depends_on_weights == (found.randomised.correlation < 0.5)
    assert all(torch.equal(value, before[key]) for key, value in classifier.model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert check(explainer, two, 2, explainer.map(two, 2)) == found, "the same each time"


def test_a_map_of_the_image_alone_is_found_out(classifier: Classifier, two: Sight) -> None:
    class Light(Explainer):
        """Names what is bright, whatever the network is."""

        def map(self, sight: Sight, index: int, classifier: Classifier | None = None) -> HeatMap:
            return HeatMap(sight.pixels[..., 0].astype(np.float32), (0.5, 0.5), (1.0, 1.0))

    light = Light(classifier, "gradcam")
    found = randomised(light, two, 2, light.map(two, 2))
    assert found.correlation == pytest.approx(1)
    assert not found.depends_on_weights
    assert found.fields()["depends_on_weights"] is False


class Counting(torch.nn.Module):
    """The logit of class 0 is how much light is in the left half; that of class 1 is none."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        light = x[..., : x.shape[-1] // 2].mean((1, 2, 3)) * 8
        return torch.stack([light, torch.zeros_like(light)], 1)


def counting(classifier: Classifier, **changes: Any) -> tuple[Classifier, Sight]:
    asked = replace(classifier, model=Counting(), **changes)  # type: ignore[arg-type]
    return asked, look(classifier, "white", np.full((28, 28), 255, np.uint8))


def half(*, left: bool) -> HeatMap:
    values = np.array([[1, 0]] if left else [[0, 1]], np.float32)
    return HeatMap(values, (14.0, 7.0), (28.0, 14.0))


def test_deletion_tells_right_from_wrong(classifier: Classifier) -> None:
    asked, white = counting(classifier)
    right, wrong = (deletion(asked, white, 0, half(left=left)) for left in (True, False))
    assert right.area < right.random_area < wrong.area
    assert right.faster
    assert not wrong.faster
    assert right.deleted[0] == 0
    assert right.deleted[-1] == 1
    assert right.by_map[0] == wrong.by_map[0] == right.at_random[0]
    # Half of the image in seven steps of fourteen: then nothing is left to fall.
    assert right.by_map[7] == pytest.approx(0.5)
    assert wrong.by_map[7] == pytest.approx(wrong.by_map[0])


def test_the_area_by_hand(classifier: Classifier) -> None:
    asked, white = counting(classifier)
    found = deletion(asked, white, 0, half(left=True))
    values, shares = np.array(found.by_map), np.array(found.deleted)
    by_hand = sum((values[i] + values[i + 1]) / 2 * (shares[i + 1] - shares[i]) for i in range(len(shares) - 1))
    assert found.area == pytest.approx(by_hand)
    assert found.fields()["area"] == pytest.approx(by_hand, abs=1e-6)


def test_images_with_few_pixels(digits_run: Path) -> None:
    classifier = lenext.load(digits_run, device="cpu")
    asked, _ = counting(classifier)
    form = replace(classifier.preprocessing.form, size=(3, 5))
    tiny = replace(asked, preprocessing=replace(classifier.preprocessing, form=form))
    found = deletion(tiny, look(tiny, "tiny", np.full((3, 5), 255, np.uint8)), 0, half(left=True))
    assert len(found.deleted) == 15
    assert found.deleted[-1] == 1
