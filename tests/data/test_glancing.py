"""A glance sees what is there: header and picture, in every format; and refuses what decoding refuses."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pictures import ROTATED, encoded, odd_folder, png, stripes
from PIL import Image

from lenext.data import decode as decode_module
from lenext.data.decode import HEIC_HINT, ImageForm, UnreadableImageError, decode, image_header, open_image
from lenext.data.folder import image_files
from lenext.data.glancing import glance

PICTURE = Image.fromarray(stripes(7, upright=True, side=64))


def heic(**options: object) -> bytes:
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()
    return encoded(PICTURE.resize((96, 64)), "HEIF", **options)


def sixteen_bit_colour(grey: NDArray[np.uint16]) -> bytes:
    """Return a PNG of 16 bits in each of three channels, which Pillow reads but does not write."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = np.repeat(grey[..., None], 3, -1).astype(">u2")
    lines = b"".join(b"\0" + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", grey.shape[1], grey.shape[0], 16, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "AVIF"])
def test_every_format_is_named(kind: str) -> None:
    seen = glance(encoded(PICTURE, kind), 8)
    assert (seen.format, seen.height, seen.width, seen.orientation) == (kind, 64, 64, 1)
    assert (seen.deep, seen.transparent, seen.animated) == (False, False, False)


def test_a_jpeg_is_made_at_a_part_of_its_scale() -> None:
    data = encoded(Image.fromarray(stripes(1, upright=False, side=400)), "JPEG")
    seen = glance(data, 40, channels=1)
    assert (seen.height, seen.width, seen.image.size, seen.image.mode) == (400, 400, (50, 50), "L")
    whole = open_image(data, 1).resize((50, 50), Image.Resampling.BOX)
    assert np.abs(np.asarray(whole).astype(int) - np.asarray(seen.image)).mean() < 3


def test_a_turned_photo_is_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = ROTATED
    seen = glance(encoded(PICTURE.crop((0, 0, 64, 32)), "JPEG", exif=exif), 8)
    assert (seen.height, seen.width, seen.orientation) == (64, 32, ROTATED)
    assert seen.image.height == 2 * seen.image.width


def test_what_headers_say_is_told() -> None:
    deep = stripes(1, upright=True)[..., 0].astype(np.uint16) * 257
    assert glance(png(deep), 8).deep
    assert glance(sixteen_bit_colour(deep), 8).deep
    assert glance(encoded(PICTURE.convert("RGBA")), 8).transparent
    assert glance(encoded(PICTURE.convert("CMYK"), "JPEG"), 8).mode == "CMYK"
    frames = [Image.fromarray(stripes(i, upright=False)).convert("P") for i in (1, 2)]
    assert glance(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]), 8).animated
    assert not glance(np.zeros((9, 8), np.uint8), 8).animated


@pytest.mark.parametrize("said", [0, 9, 65535])
def test_a_turn_that_nobody_knows_is_none(said: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = said
    assert glance(encoded(PICTURE, "JPEG", exif=exif), 8).orientation == 1


def test_a_film_whose_second_picture_is_broken_is_read(tmp_path: Path) -> None:
    frames = [Image.fromarray(stripes(i, upright=False)).convert("P") for i in (1, 2)]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    for length in range(len(data) // 2 + 30, len(data), 97):
        try:
            decode(data[:length], ImageForm(size=(8, 8)))
        except UnreadableImageError:
            continue
        assert glance(data[:length], 8).height == 40


def test_what_can_be_decoded_can_be_glanced_at_and_nothing_else(tmp_path: Path) -> None:
    for path in image_files(odd_folder(tmp_path)[0]):
        reasons = []
        for look in (lambda path: decode(path, ImageForm(size=(8, 8))), lambda path: glance(path, 8)):
            try:
                look(path)
                reasons.append("")
            except UnreadableImageError as error:
                reasons.append(str(error))
        assert reasons[0] == reasons[1]


def test_heic_is_read_as_any_other(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = ROTATED
    plain, turned = heic(quality=90), heic(quality=90, exif=exif.tobytes())
    (tmp_path / "phone.heic").write_bytes(plain)
    assert image_header(tmp_path / "phone.heic") == (64, 96)
    pixels = decode(tmp_path / "phone.heic", ImageForm(size=(64, 96)))
    assert np.abs(pixels.astype(int) - np.asarray(PICTURE.resize((96, 64)))).mean() < 8
    seen = glance(turned, 8)
    assert (seen.format, seen.height, seen.width, seen.orientation) == ("HEIF", 96, 64, ROTATED)
    assert open_image(turned).size == (64, 96), "its decoder turns it, and nobody again"


def test_heic_without_its_decoder_says_what_brings_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    data = heic()
    monkeypatch.setattr(decode_module, "reads_heic", lambda: False)
    (tmp_path / "phone.heic").write_bytes(data)
    for read in (
        lambda: decode(data, ImageForm(size=(8, 8))), lambda: open_image(io.BytesIO(data).getvalue()),
        lambda: glance(data, 8),
    ):  # fmt: skip
        with pytest.raises(UnreadableImageError) as caught:
            read()
        assert str(caught.value) == HEIC_HINT
    with pytest.raises(UnreadableImageError):
        image_header(tmp_path / "phone.heic")
