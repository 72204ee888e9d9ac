"""The states of a run, and the record that tells them; whoever only looks at runs needs no torch for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lenext.errors import UserError
from lenext.files import parse_stamped
from lenext.training.folder.names import RECORD

READING, RUNNING = "reading", "running"  # before the first step, and from then on
FINISHED, INTERRUPTED, FAILED = "finished", "interrupted", "failed"
UNDER_WAY = (READING, RUNNING)
STATES = (*UNDER_WAY, FINISHED, INTERRUPTED, FAILED)


def read_record(path: Path) -> dict[str, Any]:
    """Return the record of the run folder at `path`.

    Raises:
        UserError: it is missing, damaged, or of another format.
    """
    file = path / RECORD
    try:
        if not file.is_file():
            raise UserError(f"{path} is not a run folder: it has no {RECORD}")
        record = parse_stamped(file.read_text(encoding="utf-8"), str(file))
    except UnicodeDecodeError as error:
        raise UserError(f"{file} is damaged: it is no text") from error
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}") from error
    if record.get("state") not in STATES:
        raise UserError(f"{file} is damaged: its state is {record.get('state')!r}, not {', '.join(STATES)}")
    return record
