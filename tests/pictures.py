"""Pictures for the tests: small, drawn on the spot, with something in them that a network can learn."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

ROTATED = 6  # the EXIF orientation of a camera held upright: turn by 90 degrees clockwise to show


def stripes(seed: int, *, upright: bool, side: int = 40) -> NDArray[np.uint8]:
    """Return noisy stripes, uint8 (side, side, 3): upright ones or lying ones, two classes that a net can tell."""
    rng = np.random.default_rng(seed)
    wave = 127 + 100 * np.sin(np.arange(side) * rng.uniform(0.8, 1.2) + rng.uniform(0, 6))
    grid = np.broadcast_to(wave if upright else wave[:, None], (side, side))
    noisy = grid[..., None] + rng.normal(0, 10, (side, side, 3))
    return noisy.clip(0, 255).astype(np.uint8)


def png(pixels: NDArray[np.generic]) -> bytes:
    """Return the pixels as the bytes of a PNG file."""
    return encoded(Image.fromarray(pixels))


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """Return the image as the bytes of a file of this kind; the options are those of Pillow's `save`."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def class_folder(root: Path, *, images: int = 12, classes: tuple[str, str] = ("lying", "upright")) -> Path:
    """Fill `root` with two class folders of stripes and return it."""
    for label, name in enumerate(classes):
        (root / name).mkdir(parents=True, exist_ok=True)
        for i in range(images):
            Image.fromarray(stripes(100 * label + i, upright=bool(label))).save(root / name / f"{i:03}.png")
    return root


def odd_folder(root: Path) -> tuple[Path, list[str]]:
    """Fill `root` with class folders that hold every kind of odd file; return it and what cannot be read."""
    class_folder(root)
    upright, lying = root / "upright", root / "lying"
    picture = Image.fromarray(stripes(7, upright=True))

    (lying / "truncated.jpg").write_bytes(encoded(picture, "JPEG")[:400])
    (lying / "empty.png").write_bytes(b"")
    (upright / "text named.jpg").write_text("these are words, not pixels")
    unreadable = ["lying/empty.png", "lying/truncated.jpg", "upright/text named.jpg"]

    writers: dict[str, Callable[[Path], None]] = {
        "sixteen bit.png": lambda path: Image.fromarray(stripes(1, upright=True)[..., 0].astype(np.uint16) * 257).save(
            path
        ),
        "cmyk.jpg": lambda path: picture.convert("CMYK").save(path),
        "animated.gif": lambda path: picture.convert("P").save(
            path, save_all=True, append_images=[Image.fromarray(stripes(8, upright=False)).convert("P")]
        ),
        "palette.png": lambda path: picture.quantize(16).save(path, transparency=0),
        "alpha.png": lambda path: picture.convert("RGBA").save(path),
        "grey alpha.png": lambda path: picture.convert("LA").save(path),
        "one bit.png": lambda path: picture.convert("1").save(path),
        "grüße 测试.png": lambda path: picture.save(path),
        "[brackets] 'quotes'.png": lambda path: picture.save(path),
    }
    for name, write in writers.items():
        write(upright / name)
    exif = Image.Exif()
    exif[0x0112] = ROTATED
    Image.fromarray(stripes(9, upright=False)).save(upright / "rotated.jpg", exif=exif)

    hidden = root / ".cache"
    hidden.mkdir()
    picture.save(hidden / "thumb.png")
    picture.save(lying / ".hidden.png")
    (root / "notes.txt").write_text("not an image and not called one")
    (lying / "Thumbs.db").write_bytes(b"\x00")
    return root, sorted(unreadable)
