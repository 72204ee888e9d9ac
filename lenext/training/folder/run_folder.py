"""The run folder: where a training run keeps its settings, its figures and its weights."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import filelock
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from lenext.errors import LenextError, UserError
from lenext.files import create_text, exists, is_folder, stamped, to_json, write_text
from lenext.training.folder.names import ANSWERS, BESIDE, CHECKPOINTS, LOCK, METRICS, RECORD, REPORT, START
from lenext.training.folder.states import FINISHED, READING, read_record
from lenext.weights.model_file import NAME, read_metadata, write_model_file

PATIENCE = 2.0  # seconds for whoever only looks whether a run is under way
MOST = 10_000  # runs of one name


class RunFolder:
    """A run folder, which one process at a time has. Nothing that was there before is ever written over."""

    def __init__(self, path: Path, *, made: bool, begun: bool = False) -> None:
        self.path, self._made, self._begun = path, made, begun
        self._lock = filelock.FileLock(path / LOCK)

    def _claim(self, record: dict[str, Any]) -> RunFolder:
        """Take a folder for a new run."""
        text = to_json(stamped({**record, "state": READING, "result": None}), indent=2) + "\n"
        try:
            create_text(self.path / RECORD, text)  # whoever makes this file has the folder
            self._lock.acquire(timeout=PATIENCE)
        except (FileExistsError, filelock.Timeout):
            raise UserError(f"{self.path} already holds a run; give another --out") from None
        except OSError as error:
            reason = error.strerror
            raise UserError(f"cannot write to the run folder {self.path}: {reason}; give another --out") from error
        return self

    @classmethod
    def reopen(cls, path: Path) -> tuple[RunFolder, dict[str, Any]]:
        """Return the folder of a run that is to go on, and its record.

        Raises:
            UserError: no run, one that is finished, or one that another process has.
        """
        read_record(path)
        folder = cls(path, made=False, begun=True)
        try:
            folder._lock.acquire(timeout=PATIENCE)
        except filelock.Timeout:
            raise UserError(f"another process is at work on {path}; wait for it, or end it") from None
        except OSError as error:
            raise UserError(f"cannot write to the run folder {path}: {error.strerror}") from error
        record = read_record(path)  # which whoever had it may just have finished
        if record["state"] == FINISHED:
            folder._lock.release()
            raise UserError(f"{path} is finished; to train its weights further, give --weights {path} to a new run")
        for left in [*path.glob(".*.tmp"), *(path / CHECKPOINTS).glob(".*.tmp")]:
            if BESIDE.fullmatch(left.name):
                with contextlib.suppress(OSError):
                    left.unlink()
        return folder, record

    @classmethod
    def create(cls, out: str | Path | None, model: str, location: str, record: dict[str, Any]) -> RunFolder:
        """Make the folder `out`, or, where it is None, `runs/<model>-<data>` with a number if need be.

        Raises:
            UserError: `out` is taken, or cannot be made.
        """
        if out is not None:
            path = Path(out)
            if is_folder(path):
                if exists(path / RECORD):
                    raise UserError(
                        f"{out} already holds a run; give another --out, or let that one go on, if it was interrupted: "
                        f"lenext train --resume {out}"
                    )
                if any(not BESIDE.fullmatch(each.name) for each in path.iterdir()):
                    raise UserError(f"{out} is not empty, and a run needs a folder of its own; give another --out")
                return cls(path, made=False)._claim(record)
            _make(path, exist_ok=True)
            return cls(path, made=True)._claim(record)
        for path in run_folders(None, model, location):
            with contextlib.suppress(FileExistsError):
                _make(path, exist_ok=False)
                return cls(path, made=True)._claim(record)
        raise UserError(f"runs/ holds too many runs of {model} on {location}; give --out")

    @property
    def model_file(self) -> Path:
        """The file that holds the weights and all that is needed to use them."""
        return self.path / NAME

    @property
    def start(self) -> Path:
        """The file that holds the weights that the run began from, where it began from some."""
        return self.path / START

    def finished_epochs(self) -> int:
        """Return how many epochs `metrics.jsonl` tells of."""
        with contextlib.suppress(OSError):
            return (self.path / METRICS).read_bytes().count(b"\n")
        return 0

    @property
    def report(self) -> Path:
        """The page that shows the run."""
        return self.path / REPORT

    @property
    def answers(self) -> Path:
        """The file that holds what the weights answered to each image held out."""
        return self.path / ANSWERS

    def close(self) -> None:
        """Give the folder back, and remove it if this run made it, where no record was written."""
        with contextlib.suppress(OSError):
            (self.path / LOCK).unlink()
        self._lock.release()
        if self._begun:
            return
        with contextlib.suppress(OSError):
            (self.path / RECORD).unlink()
            if self._made:
                self.path.rmdir()

    def write_record(self, record: dict[str, Any]) -> None:
        """Write `run.json`: all settings, versions, data, state and result."""
        self._begun = True
        write_text(self.path / RECORD, to_json(stamped(record), indent=2) + "\n")

    def write_model(self, tensors: dict[str, Tensor], metadata: dict[str, Any], trained_on: NDArray[np.uint64]) -> None:
        """Write the model file, in place of the one of the epoch before."""
        write_model_file(self.model_file, tensors, metadata, trained_on)

    def saved_epoch(self) -> int | None:
        """Return the epoch whose weights the model file holds, or None where there is none."""
        metadata = read_metadata(self.model_file)
        return int(metadata["figures"]["epoch"]) if metadata else None

    def write_metrics(self, rows: list[dict[str, Any]]) -> None:
        """Write `metrics.jsonl` anew, with these lines alone."""
        write_text(self.path / METRICS, "".join(to_json(stamped(row)) + "\n" for row in rows))

    def append_metrics(self, row: dict[str, Any]) -> None:
        """Add one line to `metrics.jsonl`.

        Raises:
            LenextError: the write failed.
        """
        path = self.path / METRICS
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write(to_json(stamped(row)) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise LenextError(f"cannot write {path}: {error.strerror}") from error


def run_folders(out: str | Path | None, model: str, location: str) -> Iterator[Path]:
    """Yield `out`, or, where it is None, the folders that a run without a name may have, the first first."""
    if out is not None:
        yield Path(out)
        return
    stem = re.sub(r"[^\w.-]+", "-", Path(location.removeprefix("hub:")).resolve().name).strip("-.") or "data"
    base = f"{model}-{stem}"
    yield Path("runs") / base
    yield from (Path("runs") / f"{base}-{number}" for number in range(2, MOST))


def _make(path: Path, *, exist_ok: bool) -> None:
    try:
        path.mkdir(parents=True, exist_ok=exist_ok)
    except FileExistsError:
        if not exist_ok:
            raise
        raise UserError(f"cannot make the run folder {path}: a file is there; give another --out") from None
    except OSError as error:
        raise UserError(f"cannot make the run folder {path}: {error.strerror}; give another --out") from error
