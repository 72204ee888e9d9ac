"""Checkpoints: all that a training needs to go on as if it had never stopped, each in one safetensors file."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from lenext.errors import LenextError, UserError, one_line
from lenext.files import parse_stamped, stamped, to_json, write_atomically
from lenext.training.folder.names import CHECKPOINTS

NAME = re.compile(r"step-(\d{9,})\.safetensors")
ASIDE = ".damaged"
KEPT = 2  # the last good ones
STATE, DIGEST = "lenext", "digest"  # the entries of the metadata


@dataclass(frozen=True)
class Checkpoint:
    """What a training was after `step` steps: its tensors by name, and its numbers, a JSON object."""

    step: int
    tensors: dict[str, Tensor]
    state: dict[str, Any]


def write_checkpoint(run: Path, checkpoint: Checkpoint) -> Path:
    """Write a checkpoint below the run folder, and take all but the last ones away; return its file.

    Raises:
        LenextError: the write failed; the checkpoints of before are untouched.
    """
    path = checkpoint_path(run, checkpoint.step)
    try:
        path.parent.mkdir(exist_ok=True)
    except OSError as error:
        raise LenextError(f"cannot write {path}: {error.strerror or one_line(error)}") from error
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in checkpoint.tensors.items()}
    text = to_json(stamped(checkpoint.state))
    metadata = {STATE: text, DIGEST: _digest(tensors, text)}
    write_atomically(path, lambda beside: save_file(tensors, beside, metadata))
    before = [each for each in checkpoint_files(run) if _step(each) < checkpoint.step]
    for old in before[: -(KEPT - 1)]:
        with contextlib.suppress(OSError):
            old.unlink()
    return path


def checkpoint_path(run: Path, step: int) -> Path:
    """Return the file of the checkpoint after so many steps."""
    return run / CHECKPOINTS / f"step-{step:09d}.safetensors"


def read_checkpoint(path: Path) -> Checkpoint:
    """Return a checkpoint whose every byte is as it was written.

    Raises:
        UserError: it is damaged.
        LenextError: it cannot be read.
    """
    try:
        path.open("rb").close()
    except OSError as error:
        raise LenextError(f"cannot read {path}: {error.strerror}") from error
    try:
        with safe_open(path, "pt") as file:
            metadata: dict[str, str] = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        text, digest = metadata[STATE], metadata[DIGEST]
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise UserError(f"{path} is damaged: {one_line(error)}") from error
    if digest != _digest(tensors, text):
        raise UserError(f"{path} is damaged: it is not as it was written")
    named = NAME.fullmatch(path.name)
    state = parse_stamped(text, str(path))
    return Checkpoint(int(named[1]) if named else int(state["pace"]["step"]), tensors, state)


def last_checkpoint(run: Path) -> tuple[Checkpoint | None, dict[Path, str]]:
    """Return the last whole checkpoint of a run, or None, and what is wrong with later ones.

    Raises:
        LenextError: one cannot be read.
    """
    wrong: dict[Path, str] = {}
    for path in reversed(checkpoint_files(run)):
        try:
            return read_checkpoint(path), wrong
        except UserError as error:
            wrong[path] = str(error)
    return None, wrong


def set_aside(path: Path) -> Path:
    """Give a damaged checkpoint another name, by which it is taken for none, and return it.

    Raises:
        LenextError: it cannot be renamed.
    """
    aside = path.with_name(f"{path.name}{ASIDE}")
    try:
        return path.replace(aside)
    except OSError as error:
        raise LenextError(f"cannot rename {path}: {error.strerror}") from error


def checkpoint_files(run: Path) -> list[Path]:
    """Return the files of a run's checkpoints, the earliest first."""
    found = ((NAME.fullmatch(path.name), path) for path in (run / CHECKPOINTS).glob("step-*.safetensors"))
    return [path for _, path in sorted((int(named[1]), path) for named, path in found if named)]


def _step(path: Path) -> int:
    named = NAME.fullmatch(path.name)
    assert named is not None
    return int(named[1])


def _digest(tensors: Mapping[str, Tensor], text: str) -> str:
    found = hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=16)
    for name in sorted(tensors):
        tensor = tensors[name]
        found.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        found.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()
