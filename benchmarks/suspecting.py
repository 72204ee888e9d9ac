"""Labels that are planted wrong, and how many of them `suspects` finds: recall and precision, seed by seed.

    python benchmarks/suspecting.py ../shared/data CASE... [--seeds 3] [--threads 1]

For each seed, a share of the labels is replaced, a run is trained on what comes of it, and `lenext.find_suspects` is
given that run and these data. Flips go to each other class as often; in `mnist-pairs` from 4 to 9 and from 7 to 1
alone, of a share of the fours and sevens. Beside what is found stands what cleanlab's own filters find in the same
answers, by the thresholds of the paper: its default, the other pruning, and every label that is not the answer.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import statistics
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from PIL import Image
from pyarrow import parquet as pq
from rounds import machine, spread

import lenext
from lenext.data.opening import open_source
from lenext.data.source import Split
from lenext.suspects import search
from lenext.suspects.confident import Doubts

Labels = NDArray[np.int64]
Answers = tuple[Labels, NDArray[np.float32]]
FILTERS = ("prune_by_noise_rate", "prune_by_class", "predicted_neq_given")
WEIGHTS = "weights/mobilenet_v2-imagenet1k-torchvision.safetensors"


@dataclass(frozen=True)
class Case:
    """Data below the shared folder, of which so many images are taken, the flips, and how the run is trained."""

    data: str
    model: str
    share: float
    pairs: bool = False
    images: int | None = None
    training: dict[str, Any] = field(default_factory=dict)


CASES = {
    "mnist-5": Case("mnist", "lenet5", 0.05, training={"epochs": 1}),
    "mnist-5-three-epochs": Case("mnist", "lenet5", 0.05, training={"epochs": 3}),
    "mnist-10": Case("mnist", "lenet5", 0.10, training={"epochs": 1}),
    "mnist-pairs": Case("mnist", "lenet5", 0.10, pairs=True, training={"epochs": 1}),
    "digits-5": Case("digits", "lenet5", 0.05),
    "digits-10": Case("digits", "lenet5", 0.10),
    "cifar-5": Case(
        "cifar10", "resnet20_cifar", 0.05, images=3000,
        training={"recipe": "cifar_fast", "epochs": 8, "batch_size": 64},
    ),
    "ants-bees-10": Case(
        "ants_bees", "mobilenet_v2", 0.10, training={"weights": WEIGHTS, "freeze": "all-but-head", "epochs": 6}
    ),
}  # fmt: skip


def flipped(labels: Labels, case: Case, classes: int, rng: np.random.Generator) -> Labels:
    """Return the labels with those of some images replaced."""
    changed = labels.copy()
    if case.pairs:
        for label, other in ((4, 9), (7, 1)):
            rows = rng.permutation(np.flatnonzero(labels == label))
            changed[rows[: round(case.share * len(rows))]] = other
        return changed
    rows = rng.permutation(len(labels))[: round(case.share * len(labels))]
    changed[rows] = (labels[rows] + rng.integers(1, classes, len(rows))) % classes
    return changed


def write_data(folder: Path, split: Split, labels: Labels, class_names: Iterable[str]) -> Path:
    """Write images with these labels as a table, and return it; files stay where they are."""
    names = [tuple(class_names)[i] for i in labels]
    if isinstance(split.items[0], Path):
        with (folder / "data.csv").open("w", newline="") as file:
            rows = ((Path(item).resolve(), name, "train") for item, name in zip(split.items, names, strict=True))
            csv.writer(file).writerows([("path", "label", "split"), *rows])
        return folder / "data.csv"
    items = [item if isinstance(item, bytes) else _png(item) for item in split.items]
    pq.write_table(pa.table({"image": items, "label": names}), folder / "data.parquet")
    return folder / "data.parquet"


def _png(pixels: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def rates(found: NDArray[np.bool_], wrong: NDArray[np.bool_]) -> tuple[float, float]:
    """Return recall and precision, in percent."""
    right = int((found & wrong).sum())
    return 100 * right / int(wrong.sum()), 100 * right / max(1, int(found.sum()))


def measure(case: Case, shared: Path, seed: int, threads: int) -> dict[str, Any]:
    """Plant, train, search, and return the rates of each way, the estimated noise, and the seconds of the search."""
    from cleanlab.filter import find_label_issues

    source = open_source(case.data if case.data == "digits" else shared / case.data)
    split = source.splits.get("train") or source.splits["all"]
    rng = np.random.default_rng(seed)
    if case.images is not None:
        split = split.take(np.sort(rng.permutation(len(split))[: case.images]))
    labels = flipped(split.labels, case, len(source.class_names), rng)
    training = dict(case.training)
    if "weights" in training:
        training["weights"] = shared / training["weights"]
    answers: list[Answers] = []
    with tempfile.TemporaryDirectory() as folder, kept_answers(answers):
        data = write_data(Path(folder), split, labels, source.class_names)
        run = lenext.train(data, case.model, seed=seed, threads=threads, out=Path(folder) / "run", **training)
        began = time.perf_counter(), time.process_time()
        found = lenext.find_suspects(run.run, data, threads=threads)
        seconds = time.perf_counter() - began[0], time.process_time() - began[1]
    wrong = labels != split.labels
    assert len(answers[0][0]) == len(wrong)
    mask = np.zeros(len(wrong), bool)
    mask[found.rows] = True
    ways = {"suspects": mask} | {each: find_label_issues(*answers[0], filter_by=each, n_jobs=1) for each in FILTERS}
    return {
        "rates": {name: rates(each, wrong) for name, each in ways.items()},
        "noise": (100 * wrong.mean(), found.estimated_noise),
        "top1": found.top1,
        "seconds": seconds,
        "images": len(wrong),
        "epochs": found.epochs,
    }


@contextlib.contextmanager
def kept_answers(kept: list[Answers]) -> Iterator[None]:
    """Keep the labels and probabilities that suspects are found by, for the other filters."""
    real = search.doubts

    def doubts(labels: Labels, probabilities: NDArray[np.float32]) -> Doubts:
        kept.append((labels, probabilities))
        return real(labels, probabilities)

    search.doubts = doubts
    try:
        yield
    finally:
        search.doubts = real


def main() -> None:
    """Print recall and precision of each case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shared", type=Path)
    parser.add_argument("cases", nargs="*", metavar="CASE", choices=[[], *CASES], default=[])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    for name in asked.cases or CASES:
        rows = [measure(CASES[name], asked.shared, seed, asked.threads) for seed in range(1, asked.seeds + 1)]
        truth, estimated = ([row["noise"][i] for row in rows] for i in (0, 1))
        print(
            f"{name}: {rows[0]['images']:,} images, epochs: {rows[0]['epochs']}, {statistics.mean(truth):.2f} % wrong"
        )
        for way in rows[0]["rates"]:
            recall, precision = ([row["rates"][way][i] for row in rows] for i in (0, 1))
            print(f"  {way}: recall {spread(recall, '%', 1)}, precision {spread(precision, '%', 1)}")
        print(f"  estimated noise {spread(estimated, '%')}, top-1 out of fold {spread([r['top1'] for r in rows], '%')}")
        taken, busy = ([row["seconds"][i] for row in rows] for i in (0, 1))
        print(f"  search {spread(taken, 's', 0)}, of the processor's time {spread(busy, 's', 0)}", flush=True)
    print(machine())


if __name__ == "__main__":
    main()
