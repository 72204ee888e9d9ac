"""One image from any file: modes, rotations, geometry, and what cannot be read."""

from __future__ import annotations

import contextlib
import os
import struct
import subprocess
import sys
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pictures import encoded, png, stripes
from PIL import EpsImagePlugin, Image

from lenext.data import decode as decode_module
from lenext.data.chunks import bytes_needed
from lenext.data.decode import (
    BAND,
    FITS,
    RESAMPLING,
    Fit,
    ImageForm,
    UnreadableImageError,
    decode,
    fitted,
    is_image_name,
    middle,
    open_image,
    seen_part,
)

# As the module itself asks for, which pytest's own filters override.
pytestmark = pytest.mark.filterwarnings("ignore:::PIL")

WHITE, BLACK, RED, GREEN = (255, 255, 255), (0, 0, 0), (255, 0, 0), (0, 255, 0)


def of_mode(mode: str, *pixels: Any) -> Image.Image:
    """Return an image of one row."""
    image = Image.new(mode, (len(pixels), 1))
    image.putdata(pixels)
    return image


def palette(*, transparent: int | None = None) -> bytes:
    """Return a PNG of the three palette colours red, green and black, in this order."""
    image = of_mode("P", 0, 1, 2)
    image.putpalette([*RED, *GREEN, *BLACK])
    return encoded(image) if transparent is None else encoded(image, transparency=transparent)


def tiff(values: NDArray[np.generic]) -> bytes:
    return encoded(Image.fromarray(values), "TIFF")


def animation() -> bytes:
    first, second = of_mode("L", 10, 20).convert("P"), of_mode("L", 200, 100).convert("P")
    return encoded(first, "GIF", save_all=True, append_images=[second])


MODES: dict[str, tuple[bytes, object]] = {
    "one bit": (encoded(of_mode("1", 0, 255)), [0, 255]),
    "grey": (encoded(of_mode("L", 0, 7, 255)), [0, 7, 255]),
    "grey with alpha": (encoded(of_mode("LA", (100, 255), (100, 0), (0, 51))), [100, 255, 204]),
    "grey with a transparent grey": (encoded(of_mode("L", 7, 8), transparency=7), [255, 8]),
    "one bit with transparent black": (encoded(of_mode("1", 0, 255), transparency=0), [255, 255]),
    "palette": (palette(), [RED, GREEN, BLACK]),
    "palette with transparent green": (palette(transparent=1), [RED, WHITE, BLACK]),
    "colour": (encoded(of_mode("RGB", (1, 2, 3), GREEN)), [(1, 2, 3), GREEN]),
    "colour with a transparent colour": (
        encoded(of_mode("RGB", (1, 2, 3), GREEN), transparency=GREEN),
        [(1, 2, 3), WHITE],
    ),
    "colour with alpha": (encoded(of_mode("RGBA", (*RED, 255), (*RED, 0), (*RED, 51))), [RED, WHITE, (255, 204, 204)]),
    "cmyk": (encoded(of_mode("CMYK", (0, 0, 0, 0), (0, 255, 255, 0), (0, 0, 0, 255)), "TIFF"), [WHITE, RED, BLACK]),
    "sixteen bit": (png(np.array([[0, 257, 51_400, 65535]], np.uint16)), [0, 1, 200, 255]),
    "sixteen bit, big-endian": (tiff(np.array([[0, 257, 65535]], ">u2")), [0, 1, 255]),
    "integer of sixteen bits": (tiff(np.array([[0, 257, 65535]], np.int32)), [0, 1, 255]),
    "integer of eight bits": (tiff(np.array([[0, 1, 255]], np.int32)), [0, 1, 255]),
    "integer just over eight bits": (tiff(np.array([[0, 256]], np.int32)), [0, 1]),
    "integer out of range": (tiff(np.array([[-5, 70_000]], np.int32)), [0, 255]),
    "float from 0 to 1": (tiff(np.array([[0, 0.2, 1]], np.float32)), [0, 51, 255]),
    "float from 0 to 255": (tiff(np.array([[0, 50.6, 255, 300]], np.float32)), [0, 51, 255, 255]),
    "float with a gap": (tiff(np.array([[np.nan, 0.2, 1]], np.float32)), [0, 51, 255]),
    "animation": (animation(), [(10, 10, 10), (20, 20, 20)]),  # the first frame
}


@pytest.mark.parametrize("name", MODES)
def test_every_mode_becomes_grey_or_colour(name: str) -> None:
    data, row = MODES[name]
    expected = np.array([row], np.uint8)
    image = open_image(data)
    assert image.mode == ("L" if expected.ndim == 2 else "RGB")
    np.testing.assert_array_equal(np.asarray(image), expected)


@pytest.mark.parametrize("name", MODES)
@pytest.mark.parametrize("channels", [1, 3])
def test_channels_can_be_asked_for(name: str, channels: int) -> None:
    data, row = MODES[name]
    expected = np.array([row], np.float64)
    if expected.ndim == 2:
        expected = np.repeat(expected[..., None], channels, -1)
    elif channels == 1:
        expected = expected @ np.array([[0.299], [0.587], [0.114]])  # what BT.601 calls luma
    height, width = expected.shape[:2]
    pixels = decode(data, ImageForm(size=(height, width), channels=channels))
    assert pixels.shape == (height, width, channels)
    np.testing.assert_allclose(pixels, expected, atol=0.5 + 1e-3)


def test_cmyk_jpeg_keeps_its_colours() -> None:
    """Programs store the inks of a CMYK JPEG inverted; whoever forgets that shows a negative."""
    picture = Image.new("RGB", (16, 16), (200, 40, 90))
    pixels = np.asarray(open_image(encoded(picture.convert("CMYK"), "JPEG", quality=100)))
    np.testing.assert_allclose(pixels.astype(int), np.broadcast_to((200, 40, 90), (16, 16, 3)), atol=6)


@pytest.mark.parametrize("shape", [(3, 5), (3, 5, 1), (3, 5, 3)], ids=str)
def test_arrays_and_opened_images_are_taken_too(shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    expected = pixels.reshape(3, 5, -1)
    np.testing.assert_array_equal(decode(pixels, ImageForm(size=(3, 5))), expected)
    if len(shape) != 3 or shape[2] == 3:
        np.testing.assert_array_equal(decode(Image.fromarray(pixels), ImageForm(size=(3, 5))), expected)


# How a camera stores an upright picture that it marks with each orientation.
STORED: dict[int, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.T,
    6: lambda upright: np.rot90(upright),  # counterclockwise
    7: lambda upright: upright[::-1, ::-1].T,
    8: lambda upright: np.rot90(upright, -1),
}


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize(("kind", "tolerance"), [("PNG", 0), ("TIFF", 0), ("JPEG", 3)])
def test_every_exif_orientation_gives_the_upright_picture(orientation: int, kind: str, tolerance: int) -> None:
    upright = np.array([[0, 50, 100], [150, 200, 250]], np.uint8).repeat(16, 0).repeat(16, 1)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.ascontiguousarray(STORED[orientation](upright))
    options = {"quality": 100} if kind == "JPEG" else {}
    pixels = np.asarray(open_image(encoded(Image.fromarray(stored), kind, exif=exif, **options)))
    assert pixels.shape == upright.shape
    np.testing.assert_allclose(pixels.astype(int), upright, atol=tolerance)


@pytest.mark.parametrize("orientation", [0, 9, 65_535])
def test_an_orientation_that_means_nothing_is_ignored(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    np.testing.assert_array_equal(open_image(encoded(Image.fromarray(pixels), exif=exif)), pixels)


@pytest.mark.parametrize("exif", [b"Exif\0\0nonsense", b"Exif\0\0MM\0*\0\0\0\x08\0\x05"], ids=["no header", "cut off"])
def test_broken_metadata_does_not_matter(exif: bytes) -> None:
    assert open_image(encoded(Image.new("RGB", (4, 5)), "JPEG", exif=exif)).size == (4, 5)


def columns(width: int, height: int, step: int = 10) -> NDArray[np.uint8]:
    """Return a grey image whose pixels are `step` times their x position."""
    return np.broadcast_to((np.arange(width) * step).astype(np.uint8), (height, width)).copy()


def rows(width: int, height: int, step: int = 10) -> NDArray[np.uint8]:
    """Return a grey image whose pixels are `step` times their y position."""
    return columns(height, width, step).T.copy()


def fit(
    pixels: NDArray[np.uint8],
    size: tuple[int, int],
    fit: Fit,
    crop_ratio: float = 1.0,
    interpolation: str = "bilinear",
) -> list[list[int]]:
    form = ImageForm(size=size, fit=fit, crop_ratio=crop_ratio, interpolation=interpolation)
    values: list[list[int]] = decode(pixels, form)[..., 0].tolist()
    return values


def test_crop_takes_the_middle_columns() -> None:
    assert fit(columns(10, 4), (4, 4), "crop") == [[30, 40, 50, 60]] * 4


def test_crop_takes_the_middle_rows() -> None:
    assert fit(rows(4, 10), (4, 4), "crop") == [[y] * 4 for y in (30, 40, 50, 60)]


@pytest.mark.parametrize(("width", "first"), [(5, 0), (7, 2), (9, 2), (11, 4)])
def test_crop_of_odd_rests_rounds_half_to_even(width: int, first: int) -> None:
    """As torchvision does: 0.5 -> 0, 1.5 -> 2, 2.5 -> 2, 3.5 -> 4."""
    assert fit(columns(width, 4), (4, 4), "crop")[0] == [10 * x for x in range(first, first + 4)]


def test_crop_ratio_leaves_out_the_border() -> None:
    assert fit(columns(8, 8), (4, 4), "crop", crop_ratio=0.5) == [[20, 30, 40, 50]] * 4


def test_crop_meets_a_size_that_is_no_square() -> None:
    assert fit(columns(6, 6), (2, 6), "crop") == [[0, 10, 20, 30, 40, 50]] * 2
    assert fit(rows(6, 6), (2, 6), "crop") == [[20] * 6, [30] * 6]


def test_crop_shrinks_by_the_shorter_side() -> None:
    """16x4 columns, halved to 8x2: each output pixel means four input pixels, weighted 1, 3, 3, 1."""
    assert fit(columns(16, 4), (2, 2), "crop") == [[65, 85], [65, 85]]


def test_crop_enlarges_an_image_of_one_column() -> None:
    """1x5 enlarged to 3x15, of which the rows 6 to 8 are the middle: all of the third pixel."""
    assert fit(rows(1, 5), (3, 3), "crop", interpolation="nearest") == [[20] * 3] * 3


def test_pad_centres_the_whole_image_on_black() -> None:
    lying, upright = columns(4, 2) + 100, rows(2, 4) + 100
    assert fit(lying, (4, 4), "pad") == [[0] * 4, [100, 110, 120, 130], [100, 110, 120, 130], [0] * 4]
    assert fit(upright, (4, 4), "pad") == [[0, y, y, 0] for y in (100, 110, 120, 130)]


def test_pad_puts_an_odd_rest_below_and_to_the_right() -> None:
    assert fit(columns(4, 1) + 100, (4, 4), "pad") == [[0] * 4, [100, 110, 120, 130], [0] * 4, [0] * 4]
    assert fit(rows(1, 4) + 100, (4, 4), "pad") == [[0, y, 0, 0] for y in (100, 110, 120, 130)]


def test_pad_shrinks_and_enlarges_to_touch_the_frame() -> None:
    assert fit(np.full((4, 8), 90, np.uint8), (4, 4), "pad") == [[0] * 4, [90] * 4, [90] * 4, [0] * 4]
    assert fit(np.full((1, 2), 90, np.uint8), (4, 4), "pad") == [[0] * 4, [90] * 4, [90] * 4, [0] * 4]


def test_pad_keeps_a_line_of_an_image_that_is_far_too_long() -> None:
    assert fit(np.full((1, 1000), 90, np.uint8), (3, 3), "pad") == [[0] * 3, [90] * 3, [0] * 3]
    assert fit(np.full((1000, 1), 90, np.uint8), (3, 3), "pad") == [[0, 90, 0]] * 3


def test_squash_changes_the_aspect_ratio() -> None:
    """8 columns halved: 1, 3, 3, 1 over 8 inside; at the border the outer weight falls away, (3*0 + 3*10 + 20) / 7."""
    assert fit(columns(8, 3), (3, 4), "squash") == [[7, 25, 45, 63]] * 3


def test_squash_enlarges() -> None:
    pixels = np.array([[1, 2], [3, 4]], np.uint8)
    assert fit(pixels, (4, 2), "squash", interpolation="nearest") == [[1, 2], [1, 2], [3, 4], [3, 4]]
    # Between two pixels, a quarter and three quarters of the way; beyond their centres, the pixel itself.
    assert fit(columns(2, 1, step=100), (1, 4), "squash") == [[0, 25, 75, 100]]


@pytest.mark.parametrize("kind", FITS)
def test_an_image_of_the_right_size_stays_as_it_is(kind: Fit) -> None:
    pixels = stripes(3, upright=True, side=9)
    np.testing.assert_array_equal(decode(png(pixels), ImageForm(size=(9, 9), fit=kind)), pixels)


@pytest.mark.parametrize(("resize", "crop"), [(256, 224), (32, 32), (40, 33), (303, 288)])
@pytest.mark.parametrize(
    "size",
    [(300, 200), (200, 300), (256, 256), (257, 256), (500, 333), (49, 98), (700, 61), (224, 224), (1, 7), (13, 1)],
    ids=str,
)
def test_crop_agrees_with_torchvision(size: tuple[int, int], resize: int, crop: int) -> None:
    """Its evaluation transform, Resize(shorter side) then CenterCrop, written out."""
    image = Image.fromarray(np.random.default_rng(sum(size)).integers(0, 256, (size[1], size[0], 3), np.uint8))
    short, long = min(size), max(size)
    other = int(resize * long / short)
    resized = image.resize((resize, other) if size[0] <= size[1] else (other, resize), Image.Resampling.BILINEAR)
    left, top = round((resized.width - crop) / 2.0), round((resized.height - crop) / 2.0)
    expected = resized.crop((left, top, left + crop, top + crop))
    pixels = decode(image, ImageForm(size=(crop, crop), crop_ratio=crop / resize))
    np.testing.assert_array_equal(pixels, np.asarray(expected))


def test_the_usual_crop_ratio_means_256_for_224() -> None:
    image = Image.fromarray(stripes(0, upright=True, side=256))
    expected = np.asarray(image)[16:240, 16:240]
    np.testing.assert_array_equal(decode(image, ImageForm(size=(224, 224), crop_ratio=0.875)), expected)


@pytest.mark.parametrize("interpolation", RESAMPLING)
@pytest.mark.parametrize("size", [(40, 9), (9, 40), (30, 30), (4, 3)], ids=str)
def test_a_sliver_is_cut_before_it_is_enlarged_to_the_same_pixels(
    size: tuple[int, int], interpolation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Mid greys: between the passes over rows and columns Pillow clips what overshoots, and the order may differ.
    pixels = np.random.default_rng(0).integers(90, 160, size, np.uint8)
    form = ImageForm(size=(12, 12), crop_ratio=0.875, interpolation=interpolation)
    whole = decode(pixels, form)
    monkeypatch.setattr(decode_module, "SLIVER", 0)
    difference = np.abs(decode(pixels, form).astype(int) - whole)
    # Where a source pixel's border falls on a target's centre, "nearest" may take either neighbour.
    assert difference.max() <= 1 if interpolation != "nearest" else (difference > 0).mean() < 0.1


def test_a_sliver_is_never_enlarged_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """One pixel by 60,000 would be 256 by 15 million."""
    sizes = []
    resize = Image.Image.resize

    def recorded(image: Image.Image, size: tuple[int, int], *arguments: object, **options: object) -> Image.Image:
        sizes.append(size)
        assert size[0] * size[1] < 1_000_000, f"{size} would take the memory"
        return resize(image, size, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Image.Image, "resize", recorded)
    pixels = decode(np.full((60_000, 1), 90, np.uint8), ImageForm(size=(224, 224), crop_ratio=0.875))
    assert sizes == [(224, 224)]
    assert pixels.shape == (224, 224, 1)
    assert (pixels == 90).all()


SIDES = st.integers(1, 80)


@settings(deadline=None, max_examples=200)
@given(
    image_size=st.tuples(SIDES, SIDES),
    mode=st.sampled_from(["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F"]),
    size=st.tuples(SIDES, SIDES),
    channels=st.sampled_from([None, 1, 3]),
    kind=st.sampled_from(FITS),
    crop_ratio=st.floats(0.05, 1),
    interpolation=st.sampled_from(sorted(RESAMPLING)),
)
def test_every_image_comes_out_at_the_size_asked_for(
    image_size: tuple[int, int],
    mode: str,
    size: tuple[int, int],
    channels: int | None,
    kind: Fit,
    crop_ratio: float,
    interpolation: str,
) -> None:
    form = ImageForm(size=size, channels=channels, fit=kind, crop_ratio=crop_ratio, interpolation=interpolation)
    pixels = decode(Image.new(mode, image_size), form)
    grey = mode in ("1", "L", "LA", "I;16", "I", "F")
    assert pixels.shape == (*size, channels or (1 if grey else 3))
    assert pixels.dtype == np.uint8


def test_deep_images_are_brought_to_eight_bits_as_a_whole() -> None:
    """In parts, which is what their number of pixels is for; by the rule, on all of it."""
    every = np.tile(np.arange(65536, dtype=np.uint16), 6).reshape(3, -1)
    assert every.size > BAND
    by_rule = np.rint(every / np.float64(257)).astype(np.uint8)
    rng = np.random.default_rng(0)
    floats = rng.uniform(0, 1, every.shape).astype(np.float32)
    beyond = np.where(rng.random(every.shape) < 0.1, np.float32(np.nan), 300 * floats - 20)
    beyond[0, :2] = np.inf, -np.inf
    small = every.astype(np.int32) % 256
    for values, expected in (
        (every, by_rule),
        (every.astype(np.int32), by_rule),
        (small, small),
        (floats, np.rint(floats * 255)),
        (beyond, np.rint(np.nan_to_num(beyond)).clip(0, 255)),
    ):
        found = np.asarray(open_image(Image.fromarray(values)))
        assert (found == expected).all()


def test_deep_images_take_few_bytes_a_pixel() -> None:
    image = Image.new("I;16", (2000, 1000))
    tracemalloc.start()
    try:
        open_image(image)
        assert tracemalloc.get_traced_memory()[1] < 9 * image.width * image.height
    finally:
        tracemalloc.stop()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb() -> bytes:
    """Return a PNG of a hundred bytes that says it has 30,000 x 30,000 pixels."""
    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


PICTURE = Image.fromarray(stripes(0, upright=True))
POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n"
UNREADABLE: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "empty file"),
    "text": (b"these are words, not pixels", "not an image"),
    "zeros": (bytes(1000), "not an image"),
    "png cut in its signature": (encoded(PICTURE)[:5], "not an image"),
    "png cut in its header": (encoded(PICTURE)[:20], "cannot be decoded: Truncated"),
    "png cut in its pixels": (encoded(PICTURE)[:-200], "truncated"),
    "jpeg cut in its header": (encoded(PICTURE, "JPEG")[:100], "cannot be decoded: Truncated"),
    "jpeg cut in its pixels": (encoded(PICTURE, "JPEG")[:-200], "truncated"),
    "gif cut in its pixels": (encoded(PICTURE, "GIF")[:-200], "truncated"),
    "webp cut in its pixels": (encoded(PICTURE, "WEBP")[:-200], "cannot be decoded"),
    "postscript": (POSTSCRIPT, "not an image"),
    "bomb": (bomb(), "900000000 pixels"),
    "heic": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "a damaged HEIC image"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_cannot_be_read_has_a_reason(name: str, tmp_path: Path) -> None:
    data, reason = UNREADABLE[name]
    file = tmp_path / "picture.jpg"
    file.write_bytes(data)
    for item in (data, file):
        with pytest.raises(UnreadableImageError) as caught:
            decode(item, ImageForm(size=(8, 8)))
        assert reason in str(caught.value)
        assert len(str(caught.value).splitlines()) == 1
        assert len(str(caught.value)) < 150


def test_postscript_would_be_opened_without_the_list_of_formats() -> None:
    """The test above is about something: Pillow takes these bytes for an image, which another program draws."""
    assert EpsImagePlugin._accept(POSTSCRIPT)
    assert "EPS" not in decode_module.FORMATS


def test_a_file_that_cannot_be_opened_has_a_reason(tmp_path: Path) -> None:
    reasons = {
        tmp_path / "missing.jpg": "there is no such file",
        tmp_path: "Is a directory",
        tmp_path / "no\0name.jpg": "null",
        tmp_path / ("x" * 300): "File name too long",
    }
    for path, reason in reasons.items():
        with pytest.raises(UnreadableImageError, match=reason):
            decode(path, ImageForm(size=(8, 8)))


@settings(deadline=None, max_examples=200)
@given(
    kind=st.sampled_from(["PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "ICO", "TGA", "PCX"]),
    keep=st.floats(0, 1),
    damage=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=3),
)
def test_damaged_bytes_give_pixels_or_a_reason(kind: str, keep: float, damage: list[tuple[float, int]]) -> None:
    data = bytearray(encoded(Image.fromarray(stripes(0, upright=True, side=16)), kind))
    for place, value in damage:
        data[int(place * len(data))] = value
    with contextlib.suppress(UnreadableImageError):
        pixels = decode(bytes(data[: round(keep * len(data))]), ImageForm(size=(8, 8), channels=3))
        assert pixels.shape == (8, 8, 3)


def test_warnings_of_pillow_do_not_stop_an_image() -> None:
    """In a process of its own: inside a test, pytest's filters come before those of the module."""
    script = """
import io
from PIL import Image
from lenext.data.decode import ImageForm, decode
Image.MAX_IMAGE_PIXELS = 10  # twelve pixels are a warning then, twenty-one an error
file = io.BytesIO()
Image.new("L", (3, 4)).save(file, "PNG")
print(decode(file.getvalue(), ImageForm(size=(4, 3))).shape)
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout == "(4, 3, 1)\n"


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("a.jpg", True),
        ("a.JPEG", True),
        ("a.b.Png", True),
        (".jpg", True),
        ("grüße 1.webp", True),
        ("a.jpg.txt", False),
        ("jpg", False),
        ("a.eps", False),
        ("a.svg", False),
        ("", False),
    ],
)
def test_image_files_are_known_by_their_suffix(name: str, image: bool) -> None:
    assert is_image_name(name) is image


def test_a_pipe_is_no_image(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(UnreadableImageError, match="a pipe or a device, not a file"):
        decode(tmp_path / "pipe.png", ImageForm(size=(8, 8)))


def test_an_array_without_pixels_is_no_image() -> None:
    with pytest.raises(UnreadableImageError):
        decode(np.zeros((0, 0), np.uint8), ImageForm(size=(8, 8)))


@given(
    sides=st.tuples(st.integers(1, 300), st.integers(1, 300)), size=st.tuples(st.integers(1, 64), st.integers(1, 64))
)
def test_what_is_kept_whole_covers_the_size_and_no_more_than_twice_as_long(
    sides: tuple[int, int], size: tuple[int, int]
) -> None:
    form = ImageForm(size=size, channels=1, fit="whole")
    kept = decode(np.zeros(sides, np.uint8), form)
    assert kept.nbytes <= bytes_needed(form) + max(kept.shape)  # rounded to whole pixels
    top, left, height, width = middle(sides, size)
    assert 0 <= top <= sides[0] - height
    assert 0 <= left <= sides[1] - width
    assert (height, width) >= (1, 1)
    if sides[0] * size[1] == sides[1] * size[0]:
        assert (height, width) == sides


def test_an_image_of_a_long_shape_is_kept_to_its_ends() -> None:
    image = np.zeros((32, 256), np.uint8)
    image[:, :64] = 255
    kept = decode(image, ImageForm(size=(32, 256), channels=1, fit="whole"))
    np.testing.assert_array_equal(kept[..., 0], image)


@given(
    width=st.integers(40, 400),
    height=st.integers(40, 400),
    size=st.tuples(st.integers(16, 80), st.integers(16, 80)),
    fit=st.sampled_from(["crop", "pad", "squash"]),
    crop_ratio=st.sampled_from([1.0, 0.875, 0.5]),
)
@settings(max_examples=40)
def test_the_part_that_is_seen_is_the_one_that_is_shown(
    width: int, height: int, size: tuple[int, int], fit: Fit, crop_ratio: float
) -> None:
    """Pixels that say where they are: those in the middle of what is shown say where they were."""
    form = ImageForm(size=size, channels=1, fit=fit, crop_ratio=crop_ratio)
    left, top, right, bottom = seen_part((width, height), form)
    for axis, (start, end, side) in enumerate(((top, bottom, height), (left, right, width))):
        ramp = (np.arange(side) + 0.5) * (255 / side)
        page = np.broadcast_to(ramp[:, None] if axis == 0 else ramp, (height, width))
        shown = np.asarray(fitted(Image.fromarray(page.round().astype(np.uint8)), form)).astype(float)
        middle = np.take(shown, [size[axis] // 2], axis).mean(axis)[shown.shape[1 - axis] // 2] * side / 255
        expected = start + (size[axis] // 2 + 0.5) * (end - start) / size[axis]
        assert middle == pytest.approx(expected, abs=1.5 * max(1, side / 255) + 0.5)
