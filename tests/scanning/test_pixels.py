"""Pixels: regions of an image at a scale, the same from memory and from disk."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lenext.data.decode import RESAMPLING, open_image
from lenext.errors import UserError
from lenext.scanning import pixels as pixels_module
from lenext.scanning.pixels import PixelsInMemory, PixelsOnDisk, open_pixels


def scene(height: int = 301, width: int = 417) -> np.ndarray:
    """Return something smooth with noise on it, uint8 (H, W, 3)."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width]
    waves = np.stack([np.sin(x / 17), np.cos(y / 23), np.sin((x + y) / 31)], -1)
    return (127 + 90 * waves + rng.normal(0, 8, (height, width, 3))).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("factor", [0.13, 0.5, 0.77, 1.0, 1.6, 2.0])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "lanczos", "nearest"])
def test_a_region_is_that_part_of_the_whole_resized(factor: float, interpolation: str) -> None:
    image = Image.fromarray(scene())
    size = (round(301 * factor), round(417 * factor))
    whole = np.asarray(image.resize((size[1], size[0]), RESAMPLING[interpolation])).astype(int)
    known = PixelsInMemory(image)
    for top, left, bottom, right in ((0, 0, *size), (7, 11, 33, 40), (size[0] - 20, size[1] - 31, *size)):
        found = known.region(size, top, left, bottom - top, right - left, interpolation)
        assert np.abs(found - whole[top:bottom, left:right]).max() <= 1


def test_a_region_of_many_pixels_is_made_in_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    known = PixelsInMemory(Image.fromarray(scene()))
    once = known.region((60, 83), 0, 0, 60, 83, "bilinear").astype(int)
    monkeypatch.setattr(pixels_module, "AT_ONCE", 5_000)
    cut = known.cut
    seen = []
    monkeypatch.setattr(known, "cut", lambda *box: seen.append(box) or cut(*box))
    assert np.abs(known.region((60, 83), 0, 0, 60, 83, "bilinear") - once).max() <= 1
    assert len(seen) > 10


def saved(path: Path, image: Image.Image, **options: Any) -> Path:
    image.save(path, **options)
    return path


def kinds(folder: Path) -> list[Path]:
    """Return the same scene in files of many kinds."""
    colour = Image.fromarray(scene())
    grey = colour.convert("L")
    exif = Image.Exif()
    exif[0x0112] = 6
    alpha = colour.copy()
    alpha.putalpha(Image.fromarray(np.tile(np.linspace(0, 255, 417).astype(np.uint8), (301, 1))))
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    return [
        saved(folder / "colour.jpg", colour, quality=95),
        saved(folder / "turned.jpg", colour, exif=exif, quality=95),
        saved(folder / "grey.jpg", grey),
        saved(folder / "colour.png", colour),
        saved(folder / "alpha.png", alpha),
        saved(folder / "grey alpha.png", alpha.convert("LA")),
        saved(folder / "palette.png", colour.quantize(32)),
        saved(folder / "deep.png", deep),
        saved(folder / "one bit.png", colour.convert("1")),
        saved(folder / "colour.tif", colour),
        saved(folder / "packed.tif", colour, compression="tiff_lzw"),
        saved(folder / "deep.tif", deep),
        saved(folder / "float.tif", Image.fromarray((np.asarray(grey) / 255).astype(np.float32))),
        saved(folder / "colour.webp", colour, lossless=True),
        saved(folder / "cmyk.jpg", colour.convert("CMYK"), quality=95),
    ]


@pytest.mark.parametrize("channels", [1, 3])
def test_both_readers_see_the_same(tmp_path: Path, channels: int) -> None:
    pytest.importorskip("pyvips")
    for path in kinds(tmp_path):
        expected = PixelsInMemory(open_image(path, channels))
        found = PixelsOnDisk(path, channels)
        assert (found.height, found.width, found.channels) == (expected.height, expected.width, channels), path.name
        size = (2 * found.height // 3, 2 * found.width // 3)
        for box in ((0, 0, *size), (20, 30, 50, 70)):
            ours, theirs = (each.region(size, *box, "bilinear").astype(int) for each in (found, expected))
            assert np.abs(ours - theirs).mean() <= 0.6, path.name
            assert np.abs(ours - theirs).max() <= 3, path.name


def test_an_image_that_pillow_refuses_is_read_by_regions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyvips")
    for name in ("large.tif", "large.png", "large.jpg"):
        path = saved(tmp_path / name, Image.fromarray(scene()))
        assert isinstance(open_pixels(path, 3), PixelsInMemory)
        with monkeypatch.context() as limit:
            limit.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)
            assert isinstance(open_pixels(path, 3), PixelsOnDisk)
        with monkeypatch.context() as limit:
            limit.setattr(pixels_module, "free_memory", lambda: 100_000)
            assert isinstance(open_pixels(path, 3), PixelsOnDisk)


def test_without_the_library_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "large.png", Image.fromarray(scene()))
    monkeypatch.setitem(sys.modules, "pyvips", None)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)
    with pytest.raises(UserError, match=r"large.png is too large to be decoded at once; pip install 'lenext\[large\]'"):
        open_pixels(path, 3)


def test_a_large_file_that_is_cut_off_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyvips")
    path = saved(tmp_path / "large.png", Image.fromarray(scene()))
    path.write_bytes(path.read_bytes()[:2000])
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)
    with pytest.raises(UserError, match=r"large.png cannot be read: "):
        open_pixels(path, 3).region((30, 40), 0, 0, 30, 40, "bilinear")


def test_what_is_no_image_is_told(tmp_path: Path) -> None:
    (tmp_path / "words.png").write_text("these are words")
    (tmp_path / "empty.png").write_bytes(b"")
    for name, reason in (("words.png", "not an image"), ("empty.png", "empty file"), ("absent.png", "no such file")):
        with pytest.raises(UserError, match=rf"{name} cannot be read: .*{reason}"):
            open_pixels(tmp_path / name, 3)
    with pytest.raises(UserError, match="is a folder; give one image"):
        open_pixels(tmp_path, 3)
