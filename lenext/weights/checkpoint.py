"""A checkpoint: tensors from wherever weights come from, and what is known of them."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from lenext.errors import UserError
from lenext.files import exists, is_folder
from lenext.registry import list_models
from lenext.weights import hub_config
from lenext.weights.catalog import CatalogEntry, catalog, find_published, is_tag, recognise
from lenext.weights.classes import ClassList
from lenext.weights.fetching import CONFIG, WEIGHTS, Fetched, fetch_repository, fetch_url, file_sha256
from lenext.weights.foreign import tidied
from lenext.weights.inspection import SUFFIXES
from lenext.weights.model_file import OWN_LAYOUT, ModelFile, read_foreign_file, read_model_file, run_model_file
from lenext.weights.pickled import read_pickled

NOTHING: NDArray[np.uint64] = np.empty(0, np.uint64)


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Tensors by the names of `layout`, and what is known of them; what nothing says is None or empty.

    `where` is what messages call it, `path` the file of another library, `model` the architecture in the registry,
    `options` those it was built with, `in_channels` and `size` the images that it was built for, `metadata` what a
    file of lenext says, `trained_on` the digests of the images that it was trained on.
    """

    where: str
    tensors: Mapping[str, Tensor]
    path: Path | None = None
    layout: str | None = None
    model: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    in_channels: int | None = None
    size: tuple[int, int] | None = None
    classes: ClassList | None = None
    preprocessing: Mapping[str, Any] | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    trained_on: NDArray[np.uint64] = field(default_factory=lambda: NOTHING)
    published: CatalogEntry | None = None


def read_checkpoint(weights: str | Path) -> Checkpoint:
    """Read weights: a file, a run folder, a folder of a Hub repository, `hub:owner/name`, or a name of the catalog.

    Raises:
        UserError: nothing there, or nothing that is safe and whole.
        LenextError: a download failed.
    """
    if not isinstance(weights, str | os.PathLike):
        raise UserError(f"weights {str(weights)[:100]} cannot be: give a file, a run folder, hub:owner/name or a name")
    text = str(weights)
    if text.startswith("hub:"):
        known = next((entry for entry in catalog() if entry.hub and f"hub:{entry.hub}" == text), None)
        return _read_published(known) if known else _described(fetch_repository(text), text)
    if is_tag(text) and not exists(text):
        return _read_published(find_published(text))
    path = Path(weights)
    if not text or not exists(path):
        raise UserError(f"there is no {text!r}; {_nearby(path)}")
    if not is_folder(path):
        return _read_file(path)
    if not (path / "run.json").exists() and (path / CONFIG).is_file():
        found = next((path / name for name in WEIGHTS if (path / name).is_file()), None)
        if found is not None:
            return _described(Fetched(found, path / CONFIG), text)
    return _of_model_file(run_model_file(path))


def identified(checkpoint: Checkpoint) -> Checkpoint:
    """Return the checkpoint with what the catalog says of its file, which it knows by its hash."""
    if checkpoint.path is None or (checkpoint.classes and checkpoint.preprocessing):
        return checkpoint
    entry = recognise(file_sha256(checkpoint.path))
    return _as_published(checkpoint, entry) if entry else checkpoint


def _read_published(entry: CatalogEntry) -> Checkpoint:
    if entry.hub is not None:
        checkpoint = _read_file(fetch_repository(f"hub:{entry.hub}", pinned=True).weights)
    elif entry.url is not None:
        checkpoint = _read_file(fetch_url(entry.url, entry.sha256))
    else:
        raise UserError(f"the catalog knows no address of {entry.name}; give the file, which it knows by its hash")
    return _as_published(replace(checkpoint, where=entry.name), entry)


def _as_published(checkpoint: Checkpoint, entry: CatalogEntry) -> Checkpoint:
    return replace(
        checkpoint,
        model=entry.model,
        classes=entry.class_list,
        preprocessing=entry.preprocessing,
        published=entry,
    )


def _described(fetched: Fetched, where: str) -> Checkpoint:
    """Read the weights of a repository; where its settings say nothing, what the weights themselves are known to be."""
    checkpoint = replace(_read_file(fetched.weights), where=where)
    if fetched.config is None or checkpoint.metadata:
        return checkpoint
    config = hub_config.read_config(fetched.config)
    return replace(
        checkpoint,
        model=hub_config.model(config, where) or checkpoint.model,
        classes=hub_config.classes(config) or checkpoint.classes,
        preprocessing=hub_config.preprocessing(config) or checkpoint.preprocessing,
    )


def _read_file(path: Path) -> Checkpoint:
    if path.suffix.lower() == ".safetensors":
        tensors = read_foreign_file(path)
        if tensors is None:
            return _of_model_file(path)
    else:
        tensors = read_pickled(path)
    return Checkpoint(where=str(path), tensors=tidied(tensors), path=path)


def _of_model_file(path: Path) -> Checkpoint:
    file: ModelFile = read_model_file(path)
    metadata = file.metadata
    return Checkpoint(
        where=str(path),
        tensors=file.tensors,
        layout=metadata.get("layout", OWN_LAYOUT),
        model=metadata["model"],
        options=metadata["options"],
        in_channels=metadata["in_channels"],
        size=tuple(metadata["size"]),
        classes=file.classes,
        preprocessing=metadata["preprocessing"],
        metadata=metadata,
        trained_on=file.trained_on,
    )


def _nearby(path: Path) -> str:
    """Return what to do instead: a name like it in the folder, or the kinds of weights."""
    if str(path) in list_models():
        return f"{path} is an architecture, whose weights stand in --weights; `lenext weights {path}` lists some"
    if os.path.islink(path):  # noqa: PTH114  Path.is_symlink raises where no file can have the name
        return "the link leads nowhere; give the file itself"
    folder = path.parent
    if is_folder(folder):
        close = difflib.get_close_matches(path.name, (entry.name for entry in folder.iterdir()), n=3)
        if close:
            return f"did you mean {' or '.join(str(folder / name) for name in close)}?"
    return (
        f"give a run folder, a file that ends in {', '.join(SUFFIXES)}, hub:owner/name, or a name of `lenext weights`, "
        "as resnet50:torchvision-v2"
    )
