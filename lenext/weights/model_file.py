"""The model file: one safetensors file that holds the weights and, as JSON, all that is needed to use them."""

from __future__ import annotations

import base64
import binascii
import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from lenext.errors import UserError, one_line
from lenext.files import parse_stamped, stamped, to_json, write_atomically
from lenext.models.base import Spec
from lenext.registry import COMMON
from lenext.weights.classes import ClassList
from lenext.weights.inspection import LARGEST_HEADER, inspect

NAME = "model.safetensors"
KEY = "lenext"  # the metadata entry that carries our JSON
DIGESTS = "lenext.trained_on"  # the tensor that carries the digests, as int64
OWN_LAYOUT = "lenext"  # our own names of tensors; a file with another library's says which in its metadata
LARGEST_RECORD = 4 << 20  # bytes of a run.json whose format is looked at; the model file has its own
LARGEST_STATED = 4096  # pixels a side of the images that a file may say it is for
REQUIRED = {
    "model": str,
    "classes": int,
    "in_channels": int,
    "size": list,
    "options": dict,
    "class_names": list,
    "preprocessing": dict,
    "figures": dict,
    "trained_on": dict,
}


@dataclass(frozen=True)
class ModelFile:
    """What a model file holds: `tensors` by name, `metadata`, the JSON object, and `trained_on`.

    The latter are the digests of the images that the weights were trained on, sorted, so that none of these is
    ever taken for an image that they have not seen. The tensors bear the names of the library that `layout` in the
    metadata says, or ours.
    """

    tensors: dict[str, Tensor]
    metadata: dict[str, Any]
    trained_on: NDArray[np.uint64]

    @property
    def classes(self) -> ClassList:
        """The classes, in the order of the logits."""
        ids = self.metadata.get("class_ids")
        return ClassList(tuple(self.metadata["class_names"]), tuple(ids) if ids else None)


def run_model_file(folder: Path) -> Path:
    """Return the model file in a run folder.

    Raises:
        UserError: no run folder, or one that is not complete.
    """
    record = folder / "run.json"
    if not record.is_file():
        model = folder / NAME
        hint = f"; for the weights alone, give {model}" if model.is_file() else ""
        raise UserError(f"{folder} is not a run folder: it has no run.json{hint}")
    try:
        if record.stat().st_size <= LARGEST_RECORD:  # a longer one lists many skipped files
            parse_stamped(record.read_text(encoding="utf-8", errors="replace"), str(record))
    except OSError as error:
        raise UserError(f"cannot read {record}: {error.strerror}") from error
    if not (folder / NAME).is_file():
        raise UserError(f"{folder} has no {NAME}: no epoch of its training was finished; train again")
    return folder / NAME


def model_metadata(
    spec: Spec,
    classes: ClassList,
    preprocessing: dict[str, Any],
    *,
    figures: dict[str, Any],
    trained_on: dict[str, Any],
) -> dict[str, Any]:
    """Return what every model file says: how to build the network, its classes and preprocessing, how well it does."""
    return {
        "model": spec.name,
        "classes": spec.classes,
        "in_channels": spec.in_channels,
        "size": list(spec.size),
        "options": spec.options,
        "class_names": list(classes.names),
        **({"class_ids": list(classes.ids)} if classes.ids else {}),
        "preprocessing": preprocessing,
        "figures": figures,
        "trained_on": trained_on,
    }


def write_model_file(
    path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, Any], trained_on: NDArray[np.uint64]
) -> None:
    """Write `path` at once or not at all.

    Raises:
        LenextError: the write failed; what stood at `path` is untouched.
    """
    digests = np.unique(trained_on)
    header = {"format": "pt", KEY: to_json(stamped(metadata))}
    ready = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    if metadata.get("layout", OWN_LAYOUT) == OWN_LAYOUT:
        ready = {DIGESTS: torch.from_numpy(digests.view(np.int64)), **ready}
    else:  # the tensors are all that another library looks for
        header[DIGESTS] = base64.b64encode(digests.tobytes()).decode()
    if sum(map(len, header.values())) > LARGEST_HEADER:
        raise UserError(
            f"{path} cannot be written: what is known of its weights takes more than {LARGEST_HEADER:,} bytes"
        )
    write_atomically(path, lambda beside: beside.write_bytes(save(ready, metadata=header)))


def read_model_file(path: Path) -> ModelFile:
    """Read a model file; no code in it can run.

    Raises:
        UserError: damaged, not written by lenext, or of a format that this version does not know.
    """
    with _safetensors(path) as file:
        header = file.metadata() or {}
        if KEY not in header:
            raise UserError(
                f"{path} was not written by lenext: it carries no model, class names or preprocessing; "
                "give the name of its architecture, and the file as --weights"
            )
        metadata = parse_stamped(header[KEY], str(path))
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    _require_usable(path, metadata)
    reserved = COMMON & metadata["options"].keys()
    if reserved:
        raise UserError(f"{path} is damaged: {', '.join(sorted(reserved))} cannot stand among its options")
    return ModelFile(tensors, metadata, _digests(path, tensors, header))


def _require_usable(path: Path, metadata: dict[str, Any]) -> None:
    unusable = [key for key, kind in REQUIRED.items() if not isinstance(metadata.get(key), kind)]
    names: Any = metadata.get("class_names")
    ids = metadata.get("class_ids")
    if not _are_texts(names):
        unusable.append("class_names")
    elif ids is not None and (not _are_texts(ids) or len(ids) != len(names) or len(set(ids)) < len(ids)):
        unusable.append("class_ids")
    preprocessing = metadata["preprocessing"] if isinstance(metadata.get("preprocessing"), dict) else {}
    size = metadata.get("size")
    if isinstance(size, list) and not (
        len(size) == 2 and all(type(side) is int and 0 < side <= LARGEST_STATED for side in size)
    ):
        unusable.append("size")
    made, taken = ("size", "channels"), ("size", "in_channels")
    if any(preprocessing.get(a) != metadata.get(b) for a, b in zip(made, taken, strict=True)):
        unusable.append("preprocessing: it makes images that its model does not take")
    if _are_texts(names) and len(names) != metadata.get("classes"):
        unusable.append(f"class_names: {len(names)} for {metadata.get('classes')} classes")
    if not isinstance(metadata.get("layout", OWN_LAYOUT), str):
        unusable.append("layout")
    if unusable:
        raise UserError(f"{path} is damaged: its metadata has no usable {', '.join(dict.fromkeys(unusable))}")


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _digests(path: Path, tensors: dict[str, Tensor], header: Mapping[str, str]) -> NDArray[np.uint64]:
    """Take the digests out of a file's tensors, or read them from its header."""
    digests = tensors.pop(DIGESTS, torch.empty(0, dtype=torch.int64))
    try:
        text = base64.b64decode(header.get(DIGESTS, ""), validate=True)
        found = np.frombuffer(text, np.uint64) if text else digests.numpy().view(np.uint64)
    except (binascii.Error, ValueError, TypeError):
        found = np.empty((0, 0), np.uint64)
    if digests.dtype != torch.int64 or found.ndim != 1:
        raise UserError(f"{path} is damaged: {DIGESTS} is no list of digests")
    return found


def read_foreign_file(path: Path) -> dict[str, Tensor] | None:
    """Return the tensors of a safetensors file that another library wrote, or None where lenext wrote it.

    Raises:
        UserError: damaged, or no safetensors file.
    """
    with _safetensors(path) as file:
        if KEY in (file.metadata() or {}):
            return None
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def read_metadata(path: Path) -> dict[str, Any] | None:
    """Return the metadata of a model file that this process wrote, or None where there is none."""
    if not path.exists():
        return None
    with safe_open(path, framework="pt") as file:
        return parse_stamped(file.metadata()[KEY], str(path))


@contextlib.contextmanager
def _safetensors(path: Path) -> Iterator[Any]:
    """Open a safetensors file; what is wrong with it is a user's error."""
    inspect(path)
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (SafetensorError, OSError) as error:
        raise UserError(
            f"{path} is damaged or no safetensors file: {one_line(error)}; train or copy it again"
        ) from None
