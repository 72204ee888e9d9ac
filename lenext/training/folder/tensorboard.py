"""The figures of a run for TensorBoard, where it is installed (the extra `tensorboard`)."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lenext.errors import LenextError, one_line
from lenext.training.folder.names import BOARD

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

# What is drawn, by its key in a line of the metrics; what stands before the slash is a section of the page.
CHARTS = {
    "train_loss": "loss/training",
    "loss": "loss/held out",
    "top1": "accuracy/top-1 (%)",
    "top5": "accuracy/top-5 (%)",
    "lr": "training/learning rate",
    "images_per_second": "training/images a second",
}


class Board:
    """Writes the figures of each epoch into `tensorboard/` in the run folder; nothing where TensorBoard is missing.

        board = Board(run)
        board.epoch({"steps": 46, "train_loss": 1.4, "loss": 0.5, "top1": 85.5, "top5": None, "lr": 0.002})
        board.close()

    A run that goes on takes back, at its first epoch, what another process had written of this and later ones.
    """

    def __init__(self, run: Path) -> None:
        self.folder = run / BOARD
        self.installed = importlib.util.find_spec("tensorboard") is not None
        self._writer: SummaryWriter | None = None

    def epoch(self, row: Mapping[str, Any]) -> None:
        """Write the figures of an epoch, a line of the metrics, at its number of steps.

        Raises:
            LenextError: the write failed.
        """
        if not self.installed:
            return
        step = int(row["steps"])
        try:
            if self._writer is None:
                self._writer = self._opened(step)
            for key, chart in CHARTS.items():
                if row.get(key) is not None:
                    self._writer.add_scalar(chart, row[key], step)
            self._writer.flush()
        except OSError as error:
            raise LenextError(f"cannot write {self.folder}: {error.strerror or one_line(error)}") from error

    def close(self) -> None:
        """Let go of the file.

        Raises:
            LenextError: the write failed.
        """
        writer, self._writer = self._writer, None
        try:
            if writer is not None:
                writer.close()
        except OSError as error:
            raise LenextError(f"cannot write {self.folder}: {error.strerror or one_line(error)}") from error

    def _opened(self, step: int) -> SummaryWriter:
        from torch.utils.tensorboard import SummaryWriter

        goes_on = self.folder.is_dir() and any(self.folder.iterdir())
        return SummaryWriter(str(self.folder), purge_step=step if goes_on else None)
