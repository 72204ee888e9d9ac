"""Pictures to ask engines about, the same in every process: noise of all sizes, as photos have, in three colours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lenext.data.decode import ImageForm, decode

HEIGHT, WIDTH = 384, 512
DIFFERENT = 8  # pictures, before the first comes again
COARSEST, FINEST = 2, 8  # powers of two: how many lumps the noise has across


def picture(number: int) -> Image.Image:
    """Return a picture; each number has its own."""
    rng = np.random.default_rng(number)
    total = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    for power in range(COARSEST, FINEST + 1):
        lumps = rng.standard_normal((3 * 2 ** (power - 2), 2**power, 3)).astype(np.float32)
        for channel in range(3):
            spread = Image.fromarray(lumps[..., channel]).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
            total[..., channel] += np.asarray(spread) / (power - COARSEST + 1)
    return Image.fromarray(np.clip(128 + 48 * total, 0, 255).astype(np.uint8))


def pixels_of(count: int, form: ImageForm) -> NDArray[np.uint8]:
    """Return so many pictures, in turn, in the form in which an engine takes them, uint8 (N, H, W, C)."""
    different = np.stack([decode(picture(number), form) for number in range(min(count, DIFFERENT))])
    return np.resize(different, (count, *different.shape[1:]))
