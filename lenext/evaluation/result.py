"""What an evaluation found: one object of figures, as Python and as the command's JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from lenext.evaluation.examination import CENTER, Seconds
from lenext.evaluation.figures import Figures
from lenext.evaluation.significance import Significance


@dataclass(frozen=True)
class Gain:
    """What the answers bring over those of `over`, which were given to the same images."""

    over: str
    significance: Significance

    @property
    def words(self) -> str:
        """The gain in percentage points with its interval, and whether it is more than chance brings."""
        told = self.significance
        return f"{told.difference:+.2f} ({told.low:+.2f} to {told.high:+.2f}): {told.verdict}"

    def to_json(self) -> dict[str, Any]:
        """Return all fields, and the verdict."""
        return {"over": self.over, **asdict(self.significance), "verdict": self.significance.verdict}


@dataclass(frozen=True)
class EvaluationResult:
    """What a classifier, or an ensemble of several, reached on a split.

    `target` is what was judged as it was given, `model` its architecture. `images` were judged, of `classes` that the
    data has, and answered with one of `candidates`; `seen` of them were trained on, as far as the weights say. Each was
    looked at as `views` say, in `passes` of the network whose pixels are `area` times those of its own size. `seconds`
    are those of the whole, `seconds_by` where they went. `skipped` images could not be read and are listed in
    `skipped_files`, each as {path, reason}. `gain` is over the centre view, or over the best member of an ensemble,
    which is chosen by these images too. An ensemble's answers are the `average` of its `members`', with `weights`;
    where they are `fitted`, these fit all images best, and each image was answered with ones that were fitted on
    others.
    """

    target: str
    model: str
    split: str
    figures: Figures
    classes: int
    candidates: int
    seen: int
    views: str
    passes: float
    area: float
    seconds: float
    seconds_by: Seconds
    skipped_files: list[dict[str, str]]
    gain: Gain | None = None
    average: str | None = None
    weights: tuple[float, ...] | None = None
    fitted: bool = False
    members: tuple[EvaluationResult, ...] = ()

    @property
    def top1(self) -> float:
        """Percentage of images whose class was answered."""
        return self.figures.top1

    @property
    def top5(self) -> float | None:
        """Percentage of images whose class is among the five most likely; None below six classes."""
        return self.figures.top5

    @property
    def loss(self) -> float:
        """Mean cross-entropy, in nats."""
        return self.figures.loss

    @property
    def seconds_of_views(self) -> float:
        """What decoding the images and looking at them took; other views than the centre decode while they look."""
        decoding = self.seconds_by.reading if self.views == CENTER else 0.0
        return decoding + self.seconds_by.judging

    @property
    def images(self) -> int:
        """How many images were judged."""
        return self.figures.images

    @property
    def skipped(self) -> int:
        """How many images could not be read."""
        return len(self.skipped_files)

    def to_json(self) -> dict[str, Any]:
        """Return the fields of the command's JSON."""
        figures = asdict(self.figures)
        first = {key: figures.pop(key) for key in ("top1", "top5", "loss", "images")}
        found: dict[str, Any] = {
            "target": self.target, "model": self.model, "split": self.split, **first, "classes": self.classes,
            "candidates": self.candidates, "seen": self.seen, "views": self.views, "passes": self.passes,
            "area": self.area, "seconds": self.seconds, "seconds_by": asdict(self.seconds_by), "skipped": self.skipped,
            "skipped_files": self.skipped_files, "gain": self.gain.to_json() if self.gain else None,
        }  # fmt: skip
        if self.members:
            found |= {
                "average": self.average,
                "weights": list(self.weights) if self.weights else None,
                "fitted": self.fitted,
                "members": [member.to_json() for member in self.members],
            }
        return {**found, **figures}
