"""Windows of files: those of the decoded image, and near them where a JPEG is decoded at a part of its scale."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pictures import encoded, png, stripes
from PIL import Image
from sklearn.datasets import load_sample_image

from lenext.data.decode import ORIENTATION, ImageForm, UnreadableImageError, decode, decode_window, open_image

if TYPE_CHECKING:
    from lenext.data.source import Item

PHOTOS = sorted(Path(__file__).parents[2].parent.glob("shared/data/ants_bees/*/*/*.jpg"))
Window = tuple[int, int, int, int]


@cache
def photo(width: int, height: int) -> Image.Image:
    return Image.fromarray(load_sample_image("china.jpg")).resize((width, height), Image.Resampling.LANCZOS)


def jpeg(image: Image.Image, orientation: int = 1) -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return encoded(image, "JPEG", quality=92, exif=exif)


def found(item: Item, window: Window, side: int, channels: int | None = 3) -> NDArray[np.uint8]:
    form = ImageForm(size=(side, side + 1), channels=channels)
    return decode_window(item, form, lambda _: window)


def expected(item: bytes | Path, window: Window, side: int, channels: int | None = 3) -> NDArray[np.uint8]:
    """Return the same window of the image decoded in full."""
    top, left, height, width = window
    part = open_image(item, channels).crop((left, top, left + width, top + height))
    pixels = np.asarray(part.resize((side + 1, side), Image.Resampling.BILINEAR))
    return pixels.reshape(side, side + 1, -1)


def off(item: bytes | Path, window: Window, side: int, channels: int | None = 3) -> float:
    """Return by how many grey levels a window is off in the mean."""
    levels = found(item, window, side, channels).astype(float) - expected(item, window, side, channels)
    return float(np.abs(levels).mean())


KINDS = {
    "colour": jpeg(photo(90, 70)),
    "grey": encoded(photo(90, 70).convert("L"), "JPEG"),
    "cmyk": encoded(photo(90, 70).convert("CMYK"), "JPEG"),
    "png": png(np.asarray(photo(90, 70))),
    "grey png": png(np.asarray(photo(90, 70).convert("L"))),
    "alpha": encoded(photo(90, 70).convert("RGBA"), "PNG"),
    **{f"turned {i}": jpeg(photo(90, 70) if i < 5 else photo(70, 90), i) for i in range(2, 9)},
}


@pytest.mark.parametrize("channels", [None, 1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_reduced_is_pillows_crop_and_resize(kind: str, channels: int | None) -> None:
    for window in ((0, 0, 70, 90), (10, 20, 30, 41), (69, 89, 1, 1), (5, 0, 65, 3)):
        result = found(KINDS[kind], window, 30, channels)
        assert result.dtype == np.uint8
        wanted = expected(KINDS[kind], window, 30, channels)
        if (kind, channels) in (("colour", 3), ("grey", 1)):  # torch resizes these, and rounds a little otherwise
            gap = np.abs(result.astype(int) - wanted)
            assert gap.max() <= 1
            assert gap.mean() < 0.2
        else:
            np.testing.assert_array_equal(result, wanted)


def test_a_jpeg_that_is_not_resized_has_pillows_pixels() -> None:
    for channels, kind in ((3, "colour"), (1, "grey")):
        wanted = expected(KINDS[kind], (7, 11, 24, 25), 24, channels)
        np.testing.assert_array_equal(found(KINDS[kind], (7, 11, 24, 25), 24, channels), wanted)


def test_a_window_of_the_size_asked_for_is_not_resized() -> None:
    pixels = np.asarray(photo(90, 70))
    np.testing.assert_array_equal(found(png(pixels), (3, 4, 20, 21), 20), pixels[3:23, 4:25])


@pytest.mark.parametrize("orientation", range(10))
def test_the_sides_given_are_those_of_the_upright_image(orientation: int) -> None:
    """Whatever comes after 8 means nothing."""
    seen: list[tuple[int, int]] = []

    def choose(sides: tuple[int, int]) -> Window:
        seen.append(sides)
        return 0, 0, *sides

    data = jpeg(photo(90, 70), orientation)
    pixels = decode_window(data, ImageForm(size=(20, 20)), choose)
    upright = open_image(data)
    assert seen == [(upright.height, upright.width)] == [(90, 70) if orientation in (5, 6, 7, 8) else (70, 90)]
    np.testing.assert_array_equal(pixels, np.asarray(upright.resize((20, 20), Image.Resampling.BILINEAR)))


def test_an_orientation_that_is_a_word_is_ignored() -> None:
    word = b"\x01\x12\0\x02\0\0\0\x04six\0"  # the tag, the type of text, four bytes
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01" + word + bytes(4)
    data = encoded(photo(90, 70), "JPEG", exif=exif)
    assert Image.open(io.BytesIO(data)).getexif()[ORIENTATION] == "six"
    np.testing.assert_array_equal(found(data, (0, 0, 70, 90), 30), expected(data, (0, 0, 70, 90), 30))


REDUCED = [(800, 600), (801, 603), (1007, 1201)]  # the last two have no side that a reduction divides


@pytest.mark.parametrize("size", REDUCED, ids=str)
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("side", [20, 40, 100])
def test_reduced_jpegs_are_near_those_decoded_in_full(size: tuple[int, int], mode: str, side: int) -> None:
    width, height = size
    data = encoded(photo(*size).convert(mode), "JPEG", quality=92)
    for window in ((0, 0, height, width), (height - 501, width - 451, 501, 451), (7, 11, 420, 477)):
        assert 0 < off(data, window, side, 1 if mode == "L" else 3) < 2


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("size", REDUCED, ids=str)
def test_reduced_jpegs_are_turned_upright(size: tuple[int, int], orientation: int) -> None:
    data = jpeg(photo(*size), orientation)
    upright = open_image(data)
    for window in ((0, 0, upright.height, upright.width), (upright.height - 501, upright.width - 501, 501, 501)):
        assert off(data, window, 40) < 2


@pytest.mark.parametrize(("side", "factor"), [(301, 1), (300, 2), (151, 2), (150, 4), (76, 4), (75, 8), (10, 8)])
def test_two_pixels_for_one_are_left(side: int, factor: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 1200 pixels, whether or not their number is a multiple of the reduction."""
    sizes: list[tuple[int, int]] = []
    crop = Image.Image.crop

    def recorded(image: Image.Image, box: tuple[int, int, int, int]) -> Image.Image:
        sizes.append(image.size)
        return crop(image, box)

    monkeypatch.setattr(Image.Image, "crop", recorded)
    for extra in (0, 1, 7):
        data = jpeg(photo(1200 + extra, 1200))
        decode_window(data, ImageForm(size=(side, side)), lambda _: (0, 0, 1200, 1200))
        assert sizes.pop() == (-(-(1200 + extra) // factor), 1200 // factor)


@pytest.mark.skipif(not PHOTOS, reason="the photos lie on the machine of the project")
@pytest.mark.parametrize("side", [32, 64])
def test_photos_are_near_those_decoded_in_full(side: int) -> None:
    random = np.random.default_rng(side)
    for path in PHOTOS[:: len(PHOTOS) // 40]:
        image = open_image(path)
        share = random.uniform(0.5, 1)
        height, width = int(image.height * share), int(image.width * share)
        top, left = random.integers(0, (image.height - height + 1, image.width - width + 1)).tolist()
        assert off(path, (top, left, height, width), side) < 2


def test_arrays_and_opened_images_are_taken_too() -> None:
    """And an image that is given again and again is never reduced for good."""
    pixels = stripes(1, upright=True)
    np.testing.assert_array_equal(found(pixels, (1, 2, 30, 30), 9), expected(png(pixels), (1, 2, 30, 30), 9))
    data = jpeg(photo(800, 600))
    unread = Image.open(io.BytesIO(data))
    for _ in range(2):
        for image in (open_image(data), unread):
            np.testing.assert_array_equal(found(image, (0, 0, 600, 800), 20), expected(data, (0, 0, 600, 800), 20))
        assert unread.size == (800, 600)
    grey = decode_window(pixels[..., :1], ImageForm(size=(40, 40)), lambda _: (0, 0, 40, 40))
    np.testing.assert_array_equal(grey, pixels[..., :1])


@settings(max_examples=60)
@given(keep=st.floats(0, 1), damage=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), max_size=4))
def test_what_can_be_decoded_has_windows_and_what_cannot_has_a_reason(
    keep: float, damage: list[tuple[float, int]]
) -> None:
    data = bytearray(jpeg(photo(330, 250), 6))
    for place, value in damage:
        data[int(place * len(data))] = value
    data = data[: round(keep * len(data))]
    form = ImageForm(size=(20, 20), channels=3)
    try:
        decode(bytes(data), form)
    except UnreadableImageError:
        return
    assert decode_window(bytes(data), form, lambda sides: (0, 0, *sides)).shape == (20, 20, 3)


def test_what_is_no_image_has_a_reason() -> None:
    for item, reason in ((b"", "empty file"), (b"words", "not an image"), (jpeg(photo(90, 70))[:900], "truncated")):
        with pytest.raises(UnreadableImageError, match=reason):
            found(item, (0, 0, 10, 10), 5)
