"""Averages of answers and of weights, by hand; members of any architecture and size, classes in any order."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import class_folder
from scipy.special import log_softmax, softmax

import lenext
from lenext.classifier import Classifier
from lenext.errors import UserError
from lenext.evaluation.averaging import averaged, crosswise_averaged, equal_weights, fitted_weights, soup
from lenext.evaluation.crosswise import crosswise
from lenext.evaluation.examination import Examination
from lenext.evaluation.judge import Judgement
from lenext.weights.classes import ClassList


def judgement_of(seed: int, *, images: int = 60, classes: int = 4, sharp: float = 1.0) -> Judgement:
    """Return answers that are right more often than not."""
    labels = np.arange(images) % classes
    logits = np.random.default_rng(seed).normal(size=(images, classes))
    logits[np.arange(images), labels] += 1
    return Judgement((sharp * logits).astype(np.float32), labels)


def test_probabilities_and_logits_are_averaged_as_by_hand() -> None:
    a, b = judgement_of(0), judgement_of(1)
    weights = np.array([0.25, 0.75])
    found = averaged([a, b], weights, "probabilities")
    by_hand = 0.25 * softmax(a.logits.astype(float), 1) + 0.75 * softmax(b.logits.astype(float), 1)
    np.testing.assert_allclose(found.probabilities, by_hand, atol=1e-6)
    found = averaged([a, b], weights, "logits")
    np.testing.assert_allclose(found.logits, 0.25 * a.logits + 0.75 * b.logits, atol=1e-6)


@settings(max_examples=30)
@given(st.integers(0, 1000), st.integers(2, 4), st.sampled_from(["probabilities", "logits"]))
def test_fitted_weights_are_the_best_on_a_grid(seed: int, members: int, of: Any) -> None:
    judgements = [judgement_of(seed + i, sharp=1 + i) for i in range(members)]
    weights = fitted_weights(judgements, of)
    assert weights.sum() == pytest.approx(1)
    assert (weights >= 0).all()
    best = averaged(judgements, weights, of).loss
    for other in np.random.default_rng(seed).dirichlet(np.ones(members), 40):
        assert best <= averaged(judgements, other, of).loss + 1e-6
    assert best <= min(judgement.loss for judgement in judgements) + 1e-6


@pytest.mark.parametrize("of", ["probabilities", "logits"])
def test_each_image_is_answered_with_weights_of_the_others(of: Any) -> None:
    judgements = [judgement_of(0), judgement_of(1, sharp=3)]
    found = crosswise_averaged(judgements, of)
    for fit, judged in crosswise(judgements[0].labels):
        parts = [Judgement(j.logits[fit], j.labels[fit]) for j in judgements]
        weights = fitted_weights(parts, of)
        by_hand = sum(
            w * (j.logits[judged] if of == "logits" else softmax(j.logits[judged], 1))
            for w, j in zip(weights, judgements, strict=True)
        )
        wanted = by_hand - np.log(np.exp(by_hand).sum(1, keepdims=True)) if of == "logits" else np.log(by_hand)
        np.testing.assert_allclose(log_softmax(found.logits[judged], 1), wanted, atol=1e-5)


def test_too_few_images_to_fit_on_are_told() -> None:
    with pytest.raises(UserError, match="4 images are too few to fit weights on"):
        crosswise_averaged([judgement_of(0, images=4), judgement_of(1, images=4)], "probabilities")


@pytest.fixture(scope="module")
def mlp_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another architecture, of another size, on the digits."""
    out = tmp_path_factory.mktemp("runs") / "mlp"
    return Path(lenext.train("digits", "mlp", epochs=1, size=32, out=out, seed=1).run)


def test_an_equal_average_across_architectures_and_sizes_is_that_by_hand(digits_run: Path, mlp_run: Path) -> None:
    found = lenext.ensemble([digits_run, mlp_run], "digits")
    exam = Examination([digits_run, mlp_run], "digits")
    assert [reading.images.size for reading in exam.chosen.readings] == [(28, 28), (32, 32)]
    a, b = (exam.sitting(index, "center").judgement for index in (0, 1))
    mean = (softmax(a.logits.astype(float), 1) + softmax(b.logits.astype(float), 1)) / 2
    assert found.loss == pytest.approx(-np.log(mean[np.arange(len(mean)), a.labels]).mean(), abs=1e-6)
    assert found.top1 == pytest.approx(100 * (mean.argmax(1) == a.labels).mean())
    assert found.passes == 2
    assert [member.model for member in found.members] == ["lenet5", "mlp"]
    assert found.gain is not None
    assert found.gain.over == str(digits_run)
    assert found.gain.significance.difference == pytest.approx(found.top1 - found.members[0].top1)


def test_no_member_has_seen_what_an_ensemble_is_judged_on(tmp_path: Path) -> None:
    folder = class_folder(tmp_path / "photos", images=20)
    runs = [lenext.train(folder, "mlp", epochs=1, seed=seed, out=tmp_path / f"run{seed}").run for seed in (1, 2)]
    exam = Examination(runs, folder)
    for classifier in exam.classifiers:
        assert not np.isin(exam.images.digests, classifier.trained_on).any()
    part = tmp_path / "part"
    shutil.copytree(folder, part)
    assert exam.chosen.split == "held-out"


def permuted(classifier: Classifier, order: list[int]) -> Classifier:
    """Return the classifier with its classes in another order."""
    state = {name: tensor.clone() for name, tensor in classifier.model.state_dict().items()}
    for name in ("head.classifier.weight", "head.classifier.bias"):
        state[name] = state[name][order]
    model = lenext.create("lenet5").eval()
    model.load_state_dict(state)
    return replace(classifier, model=model, classes=ClassList(tuple(classifier.class_names[i] for i in order)))


def test_members_may_have_their_classes_in_other_orders(digits_run: Path) -> None:
    first = lenext.load(digits_run)
    other = permuted(first, [3, 1, 4, 0, 5, 9, 2, 6, 8, 7])
    alone, both = lenext.evaluate(first, "digits"), lenext.ensemble([first, other], "digits")
    assert both.loss == pytest.approx(alone.loss, abs=1e-6)
    assert both.figures.per_class == alone.figures.per_class
    assert both.gain is not None
    assert both.gain.significance.difference == 0


def test_classes_are_told_apart_by_their_ids_where_names_are_not(digits_run: Path) -> None:
    """ImageNet has two classes called crane, and others give WordNet ids for names."""
    names = ("crane", "crane", "maillot", *(f"c{i}" for i in range(7)))
    ids = tuple(f"n{i:08d}" for i in range(10))
    first = replace(lenext.load(digits_run), classes=ClassList(names, ids))
    order = [1, 2, 0, *range(9, 2, -1)]
    shuffled = permuted(first, order)
    others = [
        replace(shuffled, classes=ClassList(tuple(names[i] for i in order), tuple(ids[i] for i in order))),
        replace(shuffled, classes=ClassList(tuple(ids[i] for i in order))),
    ]
    for other in others:
        for pair in ([first, other], [other, first]):
            exam = object.__new__(Examination)
            exam.classifiers, exam.names, exam.among_present = pair, ["a", "b"], False
            _, found = exam.orders()
            assert found is not None
            keys = pair[1].classes.ids or pair[1].classes.names
            assert [keys[i] for i in found] == list(pair[0].classes.ids or pair[0].classes.names)
    assert first.classes.distinct[:3] == ("crane (n00000000)", "crane (n00000001)", "maillot")


def test_members_of_other_classes_are_refused(digits_run: Path) -> None:
    first = lenext.load(digits_run)
    fewer = replace(
        first,
        model=_narrowed(first, 9),
        classes=ClassList(first.class_names[:9]),
    )
    few = pytest.raises(UserError, match=r"classes of digits are unknown to the model")
    with few:
        lenext.ensemble([first, fewer], "digits")
    more = replace(first, model=_narrowed(first, 11), classes=ClassList((*first.class_names, "ten")))
    with pytest.raises(
        UserError, match=r"has 10, lenet5 \(2\) 11, and 'ten' is unknown to lenet5 \(1\); --among-present"
    ):
        lenext.ensemble([first, more], "digits")
    assert lenext.ensemble([first, more], "digits", among_present=True).candidates == 10


def _narrowed(classifier: Classifier, classes: int) -> lenext.ImageClassifier:
    model = lenext.create("lenet5", classes=classes).eval()
    state = classifier.model.state_dict()
    rows = [min(row, 9) for row in range(classes)]
    model.load_state_dict({k: v[rows] if k.startswith("head.classifier") else v for k, v in state.items()})
    return model


def test_a_soup_holds_the_mean_of_the_weights(digits_run: Path, other_run: Path) -> None:
    a, b = lenext.load(digits_run), lenext.load(other_run)
    found = soup([a, b], ["a", "b"])
    for name, tensor in found.model.state_dict().items():
        torch.testing.assert_close(tensor, (a.model.state_dict()[name] + b.model.state_dict()[name]) / 2)
    assert set(found.trained_on.tolist()) == {*a.trained_on.tolist(), *b.trained_on.tolist()}
    both = lenext.ensemble([digits_run, other_run], "digits", average="weights")
    assert both.loss == pytest.approx(lenext.evaluate(found, "digits").loss, abs=1e-6)
    same = lenext.ensemble([digits_run, digits_run], "digits", average="weights")
    assert same.loss == pytest.approx(lenext.evaluate(digits_run, "digits").loss, abs=1e-6)
    assert same.passes == 1


def test_counts_of_norms_are_not_averaged(tmp_path: Path) -> None:
    folder = class_folder(tmp_path / "photos", images=12)
    run = lenext.train(folder, "resnet20_cifar", size=16, epochs=1, out=tmp_path / "run").run
    classifier = lenext.load(run)
    found = soup([classifier, classifier], ["a", "b"])
    assert all(tensor.equal(classifier.model.state_dict()[name]) for name, tensor in found.model.state_dict().items())


def test_weights_of_different_networks_cannot_be_averaged(digits_run: Path, mlp_run: Path) -> None:
    with pytest.raises(UserError, match=r"the architecture of .*digits and .*mlp differ; average their probabilities"):
        lenext.ensemble([digits_run, mlp_run], "digits", average="weights")
    a = lenext.load(digits_run)
    with pytest.raises(UserError, match="the classes of a and b differ"):
        soup([a, permuted(a, list(range(9, -1, -1)))], ["a", "b"])


def test_one_is_no_ensemble(digits_run: Path) -> None:
    with pytest.raises(UserError, match="an ensemble needs two classifiers or more"):
        lenext.ensemble([digits_run], "digits")


def test_equal_weights_sum_to_one() -> None:
    assert equal_weights(3).tolist() == [1 / 3] * 3


Command = Callable[..., Any]


def test_the_command_saves_a_soup_that_is_judged_alike(
    command: Command, digits_run: Path, other_run: Path, tmp_path: Path
) -> None:
    out = tmp_path / "soup.safetensors"
    words = ("evaluate", digits_run, other_run, "digits", "--ensemble", "--average", "weights", "--json")
    together = command(*words, "--save", out).json
    alone = command("evaluate", out, "digits", "--json").json
    assert (alone["top1"], alone["images"], alone["split"]) == (together["top1"], together["images"], "held-out")
    assert command(*words, "--save", out).code == 2
    assert command(*words, "--save", tmp_path / "soup.pt").err.startswith("lenext: ")
