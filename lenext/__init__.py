"""lenext: image classification with convolutional networks, from LeNet to ConvNeXt.

    model = lenext.create("lenet5", classes=10)
    run = lenext.train("photos/", "lenet5")
    lenext.load(run.run).predict("a.png", top=3)

The names below are loaded when they are first used: importing lenext alone imports neither torch nor NumPy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lenext.checking.check import Check, check
    from lenext.classifier import Classifier
    from lenext.conversion import Conversion, convert
    from lenext.cost.comparison import compare
    from lenext.cost.cost import Cost
    from lenext.cost.profile import profile
    from lenext.creation import create
    from lenext.dense import densify
    from lenext.deployment.benching.bench import bench
    from lenext.deployment.benching.result import Bench
    from lenext.deployment.exporting.export import Export, export
    from lenext.errors import LenextError, UserError
    from lenext.evaluation.evaluate import ensemble, evaluate
    from lenext.evaluation.result import EvaluationResult
    from lenext.explanation.explain import Explanations, explain
    from lenext.explanation.result import Explanation
    from lenext.growing import grow
    from lenext.loading import load
    from lenext.models import ImageClassifier, list_models
    from lenext.models.scaling import Compound, compound
    from lenext.scanning.scan import Scan, scan
    from lenext.suspects.result import Suspects
    from lenext.suspects.search import find_suspects
    from lenext.training.run import resume, train
    from lenext.transfer.features import Features, features
    from lenext.transfer.probing import ProbeResult, probe
    from lenext.weights.catalog import list_weights

_HOME = {
    "Bench": "lenext.deployment.benching.result",
    "Check": "lenext.checking.check",
    "Classifier": "lenext.classifier",
    "Compound": "lenext.models.scaling",
    "Conversion": "lenext.conversion",
    "Cost": "lenext.cost.cost",
    "Export": "lenext.deployment.exporting.export",
    "EvaluationResult": "lenext.evaluation.result",
    "Explanation": "lenext.explanation.result",
    "Explanations": "lenext.explanation.explain",
    "Features": "lenext.transfer.features",
    "ImageClassifier": "lenext.models",
    "LenextError": "lenext.errors",
    "ProbeResult": "lenext.transfer.probing",
    "Scan": "lenext.scanning.scan",
    "Suspects": "lenext.suspects.result",
    "UserError": "lenext.errors",
    "bench": "lenext.deployment.benching.bench",
    "check": "lenext.checking.check",
    "compare": "lenext.cost.comparison",
    "compound": "lenext.models.scaling",
    "convert": "lenext.conversion",
    "create": "lenext.creation",
    "densify": "lenext.dense",
    "ensemble": "lenext.evaluation.evaluate",
    "evaluate": "lenext.evaluation.evaluate",
    "export": "lenext.deployment.exporting.export",
    "explain": "lenext.explanation.explain",
    "features": "lenext.transfer.features",
    "find_suspects": "lenext.suspects.search",
    "grow": "lenext.growing",
    "list_models": "lenext.models",
    "list_weights": "lenext.weights.catalog",
    "load": "lenext.loading",
    "probe": "lenext.transfer.probing",
    "profile": "lenext.cost.profile",
    "resume": "lenext.training.run",
    "scan": "lenext.scanning.scan",
    "train": "lenext.training.run",
}

__all__ = [
    "Bench",
    "Check",
    "Classifier",
    "Compound",
    "Conversion",
    "Cost",
    "EvaluationResult",
    "Explanation",
    "Explanations",
    "Export",
    "Features",
    "ImageClassifier",
    "LenextError",
    "ProbeResult",
    "Scan",
    "Suspects",
    "UserError",
    "bench",
    "check",
    "compare",
    "compound",
    "convert",
    "create",
    "densify",
    "ensemble",
    "evaluate",
    "explain",
    "export",
    "features",
    "find_suspects",
    "grow",
    "list_models",
    "list_weights",
    "load",
    "probe",
    "profile",
    "resume",
    "scan",
    "train",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("lenext")
    if name not in _HOME:
        raise AttributeError(f"module 'lenext' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
