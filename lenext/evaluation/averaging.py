"""Ensembles: the answers of several classifiers averaged, with equal or fitted weights; averages of weights."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from lenext.classifier import Classifier
from lenext.errors import UserError
from lenext.evaluation.crosswise import crosswise
from lenext.evaluation.judge import Judgement

Average = Literal["probabilities", "logits", "weights"]
AVERAGES: tuple[Average, ...] = ("probabilities", "logits", "weights")
CHUNK = 1 << 22  # logits that are looked at at a time


def averaged(judgements: Sequence[Judgement], weights: NDArray[np.float64], of: Average) -> Judgement:
    """Return the average of the members' answers, whose classes have one order.

    `weights` (members,) sum to one. Of probabilities, the logits of the average are its logs.
    """
    logits = np.empty_like(judgements[0].logits)
    rows = max(1, CHUNK // logits.shape[1])
    for start in range(0, len(logits), rows):
        some = slice(start, start + rows)
        total = torch.zeros(logits[some].shape, dtype=torch.float64)
        for judgement, weight in zip(judgements, weights.tolist(), strict=True):
            answers = torch.from_numpy(judgement.logits[some]).double()
            total += weight * (answers if of == "logits" else answers.softmax(1))
        logits[some] = (total if of == "logits" else total.clamp(min=1e-300).log()).numpy()
    return Judgement(logits, judgements[0].labels)


def equal_weights(members: int) -> NDArray[np.float64]:
    """Return the same weight for each member, (members,)."""
    return np.full(members, 1 / members)


def fitted_weights(judgements: Sequence[Judgement], of: Average) -> NDArray[np.float64]:
    """Return the weights, at least 0 and summing to one, with which the average has the lowest cross-entropy."""
    from scipy.optimize import minimize

    members = len(judgements)
    objective = (_loss_of_logits if of == "logits" else _loss_of_probabilities)(judgements)
    found = minimize(
        objective, equal_weights(members), jac=True, method="SLSQP", bounds=[(0.0, 1.0)] * members,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": lambda w: np.ones_like(w)},
    )  # fmt: skip
    weights: NDArray[np.float64] = np.clip(found.x, 0, None) / np.clip(found.x, 0, None).sum()
    return weights


def crosswise_averaged(judgements: Sequence[Judgement], of: Average, *, seed: int = 0) -> Judgement:
    """Return the average in which each image is answered with weights that were fitted on others.

    Raises:
        UserError: too few images to fit on.
    """
    labels = judgements[0].labels
    parts = crosswise(labels, seed=seed)
    if not parts:
        raise UserError(f"{len(labels)} images are too few to fit weights on; leave them equal")
    logits = np.empty_like(judgements[0].logits)
    for fit, judged in parts:
        weights = fitted_weights([_part(judgement, fit) for judgement in judgements], of)
        logits[judged] = averaged([_part(judgement, judged) for judgement in judgements], weights, of).logits
    return Judgement(logits, labels)


def soup(classifiers: Sequence[Classifier], names: Sequence[str]) -> Classifier:
    """Return one classifier whose weights are the average of those of runs of one architecture.

    Wortsman et al. 2022, https://arxiv.org/abs/2203.05482: it costs what one of them does, and gains where all went on
    from the same weights. Statistics of batch normalisation are averaged too.

    Raises:
        UserError: runs of different architectures, classes or preprocessing.
    """
    first = classifiers[0]
    states = [classifier.model.state_dict() for classifier in classifiers]
    for other, name in zip(classifiers[1:], names[1:], strict=True):
        for what, a, b in (
            ("architecture", first.model.spec, other.model.spec),
            ("classes", first.class_names, other.class_names),
            ("preprocessing", first.preprocessing, other.preprocessing),
        ):
            if a != b:
                raise UserError(
                    f"weights can be averaged of one architecture alone, with the same classes and preprocessing: the "
                    f"{what} of {names[0]} and {name} differ; average their probabilities"
                )
    mean = {name: _mean([state[name] for state in states]) for name in states[0]}
    model = copy.deepcopy(first.model)
    model.load_state_dict(mean)
    trained_on = np.unique(np.concatenate([classifier.trained_on for classifier in classifiers]))
    return replace(first, model=model, trained_on=trained_on, metadata={}, published=None)


def _mean(tensors: Sequence[Tensor]) -> Tensor:
    if not tensors[0].is_floating_point():  # how many batches a norm has seen
        return tensors[0]
    return torch.stack([tensor.double() for tensor in tensors]).mean(0).to(tensors[0].dtype)


def _part(judgement: Judgement, indices: NDArray[np.int64]) -> Judgement:
    return Judgement(judgement.logits[indices], judgement.labels[indices])


Objective = Callable[[NDArray[np.float64]], tuple[float, NDArray[np.float64]]]


def _loss_of_probabilities(judgements: Sequence[Judgement]) -> Objective:
    """Return the cross-entropy of weighted probabilities, of which that of the label is all that counts."""
    columns = []
    for judgement in judgements:
        logs = torch.from_numpy(judgement.logits).double().log_softmax(1)
        columns.append(logs.gather(1, torch.from_numpy(judgement.labels)[:, None])[:, 0].exp())
    right = torch.stack(columns, 1).numpy()  # (N, members)

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        mixed = np.maximum(right @ weights, 1e-300)
        return float(-np.log(mixed).mean()), -(right / mixed[:, None]).mean(0)

    return loss


def _loss_of_logits(judgements: Sequence[Judgement]) -> Objective:
    """Return the cross-entropy of weighted logits."""
    count = len(judgements[0].labels)
    rows = max(1, CHUNK // (judgements[0].logits.shape[1] * len(judgements)))

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        total, slope = 0.0, np.zeros(len(weights))
        for start in range(0, count, rows):
            some = slice(start, start + rows)
            labels = torch.from_numpy(judgements[0].labels[some])
            logits = torch.stack([torch.from_numpy(judgement.logits[some]) for judgement in judgements]).double()
            mixed = torch.einsum("knc,k->nc", logits, torch.from_numpy(weights))
            total += float(cross_entropy(mixed, labels, reduction="sum"))
            gradient = mixed.softmax(1)
            gradient[torch.arange(len(labels)), labels] -= 1
            slope += torch.einsum("knc,nc->k", logits, gradient).numpy()
        return total / count, slope / count

    return loss
