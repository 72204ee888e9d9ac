"""Cutting windows: inside an image, over its edge, and brought to another size."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pictures import stripes
from PIL import Image

from lenext.data.cutting import cut, cut_one
from lenext.data.images import ImagesInMemory, PackedImages


def noise(height: int, width: int, channels: int = 3) -> NDArray[np.uint8]:
    return np.random.default_rng(height + width).integers(0, 256, (height, width, channels), np.uint8)


def window_of(
    image: NDArray[np.uint8], window: tuple[int, int, int, int], size: tuple[int, int], *, reflect: bool = False
) -> NDArray[np.uint8]:
    made = np.full((*size, image.shape[2]), 77, np.uint8)
    cut_one(image, window, made, reflect=reflect)
    return made


@pytest.mark.parametrize("channels", [1, 3])
def test_a_window_inside_is_copied(channels: int) -> None:
    image = noise(9, 7, channels)
    np.testing.assert_array_equal(window_of(image, (2, 3, 5, 4), (5, 4)), image[2:7, 3:7])


@given(
    sides=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    shift=st.tuples(st.integers(-20, 20), st.integers(-20, 20)),
    channels=st.sampled_from([1, 3]),
    reflect=st.booleans(),
)
def test_beyond_the_edge_lies_black_or_the_mirror_image(
    sides: tuple[int, int], shift: tuple[int, int], channels: int, reflect: bool
) -> None:
    image = noise(*sides, channels)
    around = np.pad(image, ((20, 20), (20, 20), (0, 0)), mode="reflect" if reflect else "constant")
    top, left = 20 + shift[0], 20 + shift[1]
    np.testing.assert_array_equal(
        window_of(image, (*shift, *sides), sides, reflect=reflect),
        around[top : top + sides[0], left : left + sides[1]],
    )


def test_the_mirror_stands_at_the_outermost_pixel() -> None:
    image = np.arange(4, dtype=np.uint8)[None, :, None].repeat(4, 0)
    assert window_of(image, (0, -3, 4, 4), (4, 4), reflect=True)[0, :, 0].tolist() == [3, 2, 1, 0]
    assert window_of(image, (0, 2, 4, 4), (4, 4), reflect=True)[0, :, 0].tolist() == [2, 3, 2, 1]


@pytest.mark.parametrize("size", [(5, 5), (30, 22), (1, 1), (64, 64)])
@pytest.mark.parametrize("channels", [1, 3])
def test_other_sizes_are_pillows_to_one_level(size: tuple[int, int], channels: int) -> None:
    image = np.concatenate([noise(30, 20), stripes(1, upright=True, side=30)], 1)[..., :channels]
    found = window_of(image, (2, 3, 25, 40), size)
    part = Image.fromarray(np.ascontiguousarray(image[2:27, 3:43]).squeeze())
    expected = np.asarray(part.resize(size[::-1], Image.Resampling.BILINEAR)).reshape(found.shape)
    assert np.abs(found.astype(int) - expected).max() <= 1


def test_windows_of_a_batch_are_those_of_its_images() -> None:
    pixels = np.stack([stripes(i, upright=True, side=12) for i in range(5)])
    indices = np.array([3, 0, 3, 4])
    windows = np.array([[0, 0, 12, 12], [1, 2, 6, 6], [-2, 1, 12, 12], [3, 3, 2, 9]])
    packed = PackedImages(
        [pixels[:2].ravel(), pixels[2:].ravel()],
        np.array([[0, 0], [0, 432], [1, 0], [1, 432], [1, 864]]),
        np.full((5, 2), 12),
        3,
    )
    for images in (ImagesInMemory(pixels), packed):
        for reflect in (False, True):
            found = cut(images, indices, windows, (12, 12), reflect=reflect)
            expected = [
                window_of(pixels[i], tuple(window), (12, 12), reflect=reflect)
                for i, window in zip(indices, windows.tolist(), strict=True)
            ]
            np.testing.assert_array_equal(found, expected)


def test_the_image_itself_stays_as_it_is() -> None:
    image = noise(8, 8)
    before = image.copy()
    for window in ((0, 0, 8, 8), (-3, 2, 8, 8), (1, 1, 4, 4)):
        window_of(image, window, (8, 8))
    np.testing.assert_array_equal(image, before)
