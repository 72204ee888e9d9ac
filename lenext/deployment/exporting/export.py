"""`export`: a classifier as one file for other engines, written only when it is proved to answer the same."""

from __future__ import annotations

import base64
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from lenext.classifier import Classifier, load
from lenext.data.folder import image_files
from lenext.data.opening import open_source
from lenext.deployment.exporting.model_file import prove_weights, write_safetensors
from lenext.deployment.exporting.ncnn_file import write_ncnn
from lenext.deployment.exporting.onnx_file import write_onnx
from lenext.deployment.exporting.openvino_file import write_openvino
from lenext.deployment.proof import IMAGES, Proof, prove, readable
from lenext.engines.exported import ExportedFile, read_exported
from lenext.errors import LenextError, UserError
from lenext.files import is_folder, stamped
from lenext.progress import SILENT, Progress
from lenext.weights.model_file import model_metadata

ExportFormat = Literal["onnx", "openvino", "ncnn", "safetensors"]
FORMATS: tuple[ExportFormat, ...] = get_args(ExportFormat)
# How the files of each format are called; the first is the one that is named.
ENDINGS: dict[ExportFormat, tuple[str, ...]] = {
    "onnx": (".onnx",),
    "openvino": (".xml", ".bin"),
    "ncnn": (".param", ".bin", ".json"),
    "safetensors": (".safetensors",),
}
Write = Callable[[Classifier, dict[str, Any], Path], None]
_WRITERS: dict[ExportFormat, Write] = {
    "onnx": write_onnx,
    "openvino": write_openvino,
    "ncnn": write_ncnn,
    "safetensors": write_safetensors,
}


@dataclass(frozen=True)
class Export:
    """A file that was written, and how each engine that runs it answered the images of the proof."""

    out: Path
    format: ExportFormat
    bytes: int
    inside: bool
    proofs: tuple[Proof, ...]

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
        }


def export(
    target: str | Path | Classifier,
    format: ExportFormat,
    out: str | Path,
    *,
    check: str | Path | None = None,
    weights: str | Path | None = None,
    progress: Progress = SILENT,
) -> Export:
    """Write `target` as a file that other engines run, and return how these answer.

        lenext.export("runs/photos", "onnx", "photos.onnx").proofs[0].largest_gap

    `target` and `weights` are what `lenext.load` takes, or a classifier of it. Norms are folded into the convolutions
    before them. ONNX and OpenVINO hold the preprocessing in the graph; ncnn, and ONNX for a resizing that it does not
    know, have it beside. `check` are images, a folder of them or data to train on, by which every engine that is
    installed and runs the file is compared with the classifier: 200 of them, or all. Without it they are those that the
    run was trained or judged on, where they still lie where they did.

    Raises:
        UserError: a format that there is not, a file that is there already, no images to compare by.
        NotProvedError: an engine does not answer as the classifier does; no file is left.
    """
    path = _writable(Path(out), format)
    classifier = target if isinstance(target, Classifier) else load(target, weights=weights, device="cpu")
    items = images_to_check(classifier, check)
    metadata = file_metadata(classifier, str(target) if not isinstance(target, Classifier) else "")
    return write_proved(path, format, _WRITERS[format], classifier, metadata, items, progress)


def write_proved(
    path: Path,
    format: ExportFormat,
    write: Write,
    classifier: Classifier,
    metadata: dict[str, Any],
    items: Sequence[Any],
    progress: Progress = SILENT,
) -> Export:
    """Write beside `path`, prove, and rename; nothing is left of what is not proved."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    beside.mkdir()
    try:
        made = beside / path.name
        write(classifier, metadata, made)
        if format == "safetensors":
            proofs, inside = [prove_weights(classifier, made, items)], False
        else:
            file: ExportedFile = read_exported(made)
            proofs, inside = prove(classifier, file, items, progress=progress), file.inside
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
    return Export(path, format, size, inside, tuple(proofs))


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


def images_to_check(classifier: Classifier, check: str | Path | None) -> list[Any]:
    """Return the images that a file is proved by.

    Raises:
        UserError: there is none that can be read, or nobody says where some are.
    """
    where = check if check is not None else classifier.metadata.get("trained_on", {}).get("location")
    if where is None:
        raise UserError("which images is it proved by? Give --check DATA, a folder of images such as it will see")
    try:
        items: list[Any] = list(image_files(Path(where))) if is_folder(where) else []
        if not items:
            source = open_source(where)
            items = [item for split in source.splits.values() for item in split.items]
    except UserError as error:
        if check is not None:
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
