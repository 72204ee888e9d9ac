"""What a search for wrong labels brings: suspects, figures, the list for `--exclude`."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lenext.data.exclusions import Exclusion, write_exclusions
from lenext.data.reading import Reading

KIND = "mislabelled"  # of an exclusion
POOR = 80.0  # percentage of labels answered, below which suspects are more often hard than wrong


@dataclass(frozen=True)
class Suspect:
    """An image whose label is probably wrong: what its split calls it, its label, and what it probably is.

    `probability` is that of its label, `suggested_probability` that of the class suggested, the most probable one.
    `score`, 0 to 1, is low where the label is in doubt: 0.5 where it is as improbable as it usually is for images that
    are answered so.
    """

    path: str
    label: str
    suggested: str
    probability: float
    suggested_probability: float
    score: float


@dataclass(frozen=True)
class Suspects:
    """What was found: `suspects`, the worst first, among so many `images` that were answered out of fold.

        found = lenext.find_suspects("runs/photos", "photos/")
        found.suspects[0].path, found.suspects[0].suggested

    `rows` are where the suspects stand in `reading`. `top1` is the percentage of images whose label was answered,
    `estimated_noise` that of labels that are estimated to be wrong. `epochs` is how many each fold was trained for;
    `skipped_files` are {path, reason}.
    """

    run: str
    model: str
    data: str
    images: int
    class_names: tuple[str, ...]
    folds: int
    epochs: int
    top1: float
    estimated_noise: float
    suspects: tuple[Suspect, ...]
    skipped_files: tuple[dict[str, str], ...]
    seconds: float
    rows: NDArray[np.int64] = field(repr=False)
    reading: Reading = field(repr=False)

    def fields(self) -> dict[str, Any]:
        """Return what the command prints as JSON."""
        return {
            "run": self.run,
            "model": self.model,
            "data": self.data,
            "images": self.images,
            "classes": len(self.class_names),
            "folds": self.folds,
            "epochs": self.epochs,
            "top1": self.top1,
            "estimated_noise": self.estimated_noise,
            "suspects": [asdict(each) for each in self.suspects],
            "skipped": len(self.skipped_files),
            "skipped_files": list(self.skipped_files),
            "seconds": self.seconds,
        }

    @property
    def caution(self) -> str:
        """What is to be said where the networks are too poor to tell a wrong label from a hard image, or ""."""
        if self.top1 >= POOR:
            return ""
        return (
            f"only {self.top1:.1f} % of the labels were answered, so that a suspect is more often hard than wrong: "
            "give a run that does better (trained for longer, or from weights), or look at the first suspects alone"
        )

    def write_exclusions(self, path: str | Path) -> None:
        """Write the suspects as a list for `--exclude`, to be looked through first: some are rare, not wrong.

        Raises:
            UserError: something stands there.
            LenextError: the write failed.
        """
        listed = (
            Exclusion(
                each.path, KIND, f"labelled {each.label}, probably {each.suggested} ({each.suggested_probability:.3f})"
            )
            for each in self.suspects
        )
        write_exclusions(Path(path), listed, data=self.data)
