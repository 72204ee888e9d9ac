"""The model file: one safetensors file that holds the weights and, as JSON, all that is needed to use them."""

from __future__ import annotations

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
from lenext.files import exists, is_folder, parse_stamped, stamped, to_json, write_atomically
from lenext.registry import COMMON

NAME = "model.safetensors"
KEY = "lenext"  # the metadata entry that carries our JSON
DIGESTS = "lenext.trained_on"  # the tensor that carries the digests, as int64
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
    ever taken for an image that they have not seen.
    """

    tensors: dict[str, Tensor]
    metadata: dict[str, Any]
    trained_on: NDArray[np.uint64]

    def require_model(self, name: str, where: str) -> None:
        """Raise UserError where the weights are not of the architecture `name`."""
        if self.metadata["model"] != name:
            raise UserError(f"{where} holds a {self.metadata['model']}, not a {name}")


def find_model_file(target: str | Path) -> Path:
    """Return the model file that `target` means: a `.safetensors` file, or the one in a run folder.

    Raises:
        UserError: nothing there, not such a file, or a run folder that is not complete.
    """
    path = Path(target)
    if not str(target) or not exists(path):
        raise UserError(f"there is no {str(target)!r}; give a run folder or a .safetensors file that lenext wrote")
    if is_folder(path):
        return _in_run_folder(path)
    if path.suffix != ".safetensors":
        raise UserError(f"{target} is not a run folder or a .safetensors file that lenext wrote")
    return path


def write_model_file(
    path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, Any], trained_on: NDArray[np.uint64]
) -> None:
    """Write `path` at once or not at all.

    Raises:
        LenextError: the write failed; what stood at `path` is untouched.
    """
    ready = {DIGESTS: torch.from_numpy(np.unique(trained_on).view(np.int64))}
    ready |= {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    header = {"format": "pt", KEY: to_json(stamped(metadata))}
    write_atomically(path, lambda beside: beside.write_bytes(save(ready, metadata=header)))


def read_model_file(path: Path) -> ModelFile:
    """Read a model file; no code in it can run.

    Raises:
        UserError: damaged, not written by lenext, or of a format that this version does not know.
    """
    with _opened(path) as file:
        header = file.metadata() or {}
        if KEY not in header:
            raise UserError(
                f"{path} was not written by lenext: it carries no model, class names or preprocessing; "
                "lenext.create(name, weights=...) takes the weights alone"
            )
        metadata = parse_stamped(header[KEY], str(path))
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    unusable = [key for key, kind in REQUIRED.items() if not isinstance(metadata.get(key), kind)]
    if unusable:
        raise UserError(f"{path} is damaged: its metadata has no usable {', '.join(unusable)}")
    reserved = COMMON & metadata["options"].keys()
    if reserved:
        raise UserError(f"{path} is damaged: {', '.join(sorted(reserved))} cannot stand among its options")
    digests = tensors.pop(DIGESTS, torch.empty(0, dtype=torch.int64))
    if digests.dtype != torch.int64 or digests.ndim != 1:
        raise UserError(f"{path} is damaged: {DIGESTS} is no list of digests")
    return ModelFile(tensors, metadata, digests.numpy().view(np.uint64))


def read_foreign_file(path: Path) -> dict[str, Tensor] | None:
    """Return the tensors of a safetensors file that another library wrote, or None where lenext wrote it.

    Raises:
        UserError: damaged, or no safetensors file.
    """
    with _opened(path) as file:
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
def _opened(path: Path) -> Iterator[Any]:
    """Open a safetensors file; what is wrong with it is a user's error."""
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (SafetensorError, OSError) as error:
        raise UserError(
            f"{path} is damaged or no safetensors file: {one_line(error)}; train or copy it again"
        ) from None


def _in_run_folder(folder: Path) -> Path:
    record = folder / "run.json"
    if not record.is_file():
        model = folder / NAME
        hint = f"; for the weights alone, give {model}" if model.is_file() else ""
        raise UserError(f"{folder} is not a run folder: it has no run.json{hint}")
    try:
        parse_stamped(record.read_text(encoding="utf-8", errors="replace"), str(record))
    except OSError as error:
        raise UserError(f"cannot read {record}: {error.strerror}") from error
    if not (folder / NAME).is_file():
        raise UserError(f"{folder} has no {NAME}: no epoch of its training was finished; train again")
    return folder / NAME
