"""Peaks: the strongest answer of all around stands, over positions, classes and scales."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lenext.scanning.peaks import ClassMap, find_peaks
from lenext.scanning.scan import _summary


def class_map(
    lead: dict[tuple[int, int], float], others: dict[tuple[int, int], float] | None = None, *, scale: float = 1.0
) -> ClassMap:
    """Return a map of 20 x 30 cells, 4 pixels apart with windows of 28, in which some cells lead."""
    leads = np.full((20, 30), -5, np.float32)
    for cell, value in lead.items():
        leads[cell] = value
    strength = np.maximum(leads, 0.1)
    for cell, value in (others or {}).items():
        strength[cell] = value
        leads[cell] = -value
    probability = (1 / (1 + np.exp(-leads))).astype(np.float32)
    side, step = 28 / scale, 4 / scale
    return ClassMap(scale, probability, leads, strength.astype(np.float32), (side / 2,) * 2, (step,) * 2, (side,) * 2)


def places(maps: list[ClassMap], threshold: float = 0.5) -> list[tuple[float, float]]:
    return [(peak.x, peak.y) for peak in find_peaks(maps, threshold)]


def test_a_lone_peak_is_the_centre_of_its_window() -> None:
    (peak,) = find_peaks([class_map({(5, 8): 3})], 0.5)
    assert (peak.x, peak.y, peak.scale) == (14 + 8 * 4, 14 + 5 * 4, 1)
    assert peak.box == (32, 20, 60, 48)
    assert peak.probability == pytest.approx(1 / (1 + np.exp(-3)), abs=1e-6)


def test_of_two_within_two_thirds_of_a_window_the_stronger_stands() -> None:
    assert places([class_map({(5, 8): 3, (7, 10): 4})]) == [(54, 42)]
    assert places([class_map({(5, 8): 3, (5, 12): 4})]) == [(62, 34)]
    assert places([class_map({(5, 8): 3, (5, 13): 4})]) == [(66, 34), (46, 34)]


def test_a_stronger_answer_for_another_class_leaves_no_peak() -> None:
    assert places([class_map({(5, 8): 3}, {(6, 10): 4})]) == []
    assert places([class_map({(5, 8): 3}, {(6, 10): 2.5})]) == [(46, 34)]
    assert places([class_map({(5, 8): 3}, {(5, 15): 4})]) == [(46, 34)]


def test_scales_compete() -> None:
    near = class_map({(10, 16): 6}, scale=2.0)  # at (39, 27), a window of 14 pixels
    assert places([class_map({(4, 6): 3}), near]) == [(39, 27)]
    assert places([class_map({(4, 6): 7}), near]) == [(38, 30)]
    assert places([class_map({(4, 20): 3}), near]) == [(39, 27), (94, 30)]


def test_the_threshold_is_a_probability() -> None:
    found = [class_map({(5, 8): 1, (12, 20): 4})]
    assert len(places(found, 0.7)) == 2
    assert places(found, 0.75) == [(94, 62)]
    assert places(found, 0.99) == []


def test_a_peak_lies_between_cells_where_they_say_so() -> None:
    (peak,) = find_peaks([class_map({(5, 8): 4, (5, 9): 3.9, (5, 7): 1})], 0.5)
    assert 46 < peak.x < 48
    assert peak.y == 34


def test_background_competes_with_nothing() -> None:
    logits = torch.full((3, 1, 3), -4.0)
    logits[0, 0, 0], logits[1, 0, 1], logits[2, 0, 2] = 4, 6, 9
    competing, quiet = _summary(logits, 0, None), _summary(logits, 0, 2)
    assert competing[2].tolist() == [[8, 10, 13]]
    assert quiet[2].tolist() == [[8, 10, -13]]
    assert quiet[1].tolist() == [[8, -10, -13]]
    assert _summary(logits, 2, 2)[2].tolist() == [[8, 10, 13]], "unless it is what was asked for"


def test_one_map_of_one_cell() -> None:
    one = np.ones((1, 1), np.float32)
    assert len(find_peaks([ClassMap(1, 0.9 * one, one, one, (14, 14), (4, 4), (28, 28))], 0.5)) == 1
    assert find_peaks([], 0.5) == []


def test_boxes_end_where_the_image_does() -> None:
    (peak,) = find_peaks([class_map({(5, 8): 3})], 0.5)
    assert peak.within(100, 100) == peak
    assert peak.within(40, 50).box == (32, 20, 50, 40)
    assert (peak.within(40, 50).x, peak.within(40, 50).y) == (peak.x, peak.y)
