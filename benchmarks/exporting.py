"""Exporting MobileNetV2: the proof in each format, a plain script on 200 photos, and what eight bits cost.

    python benchmarks/exporting.py ../shared [--rounds 20]

`PEERS_PYTHON` is a Python with onnxruntime, NumPy and Pillow, by default this one. Eight bits: calibrated by half of
`imagenet_sample`, judged by the other; the speed is that of alternating rounds of 10 calls, batch 1, 2 threads.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from rounds import alternate, machine, median_ratio

from lenext.classifier import load
from lenext.data.decode import decode
from lenext.data.folder import image_files
from lenext.deployment.exporting.export import ENDINGS, export
from lenext.engines.engine import Engine
from lenext.engines.exported import read_exported
from lenext.engines.opening import open_engine

WEIGHTS = "data/weights/mobilenet_v2-imagenet1k-torchvision.safetensors"
CALLS = 10


def timed(engine: Engine, pixels: np.ndarray) -> Callable[[], float]:
    """Return what gives the seconds of some calls."""

    def once() -> float:
        began = time.perf_counter()
        for _ in range(CALLS):
            engine.answer(pixels)
        return time.perf_counter() - began

    return once


def plain(file: Path, photos: list[Path], expected: np.ndarray) -> None:
    """Compare what a plain script answers with the classifier's probabilities."""
    python = os.environ.get("PEERS_PYTHON", sys.executable)
    script = Path(__file__).with_name("plain_onnxruntime.py")
    done = subprocess.run([python, script, file, *photos], stdout=subprocess.PIPE, text=True, check=True)
    found = np.array([json.loads(line)["probabilities"] for line in done.stdout.splitlines()])
    same = int((found.argmax(1) == expected.argmax(1)).sum())
    print(f"a plain script: first class the same for {same} of {len(found)}, gap {np.abs(found - expected).max():.1e}")


def main() -> None:
    """Export in every format, and in eight bits, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shared", type=Path)
    parser.add_argument("--rounds", type=int, default=20)
    asked = parser.parse_args()
    data = asked.shared / "data/imagenet_sample"
    classifier = load("mobilenet_v2", weights=asked.shared / WEIGHTS)
    photos = list(image_files(data))
    expected = np.concatenate([classifier.probabilities(decode(path, classifier.form)[None]) for path in photos])
    with tempfile.TemporaryDirectory() as place:
        made = {}
        for name in ENDINGS:
            began = time.perf_counter()
            made[name] = export(classifier, name, Path(place) / f"{name}{ENDINGS[name][0]}", check=data)
            told = ", ".join(f"{p.engine} {p.agreement:.1f} % gap {p.largest_gap:.1e}" for p in made[name].proofs)
            took = time.perf_counter() - began
            print(f"{name}: {made[name].bytes / 1e6:.2f} MB, {took:.0f} s; {told}", flush=True)
        plain(made["onnx"].out, photos, expected)
        for name in ("openvino", "onnx"):
            small = export(classifier, name, Path(place) / f"small{ENDINGS[name][0]}", check=data, int8=True)
            found = small.int8
            assert found is not None
            print(f"{name} in int8: {found.to_json()}", flush=True)
            files = [read_exported(each.out) for each in (made[name], small)]
            for engine in found.speed:
                pixels = decode(photos[0], files[0].given)[None]
                ways = [timed(open_engine(file, engine, threads=2), pixels) for file in files]  # type: ignore[arg-type]
                print(f"  {engine}: float32 over int8 {median_ratio(*alternate(*ways, asked.rounds))}", flush=True)
    print(machine())


if __name__ == "__main__":
    main()
