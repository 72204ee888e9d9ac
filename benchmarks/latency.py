"""Latency of one image: lenext's engines against the same engines by hand, side by side.

    python benchmarks/latency.py ../shared WORK [MODEL...] [--rounds 12] [--calls 30] [--threads 2]

Our side is what `lenext bench` runs, in its processes; the other is latency_by_hand.py, which knows nothing of lenext,
by the Python of an environment with torchvision and all engines (`PEERS_PYTHON`), with the same weights. All ten
processes stay loaded; in each round every engine is asked 30 times on either side, the two in turn, after one call that
does not count. After two rounds those that take more than 1.5 times as long as the best of their side are asked no
more. What counts is the ratio, round by round, of the median of the engine that `auto` takes to that of the best by
hand, whichever that is over all rounds.

`auto` is asked for so many images that loading is of no weight, as it is here. What is made once for a model stands in
WORK, and a model with a result there is not measured again, so that the whole can be run in pieces. torchvision's
GoogLeNet has batch norms; it is held against lenext's of that form, googlenet_bn.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import numpy as np
from golden_weights import foreign_tensors, read_golden
from plain_loop import PEERS
from rounds import machine, median_ratio
from safetensors.torch import save_file
from scipy.stats import bootstrap

from lenext.classifier import load
from lenext.deployment.benching.bench import bench
from lenext.deployment.benching.measuring import Task, compared
from lenext.deployment.benching.pictures import pixels_of
from lenext.deployment.benching.process import QUIET, EngineProcess
from lenext.engines.engine import ENGINES, EngineName
from lenext.engines.remembered import FILES, Place, choose

ROOT = Path(__file__).parents[1]
MODELS = (
    "alexnet", "vgg16", "googlenet", "inception_v3", "resnet18", "resnet50", "resnext50_32x4d", "densenet121",
    "mobilenet_v2", "mobilenet_v3_large", "efficientnet_b0", "convnext_tiny",
)  # fmt: skip
OURS = {"googlenet": "googlenet_bn"}
TRIED, FAR = 3, 1.5  # rounds, after which engines that take so many times the best one's time are asked no more
MANY = 10_000  # images, beside which loading is of no weight


class ByHand:
    """A process of latency_by_hand.py."""

    def __init__(self, engine: str, model: str, place: Path, shared: Path, threads: int) -> None:
        command = [PEERS, str(ROOT / "benchmarks" / "latency_by_hand.py"), engine, model]
        command += [str(place / "weights.safetensors"), str(place / "pixels.npy"), str(place), str(threads)]
        environment = {**os.environ, **QUIET, "OMP_NUM_THREADS": str(threads), "PYTHONPATH": str(shared / "peers")}
        self.log = (place / f"{engine}.log").open("w")
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True, env=environment
        )
        self.load_seconds = self.answer()["load_seconds"]

    def answer(self) -> dict[str, Any]:
        """Return the next line of JSON."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("=> "):
                return json.loads(line[3:])
        raise RuntimeError(f"ended with {self.process.wait()}; see {self.log.name}")

    def ask(self, what: str | int) -> dict[str, Any]:
        """Return what it answers."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{what}\n")
        self.process.stdin.flush()
        return self.answer()

    def close(self) -> None:
        """End it."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()
        self.log.close()


def prepared(model: str, place: Path, shared: Path) -> tuple[str, str]:
    """Return the name and the weights of our side; weights and pixels for both are made once."""
    name, weights = OURS.get(model, model), place / "weights.safetensors"
    place.mkdir(parents=True, exist_ok=True)
    if not (place / "pixels.npy").exists():
        golden = read_golden(shared / "goldens" / f"torchvision-{model}.json")
        save_file({key: tensor.contiguous() for key, tensor in foreign_tensors(golden).items()}, weights)
        np.save(place / "pixels.npy", pixels_of(1, load(name, weights=weights, device="cpu").form))
    return name, str(weights)


@contextlib.contextmanager
def both(
    task: Task, model: str, place: Path, shared: Path
) -> Iterator[tuple[dict[EngineName, EngineProcess], dict[EngineName, ByHand]]]:
    """Yield a loaded process for each engine of either side; one that cannot be had is told, and left out."""
    with contextlib.ExitStack() as stack:
        ours: dict[EngineName, EngineProcess] = {}
        theirs: dict[EngineName, ByHand] = {}
        for engine in task.files:
            process, _ = task.started(engine)
            ours[engine] = stack.enter_context(process)
        for engine in ENGINES:
            try:
                theirs[engine] = ByHand(engine, model, place, shared, task.threads)
                stack.callback(theirs[engine].close)
            except RuntimeError as error:
                print(f"{model}: {engine} by hand is left out: {error}", flush=True)
        yield ours, theirs


def measured(model: str, place: Path, shared: Path, rounds: int, calls: int, threads: int) -> dict[str, Any]:
    """Return all that was measured of a model."""
    name, weights = prepared(model, place, shared)
    found = bench(name, weights=weights, batches=(1,), threads=threads)
    known = Place.of(name, weights)
    remembered = known.recall() if known else None
    assert remembered is not None
    chosen = choose(remembered.rows, MANY, threads)
    soonest = choose(remembered.rows, 1, threads)
    assert chosen is not None
    assert soonest is not None
    engines = dict.fromkeys(row.engine for row in found.rows)
    files = {engine: remembered.file_for(engine) if engine in FILES else None for engine in engines}
    task = Task(name, weights, files, (1,), threads, rounds, calls)
    times: dict[str, dict[str, list[float]]] = {"ours": {}, "by_hand": {}}
    with both(task, model, place, shared) as (ours, theirs):
        logits = {engine: process.ask("logits", pictures=1, batch=1)["logits"] for engine, process in ours.items()}
        expected = np.array(theirs["pytorch"].ask("logits")["logits"])
        for number in range(rounds + 1):
            if number == TRIED:
                ours, theirs = _near(ours, times["ours"], chosen.engine), _near(theirs, times["by_hand"])
            for engine in dict.fromkeys([*ours, *theirs]):
                sides = ["ours", "by_hand"] if number % 2 else ["by_hand", "ours"]
                for side in sides:
                    if side == "ours" and engine in ours:
                        taken = ours[engine].ask("time", batch=1, calls=calls + 1)["ms"][1:]
                    elif side == "by_hand" and engine in theirs:
                        taken = theirs[engine].ask(calls + 1)["ms"][1:]
                    else:
                        continue
                    if number:
                        times[side].setdefault(engine, []).append(statistics.median(taken))
        hand_load = {engine: process.load_seconds for engine, process in theirs.items()}
    return {
        "model": model, "ours": name, "threads": threads, "rounds": rounds, "calls": calls, "times_ms": times,
        "auto": chosen.engine, "auto_for_one_image": soonest.engine, "skipped": dict(found.skipped),
        "gaps": {engine: compared(np.array(each), expected)[0] for engine, each in logits.items()},
        "load_seconds": {row.engine: row.load_seconds for row in found.rows}, "load_seconds_by_hand": hand_load,
    }  # fmt: skip


def _near(processes: dict[EngineName, Any], times: dict[str, list[float]], kept: str = "") -> dict[EngineName, Any]:
    """Return the engines that may yet be the best of their side, and the one that is kept in any case."""
    best = min(map(statistics.median, times.values()))
    return {
        engine: process for engine, process in processes.items()
        if engine == kept or statistics.median(times[engine]) <= FAR * best
    }  # fmt: skip


def judged(result: dict[str, Any]) -> dict[str, Any]:
    """Return the figures that a result comes to."""
    ours, theirs = result["times_ms"]["ours"], result["times_ms"]["by_hand"]
    best = min(theirs, key=lambda engine: statistics.median(theirs[engine]))
    own_best = min(ours, key=lambda engine: statistics.median(ours[engine]))
    auto = ours[result["auto"]]
    ratios = np.array(auto) / np.array(theirs[best])
    interval = bootstrap((ratios,), np.median, method="percentile", rng=0).confidence_interval
    lost = statistics.median(auto) / statistics.median(ours[own_best])
    return {
        "model": result["model"], "auto": result["auto"], "auto_ms": statistics.median(auto), "by_hand": best,
        "by_hand_ms": statistics.median(theirs[best]), "ratio": float(np.median(ratios)),
        "interval": [float(interval.low), float(interval.high)], "own_best": own_best, "auto_over_own_best": lost,
        "gap": result["gaps"][result["auto"]], "words": median_ratio(auto, theirs[best]),
        "same_engine": {
            engine: float(np.median(np.array(ours[engine]) / np.array(theirs[engine])))
            for engine in ours if engine in theirs and len(ours[engine]) == len(theirs[engine]) == len(auto)
        },
    }  # fmt: skip


def main() -> None:
    """Measure the models that have no result yet, and print what all results come to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shared", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("models", nargs="*", default=MODELS)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--calls", type=int, default=30)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--keep", action="store_true", help="keep the exported files of models that are measured")
    given = parser.parse_args()
    work = given.work.resolve()
    os.environ["XDG_CACHE_HOME"] = str(work / "cache")
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(work / "inductor")
    for model in given.models:
        place = work / model
        if not (place / "result.json").exists():
            result = measured(model, place, given.shared.resolve(), given.rounds, given.calls, given.threads)
            (place / "result.json").write_text(json.dumps(result))
        if not given.keep:
            for path in [*place.glob("*"), work / "cache"]:
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                elif path.suffix != ".json":
                    path.unlink()
    rows = [judged(json.loads(path.read_text())) for path in sorted(work.glob("*/result.json"))]
    for row in rows:
        print(
            f"{row['model']}: {row['auto']} {row['auto_ms']:.2f} ms, "
            f"by hand {row['by_hand']} {row['by_hand_ms']:.2f} ms; "
            f"ratio {row['words']}; auto {row['auto_over_own_best']:.3f} of our best, {row['own_best']}; "
            f"gap {row['gap']:.1e}; each engine to itself by hand "
            + ", ".join(f"{engine} {ratio:.2f}" for engine, ratio in row["same_engine"].items())
        )
    near = sum(row["auto_over_own_best"] <= 1.05 for row in rows)
    even = sum(row["interval"][0] <= 1.05 for row in rows)
    print(f"{len(rows)} models: lower end at most 1.05 in {even}, auto within 5 % of our best in {near}")
    print(machine())
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
