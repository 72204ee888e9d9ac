"""`evaluate`: a trained classifier judged on labelled images, alone, beside others, or averaged with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

from lenext.answering import EngineNetwork
from lenext.classifier import Classifier
from lenext.data.reading import Reading
from lenext.errors import UserError
from lenext.evaluation.averaging import (
    Average,
    averaged,
    crosswise_averaged,
    equal_weights,
    fitted_weights,
    soup,
)
from lenext.evaluation.examination import CENTER, Examination, Seconds, Sitting, reordered
from lenext.evaluation.figures import figures_of
from lenext.evaluation.judge import Judgement
from lenext.evaluation.result import EvaluationResult, Gain
from lenext.evaluation.significance import Significance, holm, of_same_images
from lenext.evaluation.views.protocols import protocol
from lenext.explanation.mistakes import Reasons
from lenext.prediction import Predictor
from lenext.progress import SILENT, Progress


@dataclass(frozen=True)
class Evaluation:
    """The result, and the answers behind it: to the images of `reading`, among `class_names`.

    `reasons` tell what led to an answer, where one network gave it.
    """

    result: EvaluationResult
    judgement: Judgement
    reading: Reading
    class_names: tuple[str, ...]
    standings: tuple[EvaluationResult, ...] = ()
    blend: Classifier | None = None
    reasons: Reasons | None = None


def evaluate(
    target: str | Path | Predictor,
    data: str | Path,
    *,
    views: str = CENTER,
    split: str | None = None,
    among_present: bool = False,
    strict: bool = False,
    device: str = "auto",
    seed: int = 0,
    exclude: str | Path | None = None,
    progress: Progress = SILENT,
) -> EvaluationResult:
    """Judge a classifier on a split of `data`.

        lenext.evaluate("runs/lenet5-digits", "digits").top1

    `target` is a run folder, a file that lenext wrote or exported, or what `lenext.load` gave. `views` is how each
    image is looked at, one of `lenext.evaluation.views.protocols.PROTOCOLS`; beside any but `center`, the gain over
    `center` is measured too. `split` is `train`, `val`, `test`, `held-out` or `all`; where it
    is None, it is `test`, else `val`, else the images that training did not see, which is the whole where it saw none
    (known by the bytes of each image). The model chooses among all its classes, or, with `among_present`, among those
    of the data. Unreadable images are left out, or, with `strict`, an error. `seed` is that of places that are drawn.
    `exclude` is a list of images to leave out, as `lenext check --write-exclusions` writes it.

    Raises:
        UserError: no such split or views, a class that the model lacks, or no readable image.
        LenextError: an unreadable image, where `strict`.
    """
    protocol(views)
    exam = Examination(
        [target], data, split=split, among_present=among_present, strict=strict, device=device, seed=seed,
        exclude=exclude, progress=progress,
    )  # fmt: skip
    return evaluate_one(exam, views).result


def ensemble(
    targets: Sequence[str | Path | Predictor],
    data: str | Path,
    *,
    average: Average = "probabilities",
    fit_weights: bool = False,
    views: str = CENTER,
    split: str | None = None,
    among_present: bool = False,
    strict: bool = False,
    device: str = "auto",
    seed: int = 0,
    exclude: str | Path | None = None,
    progress: Progress = SILENT,
) -> EvaluationResult:
    """Judge the average of several classifiers, of any architectures, sizes and preprocessing, on a split of `data`.

        lenext.ensemble(["runs/a", "runs/b"], "photos/").gain.words

    Averaged are their `probabilities`, their `logits`, or, of runs of one architecture, their `weights`, which makes
    one network of them. Members count equally, or, with `fit_weights`, so much that the loss is lowest, fitted
    crosswise in parts that `seed` draws: never on the images that are judged with it. The other options are those of
    `evaluate`.

    Raises:
        UserError: fewer than two members, or members of different classes; as in `evaluate`.
        LenextError: an unreadable image, where `strict`.
    """
    protocol(views)
    if len(targets) < 2:
        raise UserError("an ensemble needs two classifiers or more; give run folders or model files")
    exam = Examination(
        targets, data, split=split, among_present=among_present, strict=strict, device=device, seed=seed,
        exclude=exclude, progress=progress,
    )  # fmt: skip
    return evaluate_ensemble(exam, views, average=average, fit_weights=fit_weights).result


@dataclass(frozen=True)
class Comparison:
    """Whether `b` differs from `a` by more than chance brings, on the same images."""

    a: str
    b: str
    significance: Significance

    def to_json(self) -> dict[str, Any]:
        """Return the fields of the command's JSON."""
        return {"a": self.a, "b": self.b, **asdict(self.significance), "verdict": self.significance.verdict}


def evaluate_each(exam: Examination, views: str) -> tuple[list[EvaluationResult], list[Comparison]]:
    """Judge each classifier on the same images, and compare each two of them.

    Of several comparisons, p is Holm's of 1979: how often chance brings any difference as large as the largest.

    Raises:
        UserError: a network that the protocol does not fit.
    """
    exam.require_views(views)
    sittings = [exam.sitting(index, views) for index in range(len(exam.classifiers))]
    results = [_result(exam, index, sitting) for index, sitting in enumerate(sittings)]
    pairs = list(combinations(range(len(sittings)), 2))
    told = holm([of_same_images(sittings[i].judgement.right, sittings[j].judgement.right) for i, j in pairs])
    comparisons = [Comparison(exam.names[i], exam.names[j], each) for (i, j), each in zip(pairs, told, strict=True)]
    return results, comparisons


def evaluate_one(exam: Examination, views: str) -> Evaluation:
    """Judge the first classifier by the protocol called `views`, and the gain over the centre view where it is another.

    Raises:
        UserError: the network cannot have the dense form that the protocol asks for.
    """
    exam.require_views(views)
    base = exam.sitting(0, CENTER)
    if views == CENTER:
        result = _result(exam, 0, base)
        return Evaluation(result, base.judgement, exam.images, base.class_names, reasons=_reasons(exam))
    sitting = exam.sitting(0, views)
    result = replace(_result(exam, 0, sitting), gain=_gain(CENTER, base.judgement, sitting.judgement))
    standings = (_result(exam, 0, base), result)
    return Evaluation(result, sitting.judgement, exam.images, sitting.class_names, standings, reasons=_reasons(exam))


def evaluate_ensemble(exam: Examination, views: str, *, average: Average, fit_weights: bool = False) -> Evaluation:
    """Judge the average of all classifiers of the examination, and its gain over the best of them.

    Raises:
        UserError: members of different classes; weights of networks that differ, or that are to be fitted.
    """
    if average == "weights" and fit_weights:
        raise UserError("the average of weights counts all members equally; fit weights of probabilities or logits")
    exam.require_views(views)
    orders = exam.orders()
    blend = soup(exam.classifiers, exam.names) if average == "weights" else None
    sittings = [exam.sitting(index, views) for index in range(len(exam.classifiers))]
    judgements = [reordered(sitting.judgement, order) for sitting, order in zip(sittings, orders, strict=True)]
    members = [_result(exam, index, sitting) for index, sitting in enumerate(sittings)]
    weights = equal_weights(len(members))
    if blend is not None:
        sitting = exam.with_classifier(blend).sitting(0, views)
    else:
        if fit_weights:
            judgement = crosswise_averaged(judgements, average, seed=exam.seed)
            weights = fitted_weights(judgements, average)
        else:
            judgement = averaged(judgements, weights, average)
        sitting = _together(sittings, judgement)
    best = max(range(len(members)), key=lambda i: (members[i].top1, -members[i].loss))
    result = replace(
        _result(exam, 0, sitting),
        target=" + ".join(exam.names),
        model=exam.classifiers[0].name if blend else f"ensemble of {len(members)}",
        seen=max(member.seen for member in members),
        gain=_gain(exam.names[best], judgements[best], sitting.judgement),
        average=average,
        weights=tuple(weights.tolist()),
        fitted=fit_weights,
        members=tuple(members),
    )
    reasons = _reasons(exam.with_classifier(blend)) if blend else None
    return Evaluation(result, sitting.judgement, exam.images, sitting.class_names, (*members, result), blend, reasons)


def _reasons(exam: Examination) -> Reasons | None:
    """Return what tells what led to the answers of the first classifier; of an exported file nobody can."""
    if isinstance(exam.classifiers[0].model, EngineNetwork):
        return None
    return Reasons(exam.classifiers[0], exam.columns[0] if exam.among_present else None)


def _together(sittings: Sequence[Sitting], judgement: Judgement) -> Sitting:
    """Return what all members cost, with the ensemble's answers."""
    return replace(
        sittings[0],
        judgement=judgement,
        passes=sum(sitting.passes for sitting in sittings),
        area=sum(sitting.area for sitting in sittings),
        seconds=sum(sitting.seconds for sitting in sittings),
    )


def _result(exam: Examination, index: int, sitting: Sitting) -> EvaluationResult:
    seconds = Seconds(exam.start, exam.reading_seconds, sitting.seconds)
    return EvaluationResult(
        target=exam.names[index],
        model=exam.classifiers[index].name,
        split=exam.chosen.split,
        figures=figures_of(sitting.judgement, sitting.class_names),
        classes=len(exam.source.class_names),
        candidates=sitting.judgement.logits.shape[1],
        seen=exam.chosen.seen[index],
        views=sitting.views,
        passes=sitting.passes,
        area=sitting.area,
        seconds=seconds.start + seconds.reading + seconds.judging,
        seconds_by=seconds,
        skipped_files=[{"path": path, "reason": reason} for path, reason in exam.chosen.skipped],
    )


def _gain(over: str, before: Judgement, after: Judgement) -> Gain:
    return Gain(over, of_same_images(before.right, after.right))
