"""`Served`: a model that answers requests, from the bytes of an image to the classes in it."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lenext.data.decode import (
    ORIENTATION,
    SIDEWAYS,
    UnreadableImageError,
    decode,
    seen_part,
    unread_image,
    why_unreadable,
)
from lenext.errors import LenextError, UserError
from lenext.prediction import Predictor


@dataclass(frozen=True)
class Found:
    """What an image was found to be: probabilities of all classes, (classes,), or why it cannot be read."""

    probabilities: NDArray[np.float32] | None
    error: str = ""


class Served:
    """A predictor under a name. `answer` and `class_map` may be called by several threads at once."""

    def __init__(self, name: str, predictor: Predictor, *, pixels: int, threads: int) -> None:
        self.name, self.predictor, self.pixels = name, predictor, pixels
        self._answer = predictor.answering(threads)

    def answer(self, images: Sequence[bytes]) -> list[Found]:
        """Return what each image, the bytes of a file, is found to be."""
        decoded = [self._decoded(image) for image in images]
        readable = [each for each in decoded if isinstance(each, np.ndarray)]
        rows: Iterator[Any] = iter(self._answer(np.stack(readable)) if readable else ())
        return [Found(None, each) if isinstance(each, str) else Found(next(rows)) for each in decoded]

    def best(self, found: Found, top: int) -> list[dict[str, Any]]:
        """Return the most probable classes of an image, with their probabilities."""
        assert found.probabilities is not None
        order = np.argsort(-found.probabilities, kind="stable")[:top]
        return [
            {**self.predictor.called(int(i)), "probability": round(float(found.probabilities[i]), 6)} for i in order
        ]

    def class_maps(self, asked: Sequence[tuple[bytes, int]]) -> list[dict[str, Any]]:
        """Return the class map of one class in each image, from 0 to 1, and which part of the image it covers."""
        return [self._class_map(image, index) for image, index in asked]

    def _class_map(self, image: bytes, index: int) -> dict[str, Any]:
        pixels = self._decoded(image)
        if isinstance(pixels, str):
            raise UserError(pixels)
        values = self.predictor.class_map(pixels[None])[0, index].astype(float)
        low, high = values.min(), values.max()
        scaled = (values - low) / (high - low) if high > low else np.zeros_like(values)
        head = unread_image(image)
        turned = head.getexif().get(ORIENTATION, 1) in SIDEWAYS
        sides = (head.height, head.width) if turned else (head.width, head.height)
        part = seen_part(sides, self.predictor.preprocessing.form)
        return {
            **self.predictor.called(index),
            "values": scaled.round(3).tolist(),
            "box": [round(value / sides[place % 2], 5) for place, value in enumerate(part)],
        }

    @cached_property
    def about(self) -> dict[str, Any]:
        """What is told of the model."""
        predictor = self.predictor
        form, known = predictor.preprocessing.form, predictor.metadata
        return {
            "name": self.name,
            "model": predictor.name,
            "classes": [predictor.called(index) for index in range(len(predictor.classes))],
            "size": list(form.size),
            "precision": known.get("precision", "float32"),
            "engine": predictor.run_by,
            "class_map": self._has_map(),
            "figures": {
                key: value for key, value in known.get("figures", {}).items() if isinstance(value, int | float)
            },
        }

    def _has_map(self) -> bool:
        """Say whether the class map has more than one place."""
        form = self.predictor.form
        try:
            shape = self.predictor.class_map(np.zeros((1, *form.size, form.channels or 3), np.uint8)).shape
        except (LenextError, UserError):
            return False
        return bool(shape[2] * shape[3] > 1)

    def _decoded(self, image: bytes) -> NDArray[np.uint8] | str:
        """Return the pixels of an image in the form that the model takes, or why there are none."""
        try:
            refusal = too_many_pixels(image, self.pixels)
            return refusal or decode(image, self.predictor.form)
        except UnreadableImageError as error:
            return str(error)


def too_many_pixels(image: bytes, most: int) -> str:
    """Return why an image is too large to be decoded, by its header; nothing where it is not.

    Raises:
        UnreadableImageError: no image.
    """
    if not image:
        raise UnreadableImageError("empty file")
    try:
        width, height = unread_image(image).size
    except Image.DecompressionBombError:
        return f"more than {most:,} pixels; send a smaller image"
    except Exception as error:  # Pillow's decoders raise errors of many kinds on broken files
        raise UnreadableImageError(why_unreadable(error, image)) from error
    return f"{width}x{height} pixels are more than {most:,}; send a smaller image" if width * height > most else ""


def kind_of(image: bytes) -> str:
    """Return the ending that a file of this image has, such as .jpg."""
    with Image.open(io.BytesIO(image)) as opened:
        return {"JPEG": ".jpg", "MPO": ".jpg", "TIFF": ".tif"}.get(
            opened.format or "", f".{(opened.format or 'png').lower()}"
        )
