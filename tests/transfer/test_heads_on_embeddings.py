"""Heads on embeddings: what they choose, what they answer, and a logistic one as a dense layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lenext.transfer import heads
from lenext.transfer.heads import CHOOSING, HEADS, HeadName, by_turns, fit_head, linear_layer


def blobs(
    classes: int, each: int, width: int, spread: float, seed: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return embeddings (N, 1, D) around one centre a class, and their labels."""
    draws = np.random.default_rng(seed)
    centres = draws.normal(size=(classes, width))
    labels = np.arange(classes).repeat(each)
    values = centres[labels] + spread * draws.normal(size=(len(labels), width))
    return values[:, None].astype(np.float32), labels


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("width", [3, 40])
def test_heads_tell_clear_classes_apart(name: HeadName, width: int) -> None:
    values, labels = blobs(3, 12, width, 0.1)
    head = fit_head(name, values, labels)
    others, wanted = blobs(3, 5, width, 0.1)
    assert (head.predict(others[:, 0]) == wanted).all()
    assert (head.strength is None) == (name == "mean")


def test_the_strength_is_that_of_what_the_images_bear() -> None:
    values, labels = blobs(2, 40, 100, 0.05)
    noise, _ = blobs(2, 40, 100, 30.0)
    clear, vague = (fit_head("logistic", each, labels).strength for each in (values, noise))
    assert clear is not None
    assert vague is not None
    assert vague < clear
    near, far = (fit_head("knn", each, labels).strength for each in (values, noise))
    assert near == 1
    assert far is not None


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize(("each", "width"), [(6, 50), (40, 5)])
def test_a_logistic_head_is_one_dense_layer(classes: int, each: int, width: int) -> None:
    values, labels = blobs(classes, each, width, 0.8)
    head = fit_head("logistic", values, labels)
    weight, bias = linear_layer(head, classes)
    logits = values[:, 0] @ weight.T + bias
    ours = np.exp(logits - logits.max(1, keepdims=True))
    ours /= ours.sum(1, keepdims=True)
    np.testing.assert_allclose(ours, head.model.predict_proba(values[:, 0]), atol=2e-5)


def test_a_class_without_images_is_never_answered() -> None:
    values, labels = blobs(2, 8, 5, 0.1)
    weight, bias = linear_layer(fit_head("logistic", values, labels * 2), 3)
    answers = (values[:, 0] @ weight.T + bias).argmax(1)
    assert (answers == labels * 2).all()


@settings(max_examples=4)
@given(st.integers(2, 4), st.integers(0, 100))
def test_many_views_count_as_one_image(views: int, seed: int) -> None:
    values, labels = blobs(2, 10, 6, 0.5, seed)
    one, many = (fit_head("logistic", each, labels) for each in (values, values.repeat(views, 1)))
    assert one.strength == many.strength
    ours, theirs = (linear_layer(each, 2)[0] for each in (one, many))
    np.testing.assert_allclose(ours, theirs, rtol=0.05, atol=0.02)


@settings(max_examples=20)
@given(st.integers(2, 4), st.integers(0, 100))
def test_neighbours_answer_as_with_one_view(views: int, seed: int) -> None:
    values, labels = blobs(3, 12, 6, 0.8, seed)
    others, _ = blobs(3, 8, 6, 0.8, seed + 1)
    one, many = (fit_head("knn", each, labels) for each in (values, values.repeat(views, 1)))
    assert one.strength == many.strength
    assert (one.predict(others[:, 0]) == many.predict(others[:, 0])).all()


@pytest.mark.parametrize("name", HEADS)
@pytest.mark.parametrize("images", [CHOOSING - 1, CHOOSING + 1, CHOOSING + 3])
def test_a_few_more_images_than_the_strength_is_chosen_on(name: HeadName, images: int, monkeypatch: Any) -> None:
    monkeypatch.setattr(heads, "CHOOSING", 40)
    values, labels = blobs(8, 6, 4, 0.3)
    count = 40 + images - CHOOSING
    assert fit_head(name, values[:count], labels[:count]).predict(values[:count, 0]).shape == (count,)


def test_one_rare_class_does_not_choose_for_all() -> None:
    values, labels = blobs(3, 40, 20, 1.5)
    rare = labels.copy()
    rare[7] = 3
    assert fit_head("knn", values, rare).strength == fit_head("knn", values, labels).strength != 1


def test_images_are_drawn_from_each_class_in_turn() -> None:
    labels = np.array([0] * 50 + [1] * 3 + [2] * 20)
    chosen = by_turns(labels, 12, seed=0)
    assert np.bincount(labels[chosen]).tolist() == [5, 3, 4] or np.bincount(labels[chosen]).tolist() == [4, 3, 5]
    assert (chosen == np.sort(chosen)).all()
    assert (by_turns(labels, 12, seed=1) != chosen).any()
    assert len(by_turns(labels, 100, seed=0)) == len(labels)


def test_one_image_a_class_is_enough() -> None:
    values, labels = blobs(3, 1, 8, 0.1)
    for name in HEADS:
        assert (fit_head(name, values, labels).predict(values[:, 0]) == labels).all()
