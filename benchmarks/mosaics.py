"""Digits in mosaics, found by scanning: how many, how near to their true places, and how many places are false.

    python benchmarks/mosaics.py ../shared/data/mnist [--seeds 3] [--epochs 3]

For each seed, `lenet5_valid` is trained by `lenext.train` with its plain recipe, once on the digits of MNIST as they
are and once on windows cut from mosaics of them: on a digit, to a pixel, or `background`, where the centre of no digit
is within three pixels. Then mosaics of test digits are scanned for each of the ten classes: digits edge to edge on a
grid of 28 pixels, and digits scattered on black without overlap. A digit is found where a peak of its class lies within
3 pixels of its centre, down and across; every other peak is false.
"""

from __future__ import annotations

import argparse
import io
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from PIL import Image
from pyarrow import parquet as pq
from rounds import machine

import lenext

SIDE, HALF = 28, 14
NEAR = 3  # pixels
SHIFT, AWAY = 1, 4  # pixels from a centre that a window may be to show a digit, and that it is to show background
Digits = tuple[NDArray[np.uint8], NDArray[np.int64]]
Placed = list[tuple[int, int, int]]  # x and y of the centre, and the class


def read_digits(folder: Path, split: str, count: int | None = None) -> Digits:
    """Return the first `count` images of a split, (N, 28, 28), and their classes."""
    table = pa.concat_tables([pq.read_table(path) for path in sorted(folder.rglob(f"{split}*.parquet"))])[:count]
    images = [np.asarray(Image.open(io.BytesIO(each["bytes"]))) for each in table["image"].to_pylist()]
    return np.stack(images), np.array(table["label"])


def grid(digits: Digits, rng: np.random.Generator, side: int = 10) -> tuple[NDArray[np.uint8], Placed]:
    """Return digits edge to edge, `side` by `side` of them, and where each is."""
    images, labels = digits
    chosen = rng.choice(len(images), side * side, replace=False)
    page = images[chosen].reshape(side, side, SIDE, SIDE).transpose(0, 2, 1, 3).reshape(side * SIDE, side * SIDE)
    places = [(HALF + SIDE * (k % side), HALF + SIDE * (k // side)) for k in range(side * side)]
    return page, [(x, y, int(labels[k])) for (x, y), k in zip(places, chosen, strict=True)]


def scattered(
    digits: Digits, rng: np.random.Generator, side: int = 400, count: int = 60
) -> tuple[NDArray[np.uint8], Placed]:
    """Return digits on black, none over another, and where each is; fewer than `count` where no place is left."""
    images, labels = digits
    page = np.zeros((side, side), np.uint8)
    placed: Placed = []
    for k in rng.permutation(len(images))[:count]:
        for top, left in rng.integers(0, side - SIDE + 1, (50, 2)):
            x, y = int(left) + HALF, int(top) + HALF
            if all(max(abs(x - there[0]), abs(y - there[1])) >= SIDE for there in placed):
                page[top : top + SIDE, left : left + SIDE] = images[k]
                placed.append((x, y, int(labels[k])))
                break
    return page, placed


def windows(digits: Digits, count: int, seed: int) -> tuple[list[NDArray[np.uint8]], list[str]]:
    """Return windows of mosaics of these digits and their classes: `count` of digits, as many of background."""
    rng = np.random.default_rng(seed)
    cuts: list[NDArray[np.uint8]] = []
    names: list[str] = []
    while len(cuts) < 2 * count:
        many = int(rng.integers(5, 90))
        page, placed = grid(digits, rng) if rng.random() < 0.5 else scattered(digits, rng, count=many)
        side = len(page)
        for x, y, label in placed:
            right, down = rng.integers(-SHIFT, SHIFT + 1, 2)
            column, row = (int(np.clip(at, HALF, side - HALF)) for at in (x + right, y + down))
            cuts.append(page[row - HALF : row + HALF, column - HALF : column + HALF])
            names.append(str(label))
        corners = rng.integers(HALF, side - HALF + 1, (20 * len(placed), 2))
        there = np.array([(x, y) for x, y, _ in placed])
        far = np.abs(corners[:, None] - there).max(2).min(1) >= AWAY
        for column, row in corners[far][: len(placed)]:
            cuts.append(page[row - HALF : row + HALF, column - HALF : column + HALF])
            names.append("background")
    return cuts, names


def write_table(path: Path, cuts: Sequence[NDArray[np.uint8]], names: Sequence[str]) -> None:
    """Write images and classes as lenext reads them: one parquet file a split."""
    path.parent.mkdir(parents=True, exist_ok=True)
    files = []
    for cut in cuts:
        buffer = io.BytesIO()
        Image.fromarray(cut).save(buffer, "PNG", compress_level=1)
        files.append(buffer.getvalue())
    pq.write_table(pa.table({"image": files, "label": list(names)}), path)


def judge(
    classifier: lenext.Classifier,
    page: NDArray[np.uint8],
    placed: Placed,
    *,
    finer: bool,
    scales: Sequence[float] = (1,),
) -> NDArray[np.int64]:
    """Scan for each of the ten classes; return how many digits there are, found ones, peaks and false peaks."""
    found, peaks = 0, 0
    for label in range(10):
        scan = lenext.scan(classifier, page, str(label), scales=scales, finer=finer)
        peaks += len(scan.peaks)
        left = list(scan.peaks)
        for x, y, there in placed:
            near = [peak for peak in left if max(abs(peak.x - x), abs(peak.y - y)) <= NEAR]
            if there == label and near:
                left.remove(near[0])
                found += 1
    return np.array([len(placed), found, peaks, peaks - found])


def main() -> None:
    """Print what was found in mosaics of either kind, by networks trained in either way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--pages", type=int, default=4, help="mosaics of each kind a seed")
    asked = parser.parse_args()
    torch.set_num_threads(1)  # so small a network is the slower for a second one
    test = read_digits(asked.data, "test")
    with tempfile.TemporaryDirectory() as folder:
        cut = Path(folder) / "windows"
        for split, count in (("train", 60_000), ("test", 2_000)):
            digits = read_digits(asked.data, "train") if split == "train" else test
            write_table(cut / f"{split}.parquet", *windows(digits, count, seed=count))
        for what, data in (("digits alone", asked.data), ("with background", cut)):
            sums: dict[tuple[str, bool, tuple[float, ...]], list[NDArray[np.int64]]] = {}
            for seed in range(1, asked.seeds + 1):
                run = lenext.train(
                    data, "lenet5_valid", epochs=asked.epochs, seed=seed, out=Path(folder) / f"{what}-{seed}"
                )
                classifier = lenext.load(run.run)
                rng = np.random.default_rng(seed)
                for kind, make in (("grid", grid), ("scattered", scattered)):
                    pages = [make(test, rng) for _ in range(asked.pages)]
                    for finer, scales in ((False, (1.0,)), (True, (1.0,)), (True, (0.5, 1.0, 2.0))):
                        counts = [judge(classifier, *page, finer=finer, scales=scales) for page in pages]
                        sums.setdefault((kind, finer, scales), []).append(np.sum(counts, 0))
            for (kind, finer, scales), each in sums.items():
                found = [100 * row[1] / row[0] for row in each]
                false = [100 * row[3] / max(1, row[2]) for row in each]
                print(
                    f"{what}, {kind}{', finer' * finer}, scales {scales}: found {np.median(found):.1f} % "
                    f"({min(found):.1f} to {max(found):.1f}), false {np.median(false):.1f} % of the peaks "
                    f"({min(false):.1f} to {max(false):.1f}), {int(each[0][0])} digits a seed, {len(each)} seeds",
                    flush=True,
                )
    print(machine())


if __name__ == "__main__":
    main()
