from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from lenext.training.criterion import Criterion
from lenext.training.recipes import Situation, make_recipe

LOGITS = torch.tensor([[2.0, 0.0, -1.0], [0.5, 1.5, 0.0]])
LABELS = torch.tensor([0, 2])


def criterion(counts: tuple[int, ...] = (1, 1, 1), **values: Any) -> Criterion:
    recipe = make_recipe("sgd", Situation(train_images=100), values)
    return Criterion(recipe, torch.tensor(counts), torch.device("cpu"))


def surprise(logits: Tensor, label: int, extra: float = 0.0) -> float:
    """Return -log of the label's share of the exponentials, to which `extra` is added."""
    return -math.log(math.exp(logits[label]) / (sum(math.exp(each) for each in logits.tolist()) + extra))


def test_cross_entropy_by_hand() -> None:
    expected = (surprise(LOGITS[0], 0) + surprise(LOGITS[1], 2)) / 2
    assert criterion()(LOGITS, LABELS).item() == pytest.approx(expected)


def test_smoothing_gives_a_share_to_every_class() -> None:
    rows = [[surprise(row, k) for k in range(3)] for row in LOGITS]
    expected = (0.7 * rows[0][0] + 0.1 * sum(rows[0]) + 0.7 * rows[1][2] + 0.1 * sum(rows[1])) / 2
    assert criterion(label_smoothing=0.3)(LOGITS, LABELS).item() == pytest.approx(expected)


def test_the_loss_of_1998_has_room_for_none_of_these() -> None:
    """Equation 9: the penalty of the right class, and the log of all the exponentials with that of a constant."""
    none = math.exp(-0.1)
    expected = (surprise(LOGITS[0], 0, none) + surprise(LOGITS[1], 2, none)) / 2
    made = criterion(loss="map")
    assert made(LOGITS, LABELS).item() == pytest.approx(expected)
    assert made(LOGITS, made.targets(LABELS, torch.ones(2))).item() == pytest.approx(expected)
    shares = made.probabilities(LOGITS)
    assert shares.shape == (2, 4)
    assert shares[0, 0].item() == pytest.approx(math.exp(-surprise(LOGITS[0], 0, none)))
    assert made(LOGITS - 1000, LABELS).item() == pytest.approx(999 - 0.1, rel=1e-5)


def test_mixed_images_have_the_labels_of_both() -> None:
    made = criterion()
    targets = made.targets(LABELS, torch.tensor([0.75, 0.4]))
    assert targets.tolist() == [pytest.approx([0.75, 0, 0.25]), pytest.approx([0.6, 0, 0.4])]
    first = 0.75 * surprise(LOGITS[0], 0) + 0.25 * surprise(LOGITS[0], 2)
    second = 0.6 * surprise(LOGITS[1], 0) + 0.4 * surprise(LOGITS[1], 2)
    assert made(LOGITS, targets).item() == pytest.approx((first + second) / 2)


def test_an_image_mixed_with_itself_keeps_its_label() -> None:
    assert criterion().targets(torch.tensor([1]), torch.tensor([0.3])).tolist() == [pytest.approx([0, 1, 0])]


def test_balanced_classes_weigh_what_they_lack_of_an_equal_share() -> None:
    made = criterion(counts=(6, 2, 1), class_weights="balanced")
    assert made.weights is not None
    assert made.weights.tolist() == pytest.approx([0.5, 1.5, 3])
    assert criterion(counts=(6, 2, 1)).weights is None
    expected = (0.5 * surprise(LOGITS[0], 0) + 3 * surprise(LOGITS[1], 2)) / 2
    assert made(LOGITS, LABELS).item() == pytest.approx(expected)
    assert made(LOGITS, made.targets(LABELS, torch.ones(2))).item() == pytest.approx(expected)


def test_the_weight_of_a_class_counts_also_for_one_image_a_step() -> None:
    made = criterion(counts=(6, 2, 1), class_weights="balanced")
    assert made(LOGITS[1:], LABELS[1:]).item() == pytest.approx(3 * surprise(LOGITS[1], 2))


def test_over_all_images_the_weights_have_a_mean_of_one() -> None:
    counts = (50, 7, 3)
    made = criterion(counts=counts, class_weights="balanced")
    labels = torch.repeat_interleave(torch.arange(3), torch.tensor(counts))
    assert made(torch.zeros(60, 3), labels).item() == pytest.approx(math.log(3))


def test_a_class_without_images_breaks_nothing() -> None:
    assert criterion(counts=(3, 0, 3), class_weights="balanced")(LOGITS, LABELS).isfinite()


def test_weights_and_room_for_none_go_together() -> None:
    made = criterion(counts=(6, 2, 1), class_weights="balanced", loss="map")
    none = math.exp(-0.1)
    expected = (0.5 * surprise(LOGITS[0], 0, none) + 3 * surprise(LOGITS[1], 2, none)) / 2
    assert made(LOGITS, LABELS).item() == pytest.approx(expected)
