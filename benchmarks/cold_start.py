"""From the shell to a printed answer for one image and an exported mobilenet_v2, as whole processes, in turn.

    python benchmarks/cold_start.py ../shared WORK [--rounds 15]

With nothing remembered ONNX Runtime answers. For "OpenVINO remembered", a bench is written as if only OpenVINO had
agreed, and its first start, which compiles, does not count. Beside them a bare script of ONNX Runtime, and an empty
Python. torch must be imported by none of ours, which is looked at once for each.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from rounds import machine, spread

BARE = """
import sys, numpy as np, onnxruntime
from PIL import Image
session = onnxruntime.InferenceSession(sys.argv[1])
image = np.asarray(Image.open(sys.argv[2]).convert("RGB"))[None]
answer = session.run(["probabilities"], {"images": image})[0][0]
print(answer.argsort()[::-1][:5], np.sort(answer)[::-1][:5])
"""
LOOK = """
import sys
from lenext.cli import main
try:
    main(sys.argv[1:])
except SystemExit:
    print(*(name for name in ("torch", "onnxruntime", "openvino") if name in sys.modules), file=sys.stderr)
"""
REMEMBER = """
import sys
from dataclasses import replace
from lenext.engines.remembered import Place
place = Place.of(sys.argv[1])
rows = place.recall().rows
place.remember(place.folder(), [replace(row, agrees=row.engine == "openvino") for row in rows])
"""


def exported(work: Path, shared: Path) -> Path:
    """Return mobilenet_v2 as an ONNX file, made once."""
    path = work / "mobilenet_v2.onnx"
    if not path.exists():
        import lenext

        weights = shared / "data" / "weights" / "mobilenet_v2-imagenet1k-torchvision.safetensors"
        lenext.export("mobilenet_v2", "onnx", path, weights=weights, check=shared / "data" / "ants_bees" / "val")
    return path


def main() -> None:
    """Measure the commands in turn, each first in another round."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shared", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--rounds", type=int, default=15)
    given = parser.parse_args()
    work = given.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    os.environ["XDG_CACHE_HOME"] = str(work / "cache")
    plain = exported(work, given.shared)
    known = work / "remembered.onnx"
    if not known.exists():
        known.write_bytes(plain.read_bytes())
    script, photo = str(Path(sys.executable).with_name("lenext")), str(next(given.shared.rglob("val/ants/*.jpg")))
    quick = ["--rounds", "1", "--calls", "3", "--batch", "1", "--engines", "openvino,onnxruntime"]
    subprocess.run([script, "bench", str(known), *quick], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([sys.executable, "-c", REMEMBER, str(known)], check=True)
    commands = {
        "lenext predict, nothing remembered": [script, "predict", str(plain), photo],
        "lenext predict, OpenVINO remembered": [script, "predict", str(known), photo],
        "a bare script of ONNX Runtime": [sys.executable, "-c", BARE, str(plain), photo],
        "empty Python": [sys.executable, "-c", "pass"],
    }
    for words in list(commands.values())[:2]:
        done = subprocess.run([sys.executable, "-c", LOOK, *words[1:]], check=True, capture_output=True, text=True)
        print(f"imported: {done.stderr.strip()}")
    times: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(given.rounds + 1):
        order = list(commands)
        for name in order[number % len(order) :] + order[: number % len(order)]:
            began = time.perf_counter()
            subprocess.run(commands[name], check=True, stdout=subprocess.DEVNULL)
            times[name].append(time.perf_counter() - began)
    for name, values in times.items():
        print(f"{name}: {spread(values[1:], 's', 3)}")
    print(machine())


if __name__ == "__main__":
    main()
