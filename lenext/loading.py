"""`load`: whatever names images, from a run folder, weights, or an exported file, which needs no torch."""

from __future__ import annotations

from pathlib import Path

from lenext.engines.engine import EngineName
from lenext.engines.exported import is_exported, read_exported
from lenext.engines.predictor import ExportedPredictor
from lenext.errors import UserError
from lenext.prediction import Predictor


def load(
    target: str | Path,
    *,
    weights: str | Path | None = None,
    device: str = "auto",
    engine: EngineName | None = None,
    threads: int | None = None,
) -> Predictor:
    """Return what predicts by `target`, with its preprocessing and its class names.

        lenext.load("runs/a").predict("a.png")    # a Classifier, run by torch
        lenext.load("a.onnx").predict("a.png")    # an ExportedPredictor, run without it

    `target` is a run folder, a file that lenext wrote or exported, or other weights that say of which architecture
    they are: a name of `lenext.list_weights`, or `hub:owner/name`. With `weights`, which may be any that
    `lenext.create` takes, it is the name of the architecture. An `engine` runs an exported file. `threads`
    are as many as the cores where they are None.

    Raises:
        UserError: not there, not complete, damaged, of another architecture, or of a format that this version does
            not know; an engine that is not installed or does not run the file.
        LenextError: a download failed.
    """
    if weights is None and is_exported(target):
        if device not in ("auto", "cpu"):
            raise UserError(f"{target} is run by another engine than torch, on the CPU; leave --device {device} away")
        return ExportedPredictor(read_exported(target), engine=engine, threads=threads)
    if engine is not None:
        raise UserError(f"{engine} runs exported files, and {target} is none; lenext export writes one")
    from lenext.classifier import load as load_classifier
    from lenext.device import set_threads

    set_threads(threads)
    return load_classifier(target, weights=weights, device=device)
