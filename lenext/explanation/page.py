"""The page of explanations: each photo beside its map, and what is known of how far that is to be believed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lenext.explanation.faithfulness import Check
from lenext.explanation.methods import BRIGHTEST, Method
from lenext.explanation.overlay import display
from lenext.explanation.result import Explanation, Unreadable
from lenext.pages.heat import scale
from lenext.pages.pictures import picture_address
from lenext.pages.templates import template

CALLED = {"gradcam": "Grad-CAM", "occlusion": "Occlusion", "integrated-gradients": "Integrated gradients",
          "dense": "Class map of the dense form"}  # fmt: skip
SHOWN = 300  # pixels of a picture's longer side on the page


def explanations_page(
    model: str,
    method: Method,
    stage: int | None,
    readable: Sequence[Explanation],
    skipped: Sequence[Unreadable],
    *,
    pictures: Sequence[Image.Image],
    command: str,
) -> str:
    """Return the page; `pictures` are the maps over the photos of the readable images, in order."""
    checks = [entry.check for entry in readable if entry.check]
    return template(__package__, "page.html.jinja").render(
        model=model,
        method=CALLED[method],
        stage=stage,
        brightest=BRIGHTEST[method],
        dense=method == "dense",
        stops=scale(),
        entries=[_shown(entry, picture) for entry, picture in zip(readable, pictures, strict=True)],
        skipped=[{"path": entry.image, "reason": entry.error} for entry in skipped],
        summary=_summary(checks) if checks else None,
        command=command,
    )


def _shown(entry: Explanation, picture: Image.Image) -> dict[str, Any]:
    from lenext.explanation.chart import draw_deletion

    return {
        "photo": picture_address(display(entry.photo), SHOWN),
        "map": picture_address(picture, SHOWN),
        "name": Path(entry.image).name or entry.image,
        "label": entry.label,
        "percent": 100 * entry.probability,
        "answer": entry.answer if entry.answer != entry.label else None,
        "answer_percent": 100 * entry.answer_probability,
        "nothing": entry.heat.peak is None,
        "check": entry.check,
        "deletion": draw_deletion(entry.check.deletion) if entry.check else "",
    }


def _summary(checks: Sequence[Check]) -> dict[str, Any]:
    """Return the figures of all images together."""
    return {
        "images": len(checks),
        "dependent": sum(check.randomised.depends_on_weights for check in checks),
        "correlation": float(np.median([check.randomised.correlation for check in checks])),
        "faster": sum(check.deletion.faster for check in checks),
        "area": float(np.mean([check.deletion.area for check in checks])),
        "random_area": float(np.mean([check.deletion.random_area for check in checks])),
    }
