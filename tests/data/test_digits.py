"""The digits that come with the library."""

from __future__ import annotations

import numpy as np

from lenext.data.opening import open_source


def test_the_built_in_digits_are_whole() -> None:
    source = open_source("digits")
    assert source.class_names == tuple("0123456789")
    assert list(source.splits) == ["all"]
    split = source.splits["all"]
    pixels = np.asarray(split.items)
    assert pixels.shape == (1797, 8, 8)
    assert pixels.dtype == np.uint8
    assert pixels.min() == 0
    assert pixels.max() == 255
    assert split.labels.dtype == np.int64
    assert np.bincount(split.labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert (split.names[0], split.names[-1]) == ("digits[0]", "digits[1796]")


def test_ink_is_bright() -> None:
    """The first image is a zero: nothing in its middle, ink around it."""
    first = np.asarray(open_source("digits").splits["all"].items[0])
    assert first[3:5, 3:5].max() == 0
    assert first[1, 2:5].min() > 127
