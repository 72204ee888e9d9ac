"""A folder with every kind of trouble that `lenext check` knows, each planted once, among photos that have none."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from pictures import ROTATED, encoded
from PIL import Image

CLEAN = 14  # photos of each class to train on
Planted = set[tuple[str, str]]


def photo(seed: int, width: int = 160, height: int = 120) -> Image.Image:
    """Return what is as a photo is: as much of each frequency, in colours, with edges; another one for each seed."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None])
    frequency[0, 0] = 1
    channels = []
    shared = rng.standard_normal((height, width))
    for _ in range(3):
        noise = 0.8 * shared + 0.4 * rng.standard_normal((height, width))
        waves = np.fft.ifft2(np.fft.fft2(noise) / frequency**1.1).real
        channels.append(waves / waves.std())
    pixels = 128 + 45 * np.stack(channels, -1)
    for _ in range(4):
        top, left = rng.integers(0, height - 20), rng.integers(0, width - 20)
        pixels[top : top + rng.integers(10, 50), left : left + rng.integers(10, 50)] += rng.normal(0, 60, 3)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def cropped(image: Image.Image, share: float = 0.05) -> Image.Image:
    """Return the image without so large a share of its sides, half of it at each edge."""
    left, top = round(image.width * share / 2), round(image.height * share / 2)
    return image.crop((left, top, image.width - left, image.height - top))


def compressed(image: Image.Image, quality: int = 50) -> bytes:
    """Return the image as a JPEG of low quality."""
    return encoded(image, "JPEG", quality=quality)


def smaller(image: Image.Image, share: float = 0.6) -> Image.Image:
    """Return the image with sides of this share."""
    return image.resize((round(image.width * share), round(image.height * share)), Image.Resampling.LANCZOS)


def troubled_folder(root: Path) -> Planted:
    """Fill `root` and return what is to be found in it: kind and path."""
    for number, name in enumerate(("1", "2", "10")):
        for split, count in (("train", CLEAN), ("val", 3)):
            (root / split / name).mkdir(parents=True)
            for i in range(count):
                seed = 1_000 + 10_000 * number + (5_000 if split == "val" else 0) + i
                photo(seed).save(root / split / name / f"{i:03}.jpg", quality=92)
    planted: Planted = {("order", "10"), *_files(root), *_copies(root), *_classes(root), *_beside(root)}
    return planted


def _put(root: Path, path: str, content: bytes | Image.Image, **options: object) -> None:
    place = root / path
    place.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        place.write_bytes(content)
    else:
        content.save(place, **options)


def _files(root: Path) -> Planted:
    whole = encoded(photo(1), "JPEG")
    _put(root, "train/1/empty.jpg", b"")
    _put(root, "train/1/cut off.jpg", whole[: len(whole) // 2])
    _put(root, "train/1/cut off.png", encoded(photo(2))[:-500])
    _put(root, "train/1/text.jpg", b"these are words, not pixels")
    _put(root, "train/1/damaged.png", encoded(photo(3))[:60] + b"\0" * 400 + b"IEND\xaeB`\x82")
    (root / "train/1/gone.jpg").symlink_to(root / "nowhere.jpg")
    exif = Image.Exif()
    exif[0x0112] = ROTATED
    _put(root, "train/2/turned.jpg", photo(4), exif=exif)
    grey = np.asarray(photo(5).convert("L")).astype(np.uint16)
    _put(root, "train/2/deep.png", Image.fromarray(grey * 257))
    _put(root, "train/2/ink.jpg", photo(6).convert("CMYK"))
    _put(root, "train/2/glass.png", photo(7).convert("RGBA"))
    _put(root, "train/2/film.gif", photo(8).convert("P"), save_all=True, append_images=[photo(9).convert("P")])
    _put(root, "train/2/new.webp", photo(10))
    _put(root, "train/2/newer.avif", photo(11))
    _put(root, "train/10/misnamed.jpg", encoded(photo(12)))
    _put(root, "train/10/large.jpg", photo(13, 400, 300).resize((4000, 3000)))
    _put(root, "train/10/tiny.png", photo(14).resize((20, 20)))
    _put(root, "train/10/long.jpg", photo(15, 320, 100))
    _put(root, "train/10/white.png", Image.new("RGB", (160, 120), "white"))
    noise = np.random.default_rng(0).normal(30, 1, (120, 160, 3)).clip(0, 255).astype(np.uint8)
    _put(root, "train/10/night.jpg", Image.fromarray(noise))
    return {
        ("empty", "train/1/empty.jpg"), ("truncated", "train/1/cut off.jpg"), ("truncated", "train/1/cut off.png"),
        ("not-an-image", "train/1/text.jpg"), ("unreadable", "train/1/damaged.png"), ("missing", "train/1/gone.jpg"),
        ("rotated", "train/2/turned.jpg"), ("deep", "train/2/deep.png"), ("cmyk", "train/2/ink.jpg"),
        ("alpha", "train/2/glass.png"), ("animated", "train/2/film.gif"),
        ("wrong-extension", "train/10/misnamed.jpg"), ("large", "train/10/large.jpg"), ("small", "train/10/tiny.png"),
        ("long", "train/10/long.jpg"), ("blank", "train/10/white.png"), ("blank", "train/10/night.jpg"),
    }  # fmt: skip


def _copies(root: Path) -> Planted:
    bytes_of = {name: (root / name).read_bytes() for name in ("val/1/000.jpg", "train/2/001.jpg", "train/2/002.jpg")}
    _put(root, "train/1/copy of val.jpg", bytes_of["val/1/000.jpg"])
    _put(root, "train/10/copy of 2.jpg", bytes_of["train/2/001.jpg"])
    _put(root, "train/2/copy.jpg", bytes_of["train/2/002.jpg"])

    def opened(name: str) -> Image.Image:
        return Image.open(io.BytesIO((root / name).read_bytes()))

    _put(root, "train/1/smaller val.jpg", smaller(opened("val/1/001.jpg")))
    _put(root, "train/2/compressed val.jpg", compressed(opened("val/2/001.jpg")))
    _put(root, "train/10/cropped val.jpg", cropped(opened("val/10/001.jpg")), quality=92)
    _put(root, "train/1/cropped 10.jpg", cropped(opened("train/10/004.jpg")), quality=92)
    _put(root, "train/2/mirrored.jpg", opened("train/2/005.jpg").transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    return {
        ("duplicate-across-splits", "train/1/copy of val.jpg"),
        ("duplicate-across-classes", "train/10/copy of 2.jpg"), ("duplicate-across-classes", "train/2/001.jpg"),
        ("duplicate", "train/2/copy.jpg"),
        ("near-duplicate-across-splits", "train/1/smaller val.jpg"),
        ("near-duplicate-across-splits", "train/2/compressed val.jpg"),
        ("near-duplicate-across-splits", "train/10/cropped val.jpg"),
        ("near-duplicate-across-classes", "train/10/004.jpg"),
        ("near-duplicate-across-classes", "train/1/cropped 10.jpg"),
        ("near-duplicate", "train/2/mirrored.jpg"),
    }  # fmt: skip


def _classes(root: Path) -> Planted:
    (root / "train/nothing").mkdir()
    _put(root, "val/only here/1.jpg", photo(20))
    for i in range(2):
        _put(root, f"train/few/{i}.jpg", photo(30 + i))
    _put(root, "val/Few/1.jpg", photo(40))
    _put(root, "train/broken/1.png", encoded(photo(50))[:-500])
    for i in range(100, 120):
        _put(root, f"train/10/{i}.jpg", photo(200 + i))
    return {
        ("empty-class", "train/nothing"), ("empty-class", "train/broken"), ("truncated", "train/broken/1.png"),
        ("class-not-in-train", "val/only here"), ("class-not-in-train", "val/Few"),
        ("class-missing", "val/few"), ("class-missing", "val/broken"),
        ("similar-classes", "few"), ("tiny-class", "train/few"), ("imbalance", "train"),
    }  # fmt: skip


def _beside(root: Path) -> Planted:
    _put(root, "loose.jpg", photo(60))
    _put(root, "train/loose.jpg", photo(61))
    _put(root, "train/1/no ending", encoded(photo(62)))
    _put(root, "train/1/notes.txt", b"not an image and not called one")
    _put(root, "masks/1.png", photo(63))
    _put(root, ".git/config", b"[core]")
    _put(root, "train/1/.hidden.jpg", photo(64))
    _put(root, "train/@eaDir/1.jpg", photo(65))
    _put(root, "train/2/Thumbs.db", b"\0")
    for i in range(1, 11):
        _put(root, f"train/2/frames/frame {i}.jpg", photo(70 + i))
    return {
        ("loose-image", "loose.jpg"), ("loose-image", "train/loose.jpg"), ("unnamed-image", "train/1/no ending"),
        ("ignored", "train/1"), ("ignored", "masks"), ("hidden", ".git"), ("hidden", "train/1/.hidden.jpg"),
        ("hidden", "train/@eaDir"), ("hidden", "train/2/Thumbs.db"), ("order", "train/2/frames"),
    }  # fmt: skip
