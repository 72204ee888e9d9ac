"""`load`: whatever names images, from a run folder, weights, or an exported file, which needs no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from lenext.data.cores import available_cores
from lenext.engines.engine import EngineName
from lenext.engines.exported import is_exported, read_exported
from lenext.engines.predictor import ExportedPredictor
from lenext.engines.remembered import FILES, Place, Remembered, choose
from lenext.errors import UserError
from lenext.prediction import Predictor

CPU = ("auto", "cpu")  # devices with which other engines than torch are at one


def load(
    target: str | Path,
    *,
    weights: str | Path | None = None,
    device: str = "auto",
    engine: EngineName | Literal["auto"] | None = None,
    threads: int | None = None,
    images: int = 1,
) -> Predictor:
    """Return what predicts by `target`, with its preprocessing and its class names.

        lenext.load("runs/a").predict("a.png")    # a Classifier, run by torch
        lenext.load("a.onnx").predict("a.png")    # an ExportedPredictor, run without it

    `target` is a run folder, a file that lenext wrote or exported, or other weights that say of which architecture
    they are: a name of `lenext.list_weights`, or `hub:owner/name`. With `weights`, which may be any that
    `lenext.create` takes, it is the name of the architecture. `threads` are as many as the cores where they are None.

    `engine` is what runs it, by default torch, or the first engine installed that runs an exported file. "auto" is,
    of those that `lenext bench` has found to agree, the one that answers so many `images` soonest, loading included;
    of what was not benched here it is the default.

    Raises:
        UserError: not there, not complete, damaged, of another architecture, or of a format that this version does
            not know; an engine that is not installed or does not run the file.
        LenextError: a download failed.
    """
    exported = weights is None and is_exported(target)
    if exported and device not in CPU:
        raise UserError(f"{target} is run by another engine than torch, on the CPU; leave --device {device} away")
    if engine == "auto":
        engine, file = _soonest(target, weights, device, threads or available_cores(), images)
    else:
        file = None
    if exported:
        return ExportedPredictor(read_exported(target), engine=engine, threads=threads)
    if engine in FILES:
        file = file or _file_made(target, weights, engine)
        return ExportedPredictor(read_exported(file), engine=engine, threads=threads)
    from lenext.classifier import load as load_classifier
    from lenext.device import set_threads

    set_threads(threads)
    classifier = load_classifier(target, weights=weights, device=device)
    return classifier.compiled() if engine == "compiled" else classifier


def _remembered(target: str | Path, weights: str | Path | None) -> Remembered | None:
    place = Place.of(target, weights)
    return place.recall() if place else None


def _soonest(
    target: str | Path, weights: str | Path | None, device: str, threads: int, images: int
) -> tuple[EngineName | None, Path | None]:
    """Return the engine that a bench speaks for, and the file that it runs where that is not the target itself."""
    known = _remembered(target, weights) if device in CPU else None
    if known is None or (known.accelerator and device == "auto"):
        return None, None
    own = weights is None and is_exported(target)
    able = [row for row in known.rows if own or row.engine not in FILES or known.file_for(row.engine)]
    best = choose(able, images, threads)
    return (None, None) if best is None else (best.engine, known.file_for(best.engine))


def _file_made(target: str | Path, weights: str | Path | None, engine: EngineName) -> Path:
    """Return the file that a bench has made for an engine.

    Raises:
        UserError: there is none of the model as it is now.
    """
    known = _remembered(target, weights)
    file = known.file_for(engine) if known else None
    if file is None:
        asked = f"{target} --weights {weights}" if weights is not None else str(target)
        raise UserError(
            f"{engine} runs files, and none is made of {target} as it is: run lenext bench {asked}, or lenext export"
        )
    return file
