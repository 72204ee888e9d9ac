"""What the four ways of transfer bring: frozen, truncated, fully tuned, from scratch; and the recipe `transfer`.

    python benchmarks/transferring.py ../shared digits [--images 50] [--seeds 5]
    python benchmarks/transferring.py ../shared vehicles [--images 50] [--seeds 5] [--epochs 6]
    python benchmarks/transferring.py ../shared digits-from-animals [--images 50] [--seeds 5] [--epochs 6]

`digits`: LeNet-5 learns MNIST, and then the built-in digits. `vehicles`: ResNet-20 learns the six animals of CIFAR-10,
and then its four vehicles; or, of quite another task, the built-in digits. Each seed draws other images of the new task
to learn from, so many a class, and is judged on all images of the new task that no training saw: the built-in digits
that were not drawn, the 4,000 vehicles of CIFAR-10's test split. Nothing is chosen by these.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image
from rounds import machine
from scipy import stats

import lenext
from lenext.data.digits import open_digits

VEHICLES = {"airplane", "automobile", "ship", "truck"}
WATCHED = 10  # images a class that training looks at after each epoch, and nobody chooses by
Rows = dict[str, list[bytes | NDArray[np.uint8]]]  # the images of each class


def cifar(shared: Path, split: str, *, vehicles: bool) -> Rows:
    """Return the JPEGs of CIFAR-10's vehicles or animals."""
    found: Rows = {}
    for path in sorted((shared / "data/cifar10").rglob(f"*{split}*.parquet")):
        table = pq.read_table(path)
        about = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]["label"]
        for image, label in zip(table["img"].to_pylist(), table["label"].to_pylist(), strict=True):
            name = about["names"][label]
            if (name in VEHICLES) == vehicles:
                found.setdefault(name, []).append(image["bytes"])
    return found


def digits() -> Rows:
    """Return the built-in digits as arrays."""
    split = open_digits().splits["all"]
    found: Rows = {}
    for item, label in zip(split.items, split.labels.tolist(), strict=True):
        found.setdefault(str(label), []).append(np.asarray(item))
    return found


def drawn(rows: Rows, images: int, seed: int) -> tuple[Rows, Rows]:
    """Return so many images of each class, and the others."""
    draws = np.random.default_rng(seed)
    taken: Rows = {}
    left: Rows = {}
    for name, own in rows.items():
        order = draws.permutation(len(own)).tolist()
        taken[name] = [own[i] for i in order[:images]]
        left[name] = [own[i] for i in order[images:]]
    return taken, left


def write(folder: Path, **splits: Rows) -> Path:
    """Write the images as class folders below each split."""
    for split, rows in splits.items():
        for name, own in rows.items():
            place = folder / split / name
            place.mkdir(parents=True)
            for number, image in enumerate(own):
                if isinstance(image, bytes):
                    (place / f"{number:05}.jpg").write_bytes(image)
                else:
                    Image.fromarray(image).save(place / f"{number:05}.png")
    return folder


def ways(stages: int) -> dict[str, dict[str, object]]:
    """Return the arguments of each way; the weights are given to all but the last."""
    cut = {
        f"truncated by {count}, frozen": {"freeze": "all but head", "drop_stages": count} for count in range(1, stages)
    }
    return {
        "frozen": {"recipe": "finetune", "freeze": "all but head.classifier"},
        **{name: {"recipe": "finetune", **more} for name, more in cut.items()},
        "fully tuned": {"recipe": "finetune"},
        "recipe transfer": {"recipe": "transfer"},
        "from scratch": {},
    }


def interval(values: list[float]) -> str:
    """Return the mean with its 95 % interval by Student's t."""
    mean, error = float(np.mean(values)), float(stats.sem(values))
    half = stats.t.ppf(0.975, len(values) - 1) * error
    return f"{mean:.1f} (95 % interval {mean - half:.1f} to {mean + half:.1f}, n = {len(values)})"


def compare(model: str, start: Path, stages: int, make: Callable[[Path, int], Path], seeds: int) -> None:
    """Train each way with each seed, and print the figures on the test split, and what the recipe chose."""
    found: dict[str, list[float]] = {}
    seconds: dict[str, list[float]] = {}
    for seed in range(seeds):
        with tempfile.TemporaryDirectory() as place:
            data = make(Path(place) / "data", seed)
            for name, values in ways(stages).items():
                weights = None if name == "from scratch" else start
                began = time.perf_counter()
                run = lenext.train(
                    data, model, weights=weights, seed=seed, out=Path(place) / name.replace(" ", "_"),
                    overrides={"precision": "float32", "compile": "no"}, **values,
                ).run  # fmt: skip
                seconds.setdefault(name, []).append(time.perf_counter() - began)
                found.setdefault(name, []).append(lenext.evaluate(run, data, split="test").top1)
                record = json.loads((Path(run) / "run.json").read_text())
                if name == "recipe transfer":
                    print(f"seed {seed}: transfer is {record['recipe']['why']}", flush=True)
            print(
                f"seed {seed}: " + ", ".join(f"{name} {values[-1]:.1f}" for name, values in found.items()), flush=True
            )
    for name, rates in found.items():
        print(f"{name}: top-1 {interval(rates)}, {np.median(seconds[name]):.1f} s")
    for name in found:
        if name != "from scratch":
            print(f"{name} less from scratch, seed by seed: {paired(found, name)}")


def paired(found: dict[str, list[float]], name: str) -> str:
    """Return by how much a way is better than training from scratch, in points."""
    return interval((np.array(found[name]) - np.array(found["from scratch"])).tolist())


def mnist(shared: Path, out: Path) -> Path:
    """Return a run of LeNet-5 that has seen MNIST once."""
    return Path(lenext.train(shared / "data/mnist", "lenet5", epochs=1, out=out).run)


def animals(shared: Path, folder: Path, epochs: int) -> Path:
    """Return a run of ResNet-20 on the animals of CIFAR-10."""
    train, val = (cifar(shared, split, vehicles=False) for split in ("train", "test"))
    data = write(folder / "animals", train=train, val=val)
    result = lenext.train(data, "resnet20_cifar", recipe="cifar_fast", epochs=epochs, out=folder / "start")
    print(f"the animals: top-1 {result.top1:.1f} % in {epochs} epochs", flush=True)
    return Path(result.run)


def main() -> None:
    """Train what is started from, and then every way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shared", type=Path)
    parser.add_argument("task", choices=["digits", "vehicles", "digits-from-animals"])
    parser.add_argument("--images", type=int, default=50, help="of each class to learn from")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=6, help="of the first task")
    parser.add_argument("--start", type=Path, help="a run of the first task, in place of training it")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        if asked.task == "digits":
            model, stages, start = "lenet5", 2, asked.start or mnist(asked.shared, folder / "start")
        else:
            model, stages, start = "resnet20_cifar", 3, asked.start or animals(asked.shared, folder, asked.epochs)
        new, test = digits(), None
        if asked.task == "vehicles":
            new, test = (cifar(asked.shared, split, vehicles=True) for split in ("train", "test"))

        def make(path: Path, seed: int) -> Path:
            taken, left = drawn(new, asked.images, seed)
            watched, left = drawn(left, WATCHED, seed)
            return write(path, train=taken, val=watched, test=test or left)

        compare(model, start, stages, make, asked.seeds)
    print(machine())


if __name__ == "__main__":
    main()
