"""How long reading the images of a source takes, on all cores, against one plain Pillow loop.

    python benchmarks/decoding.py ../shared/data/mnist

What must be: every PNG is inflated once; Pillow alone needs some 60 us for one of 28x28 pixels, most of it Python.
"""

from __future__ import annotations

import io
import sys
import time

import numpy as np
from PIL import Image
from rounds import alternate, machine, median_ratio, spread

from lenext.data.decode import ImageForm
from lenext.data.opening import open_source
from lenext.data.reading import read_split
from lenext.data.source import Split

ROUNDS = 5


def with_lenext(split: Split) -> float:
    """Return the seconds that reading takes, digests, sums and the start of processes included."""
    began = time.perf_counter()
    read_split(split, ImageForm(size=(28, 28)), what="reading")
    return time.perf_counter() - began


def with_pillow(split: Split) -> float:
    """Return the seconds of decoding one after the other."""
    began = time.perf_counter()
    for item in split.items:
        np.asarray(Image.open(io.BytesIO(item)).convert("L"))
    return time.perf_counter() - began


def main(location: str) -> None:
    """Compare on the training split."""
    print(machine())
    split = open_source(location).splits["train"]
    ours, plain = alternate(lambda: with_lenext(split), lambda: with_pillow(split), ROUNDS)
    print(f"{len(split):,} images: lenext {spread(ours, 's')}, one Pillow loop {spread(plain, 's')}")
    print(f"ratio of the times {median_ratio(ours, plain)}")


if __name__ == "__main__":
    main(sys.argv[1])
