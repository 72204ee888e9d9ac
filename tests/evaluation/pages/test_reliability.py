from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import numpy as np

from lenext.evaluation.calibration import Calibration, calibrate, reliability
from lenext.evaluation.judge import Judgement
from lenext.evaluation.pages.reliability import draw_reliability

CONFIDENCES = np.array([0.31, 0.52, 0.55, 0.9, 1.0])
BINS = reliability(CONFIDENCES, np.array([False, True, False, True, True]))


def text_of(svg: str) -> str:
    return " ".join(" ".join(ElementTree.fromstring(svg).itertext()).split())


def test_it_takes_the_colours_of_the_page_and_is_the_same_each_time() -> None:
    calibration = Calibration(12.34, BINS, 2.0, 1.26, (1.0, 2.0), 0.5, (0.4, 0.6), BINS)
    svg = draw_reliability(calibration)
    assert svg == draw_reliability(calibration)
    assert svg.startswith("<svg")
    for colour in ("currentColor", "rgb(var(--right))", "rgb(var(--wrong))"):
        assert colour in svg
    for colour in ("#123456", "#0f766e", "#d97706"):
        assert colour not in svg
    assert "as answered: error 12.3 points" in text_of(svg)
    assert "at the temperature: error 1.3 points" in text_of(svg)


def test_without_a_temperature_there_is_one_panel() -> None:
    text = text_of(draw_reliability(Calibration(12.34, BINS, None)))
    assert "as answered" in text
    assert "temperature" not in text


def test_one_image_can_be_drawn() -> None:
    judged = Judgement(np.zeros((1, 3), np.float32), np.array([2]))
    assert "33.3 points" in text_of(draw_reliability(calibrate(judged)))
