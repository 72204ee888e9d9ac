"""`Served`: a model that answers requests, from the bytes of an image to the classes in it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
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

ICON = b"\0\0\1\0"  # how an ICO file begins, which Pillow decodes before it says how large it is
LARGE = 16_000_000  # pixels above which images are decoded one after another: each may take hundreds of megabytes
_LARGE_ONE = threading.Lock()


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
            header = header_of(image, self.pixels)
            with in_turn(header):
                return decode(header, self.predictor.form)
        except UnreadableImageError as error:
            return str(error)


class TooLargeError(UnreadableImageError):
    """An image of too many pixels, which was not decoded."""


def header_of(image: bytes, most: int) -> Image.Image:
    """Return an image of which the header alone was read, and which is not too large to be decoded.

    Raises:
        UnreadableImageError: no image.
        TooLargeError: more than `most` pixels.
    """
    if not image:
        raise UnreadableImageError("empty file")
    if image.startswith(ICON):
        raise UnreadableImageError("an icon (ICO), which is not read here; send it as PNG")
    try:
        header = unread_image(image)
    except Image.DecompressionBombError:
        raise TooLargeError(f"more than {most:,} pixels; send a smaller image") from None
    except Exception as error:  # Pillow's decoders raise errors of many kinds on broken files
        raise UnreadableImageError(why_unreadable(error, image)) from error
    width, height = header.size
    if width * height > most:
        raise TooLargeError(f"{width}x{height} pixels are more than {most:,}; send a smaller image")
    return header


def in_turn(header: Image.Image) -> AbstractContextManager[Any]:
    """Return what to hold while an image is decoded."""
    return _LARGE_ONE if header.width * header.height > LARGE else contextlib.nullcontext()


def ending_of(header: Image.Image) -> str:
    """Return the ending that a file of this image has, such as .jpg."""
    known = {"JPEG": ".jpg", "MPO": ".jpg", "TIFF": ".tif", "JPEG2000": ".jp2"}
    return known.get(header.format or "", f".{(header.format or 'png').lower()}")
