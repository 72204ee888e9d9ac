"""Reading and augmenting JPEG folders, each way in, against torchvision's pipeline on the same cores.

    python benchmarks/loading.py ../shared [--rounds N]

Both sides cut at random (8 to 100 % of the area, 3:4 to 4:3), mirror, resize to 224 px and normalise, and end with
float32 batches of 64 in the process that would train; each runs in a process of its own, in alternating rounds. The
folders are given several times over through links, so that an epoch is long. torchvision's side is ImageFolder with a
DataLoader of two workers; `workers` has two processes too, decodes every time and resizes with Pillow; `cache` and
`memory` have decoded before, in their first epoch, which is not timed.

What must be: a JPEG of 500 x 375 pixels takes 1.0 to 1.4 ms to decode here, its cut and resize 0.3 ms.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from plain_loop import PEERS
from rounds import alternate, machine, median_ratio, spread

FOLDERS = ("data/ants_bees/train", "data/imagenet_sample")
WAYS = ("workers", "cache", "memory")
COPIES, BATCH, ROUNDS = 8, 64, 7
WARM, STEPS = 6, 40
LONGER = {"cache": 6, "memory": 6}  # times as many steps, where they are over soon


def ours(folder: str, way: str) -> float:
    """Return the images a second of reading and augmenting one way; runs in a process of its own."""
    import torch

    from lenext.data.augmentation.augmentation import Augmentation
    from lenext.data.decode import ImageForm
    from lenext.data.opening import open_source
    from lenext.data.preprocessing import Preprocessing
    from lenext.data.reading import read_split
    from lenext.data.training_data import kept_form
    from lenext.data.training_loader import TrainingLoader
    from lenext.device import keep_memory

    keep_memory()
    augmentation = Augmentation(crop="inception", mirror=True)
    form = ImageForm(size=(224, 224), channels=3)
    reading = read_split(open_source(folder).splits["all"], kept_form(augmentation, form), what="", loading=way)  # type: ignore[arg-type]
    preprocessing = Preprocessing(form, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    loader = TrainingLoader(
        reading, preprocessing, batch_size=BATCH, device=torch.device("cpu"), augmentation=augmentation, workers=2
    )
    count, epoch = 0, 0
    while True:
        epoch += 1
        for batch in loader.shuffled(seed=0, epoch=epoch):
            count += 1
            if count == WARM:
                began, images = time.perf_counter(), 0
            elif count > WARM:
                images += len(batch)
            if count == WARM + STEPS * LONGER.get(way, 1):
                return images / (time.perf_counter() - began)


def theirs(folder: str, shared: str) -> float:
    """Return the images a second of torchvision's pipeline."""
    words = [PEERS, str(Path(__file__).with_name("plain_loop.py")), "folder", folder, "--shared", shared]
    return _speed([*words, "--batch", str(BATCH), "--warm", str(WARM), "--steps", str(STEPS)])


def _speed(words: list[str]) -> float:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return float(found["images_per_second"])


def linked(source: Path, target: Path, copies: int = COPIES) -> Path:
    """Make a folder that holds every image of another several times, as links."""
    for path in sorted(source.glob("*/*")):
        for copy in range(copies):
            link = target / path.parent.name / f"{copy}-{path.name}"
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path.resolve())
    return target


def main() -> None:
    """Compare every way on both folders."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shared")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--way", choices=WAYS)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps({"images_per_second": ours(asked.shared, asked.way)}))
        return
    with tempfile.TemporaryDirectory() as place:
        os.environ["LENEXT_CACHE"] = str(Path(place) / "cache")
        for name in FOLDERS:
            folder = str(linked(Path(asked.shared) / name, Path(place) / Path(name).name))
            for way in [asked.way] if asked.way else WAYS:
                again = [sys.executable, __file__, folder, "--way", way, "--one"]
                a, b = alternate(
                    lambda again=again: _speed(again),  # type: ignore[misc]
                    lambda folder=folder: theirs(folder, asked.shared),  # type: ignore[misc]
                    asked.rounds,
                )
                print(f"{name}, {way}: lenext {spread(a, 'images/s', 0)}; torchvision {spread(b, 'images/s', 0)}")
                print(f"  ratio {median_ratio(a, b)}", flush=True)
    print(machine())


if __name__ == "__main__":
    main()
