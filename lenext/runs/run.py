"""A run as its folder tells of it, whether it is under way, ended, was killed, or is damaged."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lenext.errors import UserError
from lenext.files import parse_stamped
from lenext.runs.holding import is_held
from lenext.training.folder.names import METRICS, PULSE
from lenext.training.folder.pulse import Pulse, read_pulse
from lenext.training.folder.states import FAILED, INTERRUPTED, READING, RUNNING, UNDER_WAY, read_record

DAMAGED = "damaged"  # what the record of a run does not say itself
LARGEST = 2**63  # of the numbers in a file that are believed


@dataclass(frozen=True)
class Run:
    """What is known of a run; None is what is not.

    `state` is `reading`, `running`, `finished`, `interrupted` (killed ones too), `failed`, or `damaged`, and `problem`
    then says how. `epochs` are finished ones. `top1`, `top5` and `loss` are those of the weights kept, on `images` that
    were held out; where the run has no result yet, those of the last epoch. `step` to `seconds_left` are its pulse:
    those of the last step that was made; `seconds_left` is None where no training goes on.
    """

    run: str
    name: str
    state: str
    model: str | None = None
    data: str | None = None
    recipe: str | None = None
    epochs: int = 0
    epochs_planned: int | None = None
    top1: float | None = None
    top5: float | None = None
    loss: float | None = None
    images: int | None = None
    train_images: int | None = None
    train_seconds: float | None = None
    images_per_second: float | None = None
    started: str | None = None
    epoch: int | None = None
    step: int | None = None
    steps: int | None = None
    step_loss: float | None = None
    lr: float | None = None
    seconds_left: float | None = None
    problem: str | None = None

    @property
    def under_way(self) -> bool:
        """Whether a process is at work on it."""
        return self.state in UNDER_WAY


def read_run(path: Path) -> Run:
    """Return what the run folder at `path` tells; what is wrong with it is told too, never raised."""
    name = path.name or path.resolve().name
    try:
        record, state = _record_and_state(path)
    except UserError as error:
        return Run(str(path), name, DAMAGED, problem=str(error))
    rows, result = read_rows(path), _object(record.get("result"))
    last = rows[-1] if rows else {}
    figures = result or last
    pulse = _pulse(path) or Pulse()
    recipe, settings, data = (_object(record.get(key)) for key in ("recipe", "settings", "data"))
    running = state == RUNNING
    seconds = [number(row.get("train_seconds")) or 0.0 for row in rows]
    return Run(
        str(path),
        name,
        state,
        model=_text(settings.get("model")),
        data=_text(settings.get("data")),
        recipe=_text(recipe.get("name")),
        epochs=whole(result.get("epochs")) or whole(last.get("epoch")) or 0,
        epochs_planned=None if settings.get("minutes") else whole(recipe.get("epochs")),
        top1=number(figures.get("top1")),
        top5=number(figures.get("top5")),
        loss=number(figures.get("loss")),
        images=whole(figures.get("images")),
        train_images=whole(data.get("train_images")),
        train_seconds=number(result.get("train_seconds")) if result else (sum(seconds) if rows else None),
        images_per_second=number(pulse.images_per_second or None if running else result.get("images_per_second")),
        started=_text(record.get("started")),
        epoch=pulse.epoch or None,
        step=pulse.step or None,
        steps=pulse.steps or None,
        step_loss=number(pulse.loss) if pulse.step else None,
        lr=number(pulse.lr) if pulse.step else None,
        seconds_left=number(pulse.left) if running and pulse.left >= 0 else None,
    )


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Return the epochs of the run folder at `path`, one a line of its metrics; a line cut in half is passed over."""
    file = path / METRICS
    try:
        text = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
    except OSError:
        return []
    rows = []
    for line in text.splitlines():
        try:
            row = parse_stamped(line, str(file))
        except UserError:
            continue
        if whole(row.get("epoch")):
            rows.append(row)
    return rows


def number(value: Any) -> float | None:
    """Return a finite number, or None where the value is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < LARGEST else None


def whole(value: Any) -> int | None:
    """Return a whole number, or None where the value is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < LARGEST else None


def _record_and_state(path: Path) -> tuple[dict[str, Any], str]:
    """Return the record, and the state that the record and the lock tell together."""
    record = read_record(path)
    held = is_held(path)
    if held is False and record["state"] in UNDER_WAY:
        record = read_record(path)  # the run may have ended in between, and said so before it let go
        return record, INTERRUPTED if record["state"] in UNDER_WAY else record["state"]
    if held and record["state"] in (INTERRUPTED, FAILED):  # it is about to go on
        return record, READING
    return record, record["state"]


def _pulse(path: Path) -> Pulse | None:
    return read_pulse(path) if (path / PULSE).is_file() else None


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None if value is None else json.dumps(value)
