"""`lenext predict FOLDER` of an exported file against the usual pipeline, on JPEG photos.

    python benchmarks/predicting.py ../shared [--models mobilenet_v2,resnet50] [--images 600] [--rounds 5]

Each side is a whole command, from the start of its process to the last line of its file: ours
`lenext predict MODEL.onnx FOLDER --out answers.jsonl`, by the engine that `lenext bench` found soonest before, theirs
`predict_usual.py`, which stands beside this. The photos
are those of ants_bees, over and over. In between, in one thread, decoding with resizing and the engine are measured
each alone, so that what must be at least is known: their core-seconds an image, over the number of cores. MobileNet-v2
has torchvision's weights, any other network drawn ones, of which the time is the same. The answers to the photos of
imagenet_sample are compared with those of `lenext evaluate`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from rounds import alternate, machine, median_ratio, spread

import lenext
from lenext.data.cores import available_cores
from lenext.data.decode import decode
from lenext.engines.predictor import ExportedPredictor

PEERS = os.environ.get("PEERS_PYTHON", "/tmp/peers/bin/python")
KNOWN = {"mobilenet_v2": "data/weights/mobilenet_v2-imagenet1k-torchvision.safetensors"}
ALONE = 64  # photos that the parts are measured on
PROVED = 24  # photos that the exported file is proved by


@dataclass
class Parts:
    """Core-seconds an image, in one thread: of decoding with resizing, and of the engine; one figure a round."""

    decoding: list[float] = field(default_factory=list)
    engine: list[float] = field(default_factory=list)

    def measure(self, predictor: ExportedPredictor, photos: list[Path]) -> None:
        """Measure both once."""
        began = time.process_time()
        pixels = [decode(photo, predictor.form) for photo in photos]
        self.decoding.append((time.process_time() - began) / len(photos))
        lanes, engine = predictor.lanes(len(photos) * 100), predictor.loaded(1)
        batches = [np.stack(pixels[i : i + lanes.images]) for i in range(0, len(pixels), lanes.images)]
        engine.answer(batches[0])
        began = time.process_time()
        for batch in batches:
            engine.answer(batch)
        self.engine.append((time.process_time() - began) / len(photos))

    @property
    def most(self) -> float:
        """Images a second that all cores can answer."""
        return available_cores() / (statistics.median(self.decoding) + statistics.median(self.engine))


def run(*words: str | Path, quiet: bool = True) -> float:
    """Return the seconds that a command takes."""
    began = time.perf_counter()
    subprocess.run([str(word) for word in words], check=True, stdout=subprocess.DEVNULL if quiet else None)
    return time.perf_counter() - began


def ours(*words: str | Path) -> float:
    """Return the seconds that a command of lenext takes."""
    return run(sys.executable, "-m", "lenext", *words)


def weights_of(name: str, shared: Path, work: Path) -> Path:
    """Return a file of weights by torchvision's names: published, or drawn."""
    if name in KNOWN:
        return shared / KNOWN[name]
    path = work / f"{name}.safetensors"
    torch.manual_seed(0)
    own = work / f"{name}-own.pth"
    torch.save(lenext.create(name).state_dict(), own)
    lenext.convert(own, name, "torchvision", path)
    return path


def linked(folder: Path, photos: list[Path], count: int) -> Path:
    """Return a new folder of so many links to photos, over and over."""
    folder.mkdir()
    for number in range(count):
        (folder / f"{number:05}.jpg").symlink_to(photos[number % len(photos)].resolve())
    return folder


def measure(name: str, shared: Path, work: Path, images: int, rounds: int) -> None:
    """Print the figures of one network."""
    weights, file, sample = weights_of(name, shared, work), work / f"{name}.onnx", shared / "data" / "imagenet_sample"
    few = linked(work / f"{name}-few", sorted(sample.rglob("*.*")), PROVED)
    ours("export", name, "--weights", weights, "--format", "onnx", "--out", file, "--check", few)
    photos = sorted((shared / "data" / "ants_bees").rglob("*.jpg"))
    folder, one = linked(work / f"{name}-photos", photos, images), linked(work / f"{name}-one", photos, 1)
    ours("bench", file, "--rounds", "3")
    predictor, parts, starts = lenext.load(file, engine="auto", images=images), Parts(), list[float]()
    assert isinstance(predictor, ExportedPredictor)
    counter: Iterator[int] = iter(range(1_000_000))

    def with_lenext() -> float:
        parts.measure(predictor, photos[:ALONE])
        starts.append(ours("predict", file, one, "--out", work / f"{name}-one-{next(counter)}.jsonl"))
        return images / ours("predict", file, folder, "--out", work / f"{name}-{next(counter)}.jsonl")

    def usual() -> float:
        out, script = work / f"{name}-usual.jsonl", Path(__file__).with_name("predict_usual.py")
        return images / run(PEERS, script, name, weights, folder, out, "--shared", shared)

    own, theirs = alternate(with_lenext, usual, rounds)
    print(f"{name}, {images} photos, whole commands: lenext by {predictor.run_by} {spread(own, 'images/s', 1)}")
    print(f"  the usual pipeline {spread(theirs, 'images/s', 1)}; ratio {median_ratio(own, theirs)}")
    alone = ((what, [1000 * s for s in values]) for what, values in vars(parts).items())
    print("  alone, core time an image: " + "; ".join(f"{what} {spread(values, 'ms')}" for what, values in alone))
    start, rate = statistics.median(starts), statistics.median(own)
    running = images / (images / rate - start)
    print(f"  of {parts.most:.1f} images/s that all cores can answer: {rate / parts.most:.3f} as a whole command,")
    print(f"  {running / parts.most:.3f} without its start ({start:.2f} s with one image)")
    compare(name, weights, file, sample, work)


def compare(name: str, weights: Path, file: Path, sample: Path, work: Path) -> None:
    """Print how far the answers of the file are from those of `lenext evaluate`."""
    answers, own = work / f"{name}-evaluated.parquet", work / f"{name}-sample.jsonl"
    ours("evaluate", name, "--weights", weights, sample, "--split", "all", "--out", answers)
    ours("predict", file, sample, "--top", "1000", "--out", own)
    found = {}
    for line in own.read_text().splitlines():
        entry = json.loads(line)
        found[Path(entry["image"]).relative_to(sample).as_posix()] = entry["predictions"]
    columns = ("image", "predicted", "probability", "label")
    rows = list(zip(*(pq.read_table(answers)[key].to_pylist() for key in columns), strict=True))
    gaps, same = [], 0
    for image, predicted, probability, _ in rows:
        chances = {each["label"]: each["probability"] for each in found[image]}
        chances |= {f"{each['label']} ({each['id']})": each["probability"] for each in found[image] if "id" in each}
        gaps.append(abs(chances[predicted] - probability))
        same += max(chances.values()) == chances[predicted]
    print(
        f"  against evaluate, {len(rows)} photos: first class the same for {same}, probability within {max(gaps):.1e}"
    )


def main() -> None:
    """Measure each network."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shared", type=Path)
    parser.add_argument("--models", default="mobilenet_v2,resnet50")
    parser.add_argument("--images", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    print(machine())
    work = Path(tempfile.mkdtemp(prefix="predicting"))
    try:
        for name in asked.models.split(","):
            measure(name, asked.shared.resolve(), work, asked.images, asked.rounds)
    finally:
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
