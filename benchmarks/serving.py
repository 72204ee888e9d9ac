"""The server under load: 64 clients on two cores, against what its parts take alone in the same run.

    python benchmarks/serving.py ../shared [mobilenet_v2|resnet50] [--seconds 60] [--clients 64] [--file FILE.onnx]

The photos are 50 of `ants_bees`, each answered beforehand by the file itself. Engine, decoding and resizing are
measured alone, in one thread, in alternation with nothing else running, before and after. The bound is two cores, less
what the client took, over the core-seconds of an image. The weights of resnet50 are those of ../shared/goldens/fill.py.
"""

from __future__ import annotations

import argparse
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import numpy as np
import psutil
from golden_weights import foreign_tensors, read_golden
from rounds import machine
from safetensors.torch import save_file

import lenext
from lenext.classifier import load
from lenext.data.decode import fitted, open_image
from lenext.data.folder import image_files
from lenext.deployment.exporting.export import export
from lenext.engines.predictor import ExportedPredictor
from lenext.serving.batching import MOST

WEIGHTS = "data/weights/mobilenet_v2-imagenet1k-torchvision.safetensors"
ROUNDS = 5


def exported(shared: Path, model: str, place: Path) -> Path:
    """Return an ONNX file of the model."""
    if model == "mobilenet_v2":
        classifier = load(model, weights=shared / WEIGHTS)
    else:
        path = place / "filled.safetensors"
        save_file(foreign_tensors(read_golden(shared / f"goldens/torchvision-{model}.json")), path)
        classifier = load(model, weights=path)
    return export(classifier, "onnx", place / f"{model}.onnx", check=shared / "data/ants_bees").out


def parts(predictor: ExportedPredictor, photos: list[Path]) -> dict[str, float]:
    """Return the core-seconds an image of decoding, resizing and the engine, each alone and in one thread."""
    engine = predictor.loaded(1)
    times: dict[str, list[float]] = {"decode": [], "resize": [], "engine": []}
    for _ in range(ROUNDS):
        began = time.perf_counter()
        images = [open_image(photo.read_bytes(), 3) for photo in photos]
        decoded = time.perf_counter()
        pixels = np.stack([np.asarray(fitted(image, predictor.form)) for image in images])
        resized = time.perf_counter()
        for start in range(0, len(pixels) - MOST + 1, MOST):
            engine.answer(pixels[start : start + MOST])
        ended = time.perf_counter()
        answered = len(range(0, len(pixels) - MOST + 1, MOST)) * MOST
        times["decode"].append((decoded - began) / len(photos))
        times["resize"].append((resized - decoded) / len(photos))
        times["engine"].append((ended - resized) / answered)
    return {name: statistics.median(each) for name, each in times.items()}


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return int(made.getsockname()[1])


def wait_until_ready(port: int) -> None:
    """Return when the server answers."""
    for _ in range(200):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz").read()
            return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError("the server does not answer")


def main() -> None:
    """Serve a model, ask it, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shared", type=Path)
    parser.add_argument("model", nargs="?", default="mobilenet_v2", choices=["mobilenet_v2", "resnet50"])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--file", type=Path, help="an exported file, in place of exporting the model")
    asked = parser.parse_args()
    photos = list(image_files(asked.shared / "data/ants_bees"))[:50]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        file = asked.file or exported(asked.shared, asked.model, place)
        predictor = lenext.load(file)
        assert isinstance(predictor, ExportedPredictor)
        best = [entry["predictions"][0] for entry in predictor.predict(photos, top=1)]
        known = [[str(photo), each["label"], each["probability"]] for photo, each in zip(photos, best, strict=True)]
        (place / "expected.json").write_text(json.dumps(known))
        before = parts(predictor, photos)
        port = free_port()
        server = subprocess.Popen([sys.executable, "-m", "lenext", "serve", file, "--port", str(port)])
        try:
            wait_until_ready(port)
            process = psutil.Process(server.pid)
            start = process.cpu_times()
            client = Path(__file__).with_name("serving_client.py")
            words = [str(port), file.stem, str(asked.clients), str(asked.seconds), str(place / "expected.json")]
            done = subprocess.run([sys.executable, client, *words], stdout=subprocess.PIPE, text=True, check=True)
            end, memory = process.cpu_times(), process.memory_info().rss
        finally:
            server.terminate()
            server.wait()
        after = parts(predictor, photos)
    report(json.loads(done.stdout), before, after, end.user + end.system - start.user - start.system, memory)
    print(machine())


def report(found: dict, before: dict[str, float], after: dict[str, float], cpu: float, memory: int) -> None:
    """Print rate, bound, and what an answer cost."""
    alone = {name: (before[name] + after[name]) / 2 for name in before}
    each = sum(alone.values())
    rate = found["answers"] / found["seconds"]
    bound = (2 - found["client_seconds"] / found["seconds"]) / each
    waits = np.array(found["latencies"]) * 1e3
    print("alone, ms an image: " + ", ".join(f"{name} {1e3 * value:.2f}" for name, value in alone.items()))
    print(f"  before {1e3 * sum(before.values()):.2f}, after {1e3 * sum(after.values()):.2f}")
    print(f"{found['answers']} answers, {found['wrong']} wrong, {found['refused']} refused in {found['seconds']:.1f} s")
    print(f"{rate:.1f} a second; the bound is {bound:.1f}: {rate / bound:.3f} of it")
    mine = 1e3 * cpu / found["answers"]
    print(f"the client took {found['client_seconds']:.1f} s, the server {cpu:.1f} s, {mine:.2f} ms an answer")
    print(
        f"p50 {np.percentile(waits, 50):.0f} ms, p99 {np.percentile(waits, 99):.0f} ms; memory {memory / 2**20:.0f} MiB"
    )


if __name__ == "__main__":
    main()
