"""`explain`: which places of images speak for an answer, as maps over the photos, checked where that is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lenext.classifier import Classifier, load
from lenext.data.decode import UnreadableImageError
from lenext.errors import UserError
from lenext.explanation.faithfulness import check as check_map
from lenext.explanation.methods import Explainer, Method
from lenext.explanation.result import Explanation, Unreadable
from lenext.explanation.sight import Sight, look
from lenext.prediction import ONE_PICTURE, Picture, expand
from lenext.progress import SILENT, Progress


@dataclass(frozen=True)
class Explanations:
    """What came of asking a model about images: an entry for each, in order."""

    model: str
    method: Method
    stage: int | None
    entries: tuple[Explanation | Unreadable, ...]

    @property
    def readable(self) -> list[Explanation]:
        """The entries of the images that could be read."""
        return [entry for entry in self.entries if isinstance(entry, Explanation)]

    @property
    def skipped(self) -> list[Unreadable]:
        """The entries of the others."""
        return [entry for entry in self.entries if isinstance(entry, Unreadable)]

    def fields(self, pictures: Sequence[Path] = ()) -> list[dict[str, Any]]:
        """Return the JSON list that `lenext explain --json` prints; `pictures` are those written of the readable."""
        left = iter(pictures)
        return [
            entry.fields(str(written) if (written := next(left, None)) else None)
            if isinstance(entry, Explanation)
            else entry.fields()
            for entry in self.entries
        ]

    def write(self, folder: str | Path, command: str = "") -> list[Path]:
        """Write a picture of each image and a page, `index.html`, into a new folder; return the pictures.

        Raises:
            UserError: something is there already.
            LenextError: the write failed.
        """
        from lenext.explanation.page import explanations_page
        from lenext.explanation.writing import write_folder

        pictures = [entry.picture() for entry in self.readable]
        page = explanations_page(
            self.model, self.method, self.stage, self.readable, self.skipped, pictures=pictures, command=command
        )
        return write_folder(Path(folder), [entry.image for entry in self.readable], pictures, page)


def explain(
    target: str | Path | Classifier,
    images: Picture | Sequence[Picture],
    *,
    method: Method = "gradcam",
    label: str | None = None,
    stage: int | None = None,
    check: bool = False,
    weights: str | Path | None = None,
    device: str = "auto",
    progress: Progress = SILENT,
) -> Explanations:
    """Return which places of images speak for an answer.

        found = lenext.explain("runs/photos", ["cat.jpg"], label="cat")
        found.readable[0].heat.peak
        found.write("maps")

    `target` and `weights` are what `lenext.load` takes, or a classifier of it; `images` are files, folders, PIL images
    or uint8 arrays. `method` is `gradcam`, at the output of `stage` (counted from 0, the last where it is None),
    `occlusion`, `integrated-gradients` or `dense`. The class is the one called `label` (a name or a WordNet id), or
    where that is None, the model's answer to each. With `check`, random weights and deletion say how far each map is to
    be believed. What cannot be read is told and skipped.

    Raises:
        UserError: no such class, method or stage; no image that can be read; Captum is not installed and needed.
    """
    classifier = target if isinstance(target, Classifier) else load(target, weights=weights, device=device)
    explainer = Explainer(classifier, method, stage)
    index = None if label is None else classifier.index_of(label)
    pictures = list(expand([images] if isinstance(images, ONE_PICTURE) else images))
    if not pictures:
        raise UserError("there is no image to explain; give files, or folders that hold some")
    entries: list[Explanation | Unreadable] = []
    for name, picture in progress.track(pictures, "explaining", len(pictures), lambda _: 1):
        try:
            sight = look(classifier, name, picture)
        except UnreadableImageError as error:
            progress.note(f"{name} cannot be read: {error}")
            entries.append(Unreadable(name, str(error)))
        else:
            entries.append(_explained(explainer, sight, index, check))
    if not any(isinstance(entry, Explanation) for entry in entries):
        assert isinstance(entries[0], Unreadable)
        raise UserError(f"no image can be read; {entries[0].image}: {entries[0].error}")
    return Explanations(classifier.name, method, explainer.stage, tuple(entries))


def _explained(explainer: Explainer, sight: Sight, index: int | None, check: bool) -> Explanation:
    classifier, photo = explainer.classifier, sight.photo
    probabilities = classifier.probabilities(sight.pixels[None])[0]
    best = int(probabilities.argmax())
    index = best if index is None else index
    heat = explainer.map(sight, index)
    return Explanation(
        image=sight.name,
        **{"id": None, **classifier.called(index)},  # type: ignore[arg-type]
        probability=float(probabilities[index]),
        answer=classifier.class_names[best],
        answer_probability=float(probabilities[best]),
        method=explainer.method,
        stage=explainer.stage,
        heat=heat,
        photo=photo,
        seen=(0.0, 0.0, float(photo.width), float(photo.height)) if explainer.method == "dense" else sight.part,
        check=check_map(explainer, sight, index, heat) if check else None,
    )
