"""Whether predicting may decode large JPEGs at a part of their scale: how far the answers move, what it saves.

    python benchmarks/reduced_decoding.py MODEL.onnx ../shared/data/imagenet_sample

libjpeg decodes at a half, a quarter or an eighth for less work. `left` is how many pixels for each of the size wanted a
reduced image must have left. Photos as large as a camera's are made of those of the folder, enlarged.
"""

from __future__ import annotations

import io
import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import lenext
from lenext.data.decode import ImageForm, decode, fitted, unread_image, upright_image

PHOTOS, LEAST = 40, 330  # how many, and pixels of the shorter side
ENLARGED = (3, 6)
LEFT = (2, 4)


def reduced(data: bytes, form: ImageForm, left: float) -> NDArray[np.uint8]:
    """Decode a JPEG at the smallest scale that leaves so many pixels for one."""
    image = unread_image(data)
    oversize = min(image.size) / min(form.size)
    factor = next((each for each in (8, 4, 2) if oversize >= each * left), 1)
    if factor > 1:
        image.draft(None, (image.width // factor, image.height // factor))
    return np.asarray(fitted(upright_image(image, form.channels), form))


def enlarged(path: Path, times: int) -> bytes:
    """Return a photo as a JPEG of so many times its sides."""
    with Image.open(path) as photo:
        image = photo.convert("RGB").resize((photo.width * times, photo.height * times), Image.Resampling.BICUBIC)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=92)
    return out.getvalue()


def main(model: str, folder: str) -> None:
    """Print the largest and the median gap of any probability, and core time an image both ways."""
    predictor = lenext.load(model)
    paths = [path for path in sorted(Path(folder).rglob("*.*")) if min(Image.open(path).size) >= LEAST][:PHOTOS]
    for times in ENLARGED:
        photos = [enlarged(path, times) for path in paths]
        for left in LEFT:
            gaps, spent = [], np.zeros(2)
            for data in photos:
                began = time.process_time()
                whole = decode(data, predictor.form)
                between = time.process_time()
                part = reduced(data, predictor.form, left)
                spent += between - began, time.process_time() - between
                a, b = predictor.probabilities(np.stack([whole, part]))
                gaps.append(float(np.abs(a - b).max()))
            whole_ms, part_ms = 1000 * spent / len(photos)
            print(
                f"{len(photos)} photos enlarged {times} times, {left} pixels left for one: gap at most "
                f"{max(gaps):.1e}, median {np.median(gaps):.1e}; {whole_ms:.1f} ms whole, {part_ms:.1f} ms reduced"
            )


if __name__ == "__main__":
    main(*sys.argv[1:3])
