"""The built-in handwritten digits: 1,797 images of 8x8 pixels, the test part of the UCI set of 1998."""

from __future__ import annotations

import numpy as np

from lenext.data.source import ALL, Source, Split


def open_digits() -> Source:
    """Return the digits that scikit-learn carries, 0 to 16 of ink brought to 0 to 255."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = np.rint(digits.images * (255 / 16)).astype(np.uint8)  # (1797, 8, 8)
    names = [f"digits[{i}]" for i in range(len(pixels))]
    split = Split(pixels, digits.target.astype(np.int64), names)
    return Source("digits", tuple("0123456789"), {ALL: split})
