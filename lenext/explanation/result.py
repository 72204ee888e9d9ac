"""What came of explaining an answer to one image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from PIL import Image

from lenext.explanation.faithfulness import Check
from lenext.explanation.heat_map import HeatMap
from lenext.explanation.methods import Method
from lenext.explanation.overlay import overlay
from lenext.pages.heat import Box


@dataclass(frozen=True)
class Explanation:
    """Which places of an image speak for the class `label`, which the model gives `probability` (0 to 1).

    `answer` is the model's own, with its probability. `heat` lies on `photo`, of which the network saw `seen` (left,
    top, right, bottom, in pixels of the upright photo); `stage` is that of Grad-CAM's maps.
    """

    image: str
    label: str
    id: str | None
    probability: float
    answer: str
    answer_probability: float
    method: Method
    stage: int | None
    heat: HeatMap
    photo: Image.Image
    seen: Box
    check: Check | None = None

    def picture(self) -> Image.Image:
        """Return the map over the greyed photo; what the network did not see is darker."""
        return overlay(self.photo, self.heat, self.seen)

    def fields(self, picture: str | None = None) -> dict[str, Any]:
        """Return the entry of the command's JSON; `picture` is where that was written."""
        peak = self.heat.peak
        return {
            "image": self.image,
            "label": self.label,
            **({"id": self.id} if self.id else {}),
            "probability": self.probability,
            "answer": {"label": self.answer, "probability": self.answer_probability},
            "method": self.method,
            "stage": self.stage,
            "height": self.photo.height,
            "width": self.photo.width,
            "seen": [round(side, 2) for side in self.seen],
            "peak": {"x": round(peak[0], 2), "y": round(peak[1], 2)} if peak else None,
            "picture": picture,
            "check": self.check.fields() if self.check else None,
        }


@dataclass(frozen=True)
class Unreadable:
    """An image that could not be read, and the reason."""

    image: str
    error: str

    def fields(self) -> dict[str, Any]:
        """Return the entry of the command's JSON."""
        return {"image": self.image, "error": self.error}
