"""`export`: a classifier as one file for other engines, written only when it is proved to answer the same."""

from __future__ import annotations

import base64
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from lenext.classifier import Classifier, load
from lenext.data.folder import image_files
from lenext.data.opening import open_source
from lenext.deployment.exporting.int8 import MAX_DROP, Int8, labelled_images, quantise_guarded
from lenext.deployment.exporting.model_file import prove_weights, write_safetensors
from lenext.deployment.exporting.ncnn_file import write_ncnn
from lenext.deployment.exporting.onnx_file import write_onnx
from lenext.deployment.exporting.openvino_file import write_openvino
from lenext.deployment.proof import IMAGES, Proof, prove, readable
from lenext.engines import exported
from lenext.engines.exported import ExportedFile, read_exported
from lenext.errors import LenextError, UserError
from lenext.files import is_folder, stamped
from lenext.progress import SILENT, Progress
from lenext.weights.model_file import model_metadata

ExportFormat = Literal["onnx", "openvino", "ncnn", "safetensors"]
FORMATS: tuple[ExportFormat, ...] = get_args(ExportFormat)
ENDINGS: dict[str, tuple[str, ...]] = dict(exported.ENDINGS) | {"safetensors": (".safetensors",)}
INT8_FORMATS: tuple[ExportFormat, ...] = ("onnx", "openvino")
Write = Callable[[Classifier, dict[str, Any], Path], None]
Prove = Callable[[Classifier, Path, Sequence[Any], Progress], tuple[list[Proof], bool]]


def _prove_engines(
    classifier: Classifier, path: Path, items: Sequence[Any], progress: Progress
) -> tuple[list[Proof], bool]:
    """Return how each engine answers that runs the file, and whether the preprocessing is inside."""
    file = read_exported(path)
    return prove(classifier, file, items, progress=progress), file.inside


def _prove_weights(
    classifier: Classifier, path: Path, items: Sequence[Any], _progress: Progress
) -> tuple[list[Proof], bool]:
    return [prove_weights(classifier, path, items)], False


_WAYS: dict[ExportFormat, tuple[Write, Prove]] = {
    "onnx": (write_onnx, _prove_engines),
    "openvino": (write_openvino, _prove_engines),
    "ncnn": (write_ncnn, _prove_engines),
    "safetensors": (write_safetensors, _prove_weights),
}


@dataclass(frozen=True)
class Export:
    """A file that was written, and how each engine that runs it answered the images of the proof."""

    out: Path
    format: ExportFormat
    bytes: int
    inside: bool
    proofs: tuple[Proof, ...]
    int8: Int8 | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object that `lenext export --json` prints, without its schema number."""
        return {
            "out": str(self.out),
            "format": self.format,
            "bytes": self.bytes,
            "preprocessing_inside": self.inside,
            "images": min(proof.images for proof in self.proofs),
            "agreement": min(proof.agreement for proof in self.proofs),
            "largest_gap": max(proof.largest_gap for proof in self.proofs),
            "engines": [proof.to_json() for proof in self.proofs],
            **({"int8": self.int8.to_json()} if self.int8 else {}),
        }


def export(
    target: str | Path | Classifier,
    format: ExportFormat,
    out: str | Path,
    *,
    check: str | Path | None = None,
    weights: str | Path | None = None,
    int8: bool = False,
    max_drop: float = MAX_DROP,
    progress: Progress = SILENT,
) -> Export:
    """Write `target` as a file that other engines run, and return how these answer.

        lenext.export("runs/photos", "onnx", "photos.onnx").proofs[0].largest_gap

    `target` and `weights` are what `lenext.load` takes, or a classifier of it. Norms are folded into the convolutions
    before them. ONNX and OpenVINO hold the preprocessing in the graph; ncnn, and ONNX for a resizing that it does not
    know, have it beside. `check` are images, a folder of them or data to train on, by which every engine that is
    installed and runs the file is compared with the classifier: 200 of them, or all. Without it they are those that the
    run was trained or judged on, where they still lie where they did.

    With `int8`, layers work in eight bits. What is proved is then the file in float32 that it is made of; what eight
    bits cost is measured on images of `check`, which has labels, that are not those it was calibrated by.

    Raises:
        UserError: a format that there is not, a file that is there already, no images to compare by.
        NotProvedError: an engine does not answer as the classifier does; no file is left.
        TooWorseError: in int8 it loses more than `max_drop` points of top-1; no file is left.
    """
    path = _writable(Path(out), format)
    if int8 and format not in INT8_FORMATS:
        raise UserError(f"{format} cannot be written in int8; give --format {' or '.join(INT8_FORMATS)}")
    if not 0 <= max_drop < 100:
        raise UserError(f"a drop of {max_drop:g} points cannot be; give 0 up to 100")
    classifier = target if isinstance(target, Classifier) else load(target, weights=weights, device="cpu")
    where = place_of_images(classifier, check)
    items = images_to_check(where, given=check is not None)
    metadata = file_metadata(classifier, str(target) if not isinstance(target, Classifier) else "")
    quantised = partial(_quantised, classifier, where, max_drop, progress) if int8 else None
    return _write_proved(path, format, classifier, metadata, items, quantised, progress)


def _write_proved(
    path: Path,
    format: ExportFormat,
    classifier: Classifier,
    metadata: dict[str, Any],
    items: Sequence[Any],
    change: Callable[[ExportedFile], Int8] | None = None,
    progress: Progress = SILENT,
) -> Export:
    """Write beside `path`, prove, let `change` write it once more, and rename; nothing is left of what fails."""
    write, prove_file = _WAYS[format]
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    beside.mkdir()
    try:
        made = beside / path.name
        write(classifier, metadata, made)
        proofs, inside = prove_file(classifier, made, items, progress)
        cost = change(read_exported(made)) if change else None
        files = sorted(beside.iterdir(), key=lambda each: each.name == path.name)  # the named one last
        size = sum(each.stat().st_size for each in files)
        for each in files:
            with each.open("rb+") as written:
                os.fsync(written.fileno())
            each.replace(path.with_name(each.name))
    except OSError as error:
        raise LenextError(f"cannot write {path}: {error.strerror or error}; no file is left") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return Export(path, format, size, inside, tuple(proofs), cost)


def _writable(path: Path, format: str) -> Path:
    """Return the path where all files of the format may be written.

    Raises:
        UserError: no such format, another ending, or something is there already.
    """
    if format not in FORMATS:
        raise UserError(f"there is no format {format!r} to export to; give {', '.join(FORMATS)}")
    endings = ENDINGS[format]
    if path.suffix != endings[0]:
        right = path.with_suffix(endings[0]).name
        raise UserError(f"a file of {format} ends in {endings[0]}, and {path.name} does not; give {right}")
    for each in (path.with_suffix(ending) for ending in endings):
        if each.exists():
            raise UserError(f"{each} is there already; give another name, or remove it first")
    if not path.parent.is_dir():
        raise UserError(f"there is no folder {path.parent} to write {path.name} into")
    return path


def _quantised(
    classifier: Classifier, data: str | Path, max_drop: float, progress: Progress, file: ExportedFile
) -> Int8:
    """Put a file in int8 in the place of one in float32."""
    if not file.inside:
        raise UserError(
            f"int8 needs the preprocessing in the graph, which holds no {file.preprocessing.form.interpolation}"
        )
    calibrating, judged = labelled_images(classifier, file, data)
    with tempfile.TemporaryDirectory(dir=file.path.parent) as place:
        made = Path(place) / file.path.name
        found = quantise_guarded(classifier, file, made, calibrating, judged, max_drop=max_drop, progress=progress)
        for each in made.parent.iterdir():
            each.replace(file.path.with_name(each.name))
    return found


def place_of_images(classifier: Classifier, check: str | Path | None) -> str | Path:
    """Return where the images are that a file is proved by.

    Raises:
        UserError: nobody says where some are.
    """
    where = check if check is not None else classifier.metadata.get("trained_on", {}).get("location")
    if where is None:
        raise UserError("which images is it proved by? Give --check DATA, a folder of images such as it will see")
    return str(where)


def images_to_check(where: str | Path, *, given: bool) -> list[Any]:
    """Return some of the images that lie there, for the proof.

    Raises:
        UserError: there is none that can be read.
    """
    try:
        items: list[Any] = list(image_files(Path(where))) if is_folder(where) else []
        if not items:
            items = [item for split in open_source(where).splits.values() for item in split.items]
    except UserError as error:
        if given:
            raise
        raise UserError(f"the images of the run are no longer there ({error}); give --check DATA") from error
    chosen = np.random.default_rng(0).permutation(len(items))[: 2 * IMAGES]
    kept = readable([items[i] for i in chosen.tolist()])[:IMAGES]
    if not kept:
        raise UserError(f"no image in {where} can be read; give --check other images")
    return kept


def file_metadata(classifier: Classifier, source: str) -> dict[str, Any]:
    """Return what an exported file says of itself, but for what its format decides."""
    spec = classifier.model.spec
    assert spec is not None
    known = classifier.metadata
    return stamped(
        {
            **model_metadata(
                spec, classifier.classes, classifier.preprocessing.to_json(),
                figures=dict(known.get("figures", {})), trained_on=dict(known.get("trained_on", {})),
            ),
            "source": source,
            "precision": "float32",
            "preprocessing_inside": True,
            "digests": base64.b64encode(np.unique(classifier.trained_on).tobytes()).decode(),
        }
    )  # fmt: skip
