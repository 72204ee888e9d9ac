"""The pulse of a run: how far it is, step by step, in a small file that outlives the process however it ends."""

from __future__ import annotations

import struct
import time
from dataclasses import astuple, dataclass
from pathlib import Path

from lenext.errors import LenextError
from lenext.training.folder.names import PULSE

LAYOUT = struct.Struct("<8sqqqqqddddd")
MAGIC = b"lenext\0\1"


@dataclass
class Pulse:
    """How far a training is.

    `executed` are the steps that all processes of the run made together, `step` is the last one's number, of `steps`
    that are planned, or 0 where that is open; `epoch` is the one under way, of `epochs`. `loss` and `lr` are those of
    the last step, `images_per_second` those trained on in this epoch, `left` the seconds until the last step, or -1
    where that is open, and `beat` is the time of the last step, in seconds since 1970.
    """

    executed: int = 0
    step: int = 0
    steps: int = 0
    epoch: int = 0
    epochs: int = 0
    loss: float = 0.0
    lr: float = 0.0
    images_per_second: float = 0.0
    left: float = -1.0
    beat: float = 0.0


def read_pulse(run: Path) -> Pulse | None:
    """Return the pulse of a run, or None before its first step."""
    try:
        magic, *values = LAYOUT.unpack((run / PULSE).read_bytes())
    except (OSError, struct.error):
        return None
    return Pulse(*values) if magic == MAGIC and values[-1] else None


class PulseFile:
    """Writes the pulse of a run; a file that was there goes on being counted.

    What is written is in the hands of the system at once: a killed process loses no step.

    Raises:
        LenextError: the file cannot be written.
    """

    def __init__(self, run: Path) -> None:
        self.pulse, self.path = read_pulse(run) or Pulse(), run / PULSE
        try:
            self._file = self.path.open("r+b" if self.path.exists() else "w+b", buffering=0)
        except OSError as error:
            raise LenextError(f"cannot write {self.path}: {error.strerror}") from error

    def beat(self) -> None:
        """Write the pulse as it is now.

        Raises:
            LenextError: the write failed.
        """
        self.pulse.beat = time.time()
        try:
            self._file.seek(0)
            self._file.write(LAYOUT.pack(MAGIC, *astuple(self.pulse)))
        except OSError as error:
            raise LenextError(f"cannot write {self.path}: {error.strerror}") from error

    def close(self) -> None:
        """Let go of the file, which stays."""
        self._file.close()
