"""How fast `lenext check` is, how much memory it takes, and which copies it finds.

    python benchmarks/checking.py photos ../shared/data/ants_bees     # images a second, and again from the cache
    python benchmarks/checking.py memory ../shared/data               # peak memory of 1,000, 10,000 and 50,000 files
    python benchmarks/checking.py copies ../shared/data               # planted copies found, time, false pairs

What must be: at least 150 photos of 500x375 pixels a second on two cores; at most 200 MB and 5 MB a thousand files;
50,000 images compared in at most 30 s after hashing, every planted copy found, and at most one false pair among 1,000
images of CIFAR-10. Pairs that were not planted go onto sheets of pictures, for somebody to look at: CIFAR-10 has copies
of its own.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from rounds import machine, spread

from lenext.checking.hashing import SIDE
from lenext.checking.similar import Pair, near_copies
from lenext.data.decode import open_image
from lenext.data.opening import open_source

PHOTOS, ROUNDS = 2000, 5
WIDTH, HEIGHT = 500, 375
PLANTED = 200  # of each way to copy
SHEET = (10, 12)


def varied(images: list[Image.Image], count: int) -> Iterator[Image.Image]:
    """Yield so many different photos of 500x375 pixels: parts of the images, mirrored, and lighter or darker."""
    rng = np.random.default_rng(0)
    for i in range(count):
        image = images[i % len(images)]
        share = rng.uniform(0.5, 0.9)
        width, height = share * image.width, share * image.height
        left, top = rng.uniform(0, image.width - width), rng.uniform(0, image.height - height)
        part = image.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC, (left, top, left + width, top + height))
        part = part.point([min(255, round(v * f)) for f in [rng.uniform(0.7, 1.2)] for v in range(256)] * 3)
        yield part.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if i % 2 else part


def fill(folder: Path, images: Iterator[Image.Image], quality: int) -> int:
    """Write the images as JPEG files of four classes in two splits; return how many bytes they have."""
    size = 0
    for i, image in enumerate(images):
        path = folder / ("val" if i % 10 == 0 else "train") / "abcd"[i % 4] / f"{i:06}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path, quality=quality)
        size += path.stat().st_size
    return size


def checked(folder: Path, cache: Path) -> tuple[float, float, dict[str, Any]]:
    """Return the seconds that the command takes, start included, the peak MB of its processes, and its JSON."""
    began, peak = time.perf_counter(), 0.0
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "lenext", "check", str(folder), "--json"],
            stdout=out, stderr=subprocess.DEVNULL, env={**os.environ, "XDG_CACHE_HOME": str(cache)},
        )  # fmt: skip
        tree = psutil.Process(process.pid)
        while process.poll() is None:
            with contextlib.suppress(psutil.Error):
                together = sum(each.memory_info().rss for each in [tree, *tree.children(recursive=True)])
                peak = max(peak, together / 1e6)
            time.sleep(0.01)
        seconds = time.perf_counter() - began
        assert process.returncode == 0
        out.seek(0)
        return seconds, peak, json.loads(out.read())


def photos(location: str) -> None:
    """Measure photos a second, the first time and from the cache."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "photos"
        originals = [open_image(item, 3) for split in open_source(location).splits.values() for item in split.items]
        size = fill(folder, varied(originals, PHOTOS), 90)
        first, again, memory = [], [], 0.0
        for number in range(ROUNDS):
            cache = Path(temporary) / f"cache {number}"
            seconds, peak, _ = checked(folder, cache)
            first.append(seconds)
            memory = max(memory, peak)
            again.append(checked(folder, cache)[0])
        print(f"{PHOTOS:,} photos of {WIDTH}x{HEIGHT}, {size / PHOTOS / 1e3:.0f} kB each")
        print(
            f"first {spread(first, 's')}, again {spread(again, 's')}; at the median {PHOTOS / np.median(first):,.0f} /s"
        )
        print(f"peak memory {memory:.0f} MB")


def memory(location: str) -> None:
    """Measure the peak memory of the process, which starts no others."""
    images = open_source(Path(location) / "cifar10").splits["train"].items
    originals = [
        open_image(item, 3)
        for split in open_source(Path(location) / "ants_bees").splits.values()
        for item in split.items
    ]
    for count in (1000, 10_000, 50_000):
        with tempfile.TemporaryDirectory() as temporary:
            few = varied(originals, count) if count == 1000 else (open_image(item, 3) for item in images[:count])
            fill(Path(temporary) / "images", few, 90)
            seconds, peak, found = checked(Path(temporary) / "images", Path(temporary) / "cache")
            bound = 200 + 5 * count / 1000
            print(f"{count:,} files: {peak:.0f} MB of {bound:.0f}, {seconds:.1f} s, {found['kinds']}", flush=True)


def jpeg(image: Image.Image, quality: int = 50) -> Image.Image:
    """Return the image as it comes back from a JPEG file."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer)


def part(left: float, top: float, right: float, bottom: float) -> Callable[[Image.Image], Image.Image]:
    """Return what cuts these shares off an image."""
    return lambda image: image.crop(
        (
            round(left * image.width), round(top * image.height),
            round((1 - right) * image.width), round((1 - bottom) * image.height),
        )
    )  # fmt: skip


WAYS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "resized to 60 %": lambda image: image.resize((round(0.6 * image.width), round(0.6 * image.height))),
    "JPEG of quality 50": jpeg,
    "5 % cropped, around": part(0.025, 0.025, 0.025, 0.025),
    "5 % cropped, each edge": part(0.05, 0.05, 0.05, 0.05),
    "5 % cropped, left": part(0.05, 0, 0, 0),
    "5 % cropped, top and right": part(0, 0.05, 0.05, 0),
    "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
}


def grey(image: Image.Image) -> NDArray[np.uint8]:
    """Return the small grey picture that a check compares."""
    return np.asarray(image.convert("L").resize((SIDE, SIDE), Image.Resampling.LANCZOS))


def copies(location: str) -> None:
    """Plant copies among 50,000 images of CIFAR-10, and among photos, and look for them."""
    folder = Path(location)
    train, test = (open_source(folder / "cifar10").splits[name] for name in ("train", "test"))
    several = [open_source(folder / name) for name in ("ants_bees", "imagenet_sample")]
    photos = [open_image(item, 3) for one in several for split in one.splits.values() for item in split.items]
    of_cifar = [open_image(item, 3) for item in test.items[: PLANTED * len(WAYS)]]
    planted = 2 * len(of_cifar)
    for name, rest, sources in (
        ("CIFAR-10", [open_image(item, 3) for item in train.items[: 50_000 - planted]], of_cifar),
        ("photos", [], photos),
    ):
        ways = list(WAYS) if name == "photos" else [way for way in WAYS for _ in range(PLANTED)]
        for some in [[way] * len(sources) for way in WAYS] if name == "photos" else [ways]:
            made = [WAYS[way](image) for way, image in zip(some, sources, strict=True)]
            greys = np.stack([grey(image) for image in [*sources, *made, *rest]])
            began, worked = time.perf_counter(), time.process_time()
            pairs = near_copies(greys, workers=2)
            seconds, worked = time.perf_counter() - began, time.process_time() - worked
            found = {(min(pair.a, pair.b), max(pair.a, pair.b)) for pair in pairs}
            for way in dict.fromkeys(some):
                those = [i for i, each in enumerate(some) if each == way]
                right = sum((i, i + len(sources)) in found for i in those)
                print(f"{name}, {way}: {right:,} of {len(those):,}", flush=True)
            others = [p for p in pairs if abs(p.a - p.b) != len(sources) or max(p.a, p.b) >= 2 * len(sources)]
            took = f"{seconds:.1f} s, {worked:.1f} s of work"
            print(f"{name}: {len(greys):,} images in {took}; {len(others):,} pairs that were not planted")
            if rest:
                sheets(others, [*sources, *made, *rest], Path("pairs"))


def sheets(pairs: list[Pair], images: list[Image.Image], folder: Path) -> None:
    """Draw the pairs, the least alike first, onto sheets of pictures."""
    folder.mkdir(exist_ok=True)
    across, down = SHEET
    ordered = sorted(pairs, key=lambda pair: pair.likeness)
    for number in range(0, len(ordered), across * down):
        sheet = Image.new("RGB", (across * 140, down * 84), "white")
        for i, pair in enumerate(ordered[number : number + across * down]):
            x, y = i % across * 140, i // across * 84
            for k, image in enumerate((images[pair.a], images[pair.b])):
                sheet.paste(image.convert("RGB").resize((64, 64)), (x + 66 * k, y))
            said = f"{100 * pair.likeness:.1f} {100 * pair.fine:.0f} {pair.how[:9]}"
            ImageDraw.Draw(sheet).text((x, y + 66), said, fill="black")
        sheet.save(folder / f"{number // (across * down):03}.png")


if __name__ == "__main__":
    print(machine())
    {"photos": photos, "memory": memory, "copies": copies}[sys.argv[1]](sys.argv[2])
