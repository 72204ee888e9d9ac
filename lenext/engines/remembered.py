"""What `lenext bench` learned of a model on this machine, kept beside it, and which engine that speaks for.

It is a help alone: what is damaged, of another machine, of other versions or of a model that has changed since counts
for nothing.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self

from lenext.engines.engine import EngineName
from lenext.engines.exported import files_of, is_exported
from lenext.engines.machine import file_state, machine
from lenext.engines.opening import engine_version, missing
from lenext.errors import UserError
from lenext.files import exists, is_folder, parse_stamped, stamped, to_json, user_cache, write_text
from lenext.weights.catalog import is_tag

FOLDER, MEMORY = "engines", "bench.json"
# The files that the engines of a model run, each made by `lenext bench` where it is not itself one of these.
FILES: dict[EngineName, str] = {
    "onnxruntime": "network.onnx",
    "openvino": "network.onnx",
    "ncnn": "network.param",
}
USELESS = (OSError, UserError, KeyError, TypeError, AttributeError, ValueError)  # raised by what is damaged
WEIGHTS = ("model.safetensors", "pytorch_model.bin")  # as run folders and folders of the Hub call them


@dataclass(frozen=True, kw_only=True)
class Row:
    """How an engine answered so many images at once with so many threads.

    `load_seconds` are those from nothing to the first answer, `largest_gap` is that of a logit over the largest logit,
    `agreement` the share of images with the same first class, in percent.
    """

    engine: EngineName
    batch: int
    threads: int
    p50_ms: float
    p95_ms: float
    images_per_second: float
    load_seconds: float
    largest_gap: float
    agreement: float
    agrees: bool
    peak_bytes: int
    calls: int

    def seconds(self, images: int) -> float:
        """Return how long so many images take, from nothing."""
        return self.load_seconds + math.ceil(images / self.batch) * self.p50_ms / 1000

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Return what `asdict` gave.

        Raises:
            KeyError: a field is missing.
            TypeError: a figure is no number.
        """
        row = cls(**{field.name: value[field.name] for field in fields(cls)})
        if not all(isinstance(each, int | float) for name, each in asdict(row).items() if name != "engine"):
            raise TypeError("a figure is no number")
        return row


def choose(rows: Sequence[Row], images: int, threads: int) -> Row | None:
    """Return the row that answers so many images soonest, loading included, of the engines that always agree."""
    unlike = {row.engine for row in rows if not row.agrees}
    able = [row for row in rows if row.engine not in unlike and row.threads == threads]
    return min(able, key=lambda row: row.seconds(images), default=None)


@dataclass(frozen=True)
class Place:
    """Where what belongs to the engines of a model is kept, and what tells that it is still this model.

    `folders` are those that may hold it, the one to write to first in front.
    """

    identity: dict[str, Any]
    folders: tuple[Path, ...]

    @classmethod
    def of(cls, target: str | Path, weights: str | Path | None = None) -> Self | None:
        """Return the place of a model, or None where nothing tells whether it will still be the same tomorrow."""
        given = str(target if weights is None else weights)
        identity: dict[str, Any] = {"model": None if weights is None else str(target)}
        files = _files_of(Path(given)) if exists(given) else []
        try:
            if files:
                identity["files"] = [[file.name, *file_state(file)] for file in files]
            elif not exists(given) and is_tag(given):
                identity["weights"] = given
            else:
                return None
        except OSError:
            return None
        told = to_json([identity["model"], str(Path(given).resolve()) if files else given])
        key = hashlib.blake2b(told.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
        folders = [user_cache() / FOLDER / key]
        if weights is None and files:
            path = Path(given)
            folders.insert(0, path / FOLDER if is_folder(path) else path.with_name(f"{path.name}.{FOLDER}"))
        return cls(identity, tuple(folders))

    def recall(self) -> Remembered | None:
        """Return what is remembered of the model as it is now, on this machine, by the versions that are here."""
        for folder in self.folders:
            if (value := self._read(folder)) is not None:
                files = {name: folder / name for name, state in value["files"].items() if _is(folder / name, state)}
                return Remembered(folder, files, value["accelerator"] is True, tuple(_usable(value["rows"])))
        return None

    def _read(self, folder: Path) -> dict[str, Any] | None:
        """Return what is kept in a folder, if it is whole and of the model as it is now."""
        with contextlib.suppress(*USELESS):
            value = parse_stamped((folder / MEMORY).read_text(encoding="utf-8"), MEMORY)
            sound = isinstance(value["files"], dict) and isinstance(value["accelerator"], bool)
            for row in value["rows"]:
                sound = sound and isinstance(Row.from_json(row), Row) and {"machine", "version"} <= row.keys()
            return value if sound and value["model"] == self.identity else None
        return None

    def remember(
        self,
        folder: Path,
        rows: Sequence[Row],
        *,
        files: Mapping[str, Path] | None = None,
        accelerator: bool | None = None,
    ) -> None:
        """Keep rows, beside those of other machines and other sizes that are kept already, and which files are whole.

        Raises:
            LenextError: they cannot be written.
        """
        empty: dict[str, Any] = {"model": self.identity, "accelerator": False, "files": {}, "rows": []}
        value = self._read(folder) or empty
        new = {_key(machine(), asdict(row)) for row in rows}
        value["rows"] = [row for row in value["rows"] if _key(row["machine"], row) not in new]
        if files is not None:
            made = {name: file_state(path) for name, path in files.items()}
            changed = {name for name, state in made.items() if value["files"].get(name) != state}
            value["rows"] = [row for row in value["rows"] if FILES.get(row["engine"]) not in changed]
            value["files"] = made
        value["rows"] += [{**asdict(row), "machine": machine(), "version": engine_version(row.engine)} for row in rows]
        if accelerator is not None:
            value["accelerator"] = accelerator
        write_text(folder / MEMORY, to_json({**value, **stamped({})}, indent=2))

    def folder(self) -> Path | None:
        """Return the first folder that can be written to, made where it is not there; None where none can."""
        for folder in self.folders:
            with contextlib.suppress(OSError):
                folder.mkdir(parents=True, exist_ok=True)
                trial = folder / f".{MEMORY}.{os.getpid()}.tmp"
                trial.touch()
                trial.unlink()
                return folder
        return None


def _key(where: str, row: Mapping[str, Any]) -> tuple[Any, ...]:
    return where, row["engine"], row["batch"], row["threads"]


@dataclass(frozen=True)
class Remembered:
    """What is known of a model: the files for its engines, and how these did.

    `accelerator` says whether torch had a better device than the CPU.
    """

    folder: Path
    files: Mapping[str, Path]
    accelerator: bool
    rows: tuple[Row, ...]

    def file_for(self, engine: EngineName) -> Path | None:
        """Return the file that an engine runs, where it is there and unchanged."""
        return self.files.get(FILES.get(engine, ""))


def _usable(rows: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Return the rows of this machine, of engines that are installed in the version that was measured."""
    here = [row for row in rows if row["machine"] == machine()]
    same = {
        name: missing(name) is None and engine_version(name) == version
        for name, version in {(row["engine"], row["version"]) for row in here}
    }
    return [Row.from_json(row) for row in here if same[row["engine"]]]


def _files_of(path: Path) -> list[Path]:
    """Return the files that hold the weights of a target, if it has any."""
    if is_folder(path):
        return [file for name in WEIGHTS if (file := path / name).is_file()][:1]
    return files_of(path) if is_exported(path) else [path]


def _is(path: Path, state: Any) -> bool:
    try:
        return bool(file_state(path) == state)
    except OSError:
        return False
