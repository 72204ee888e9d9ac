"""What checkpoints cost: ResNet-20 on CIFAR-10, one a minute, as a share of the time of training.

    python benchmarks/checkpoints.py ../shared/data/cifar10 [--minutes 4]

Two figures. In one run, the time that is spent in writing checkpoints, over the time of the training. And side by side,
in alternating rounds, the time of a fixed number of steps with a checkpoint every two seconds, thirty times as often,
over the time without; what one a minute costs is a thirtieth of the difference.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rounds import alternate, machine, median_ratio, spread

ROUNDS = 7
OFTEN = 2 / 60  # minutes
STEPS = 300


def trained(data: str, minutes: float, steps: int | None, checkpoint: float) -> dict[str, Any]:
    """Train in this process, and return how long the writing of checkpoints took, and all steps."""
    import lenext
    from lenext.training.keeping import Keeping

    taken: list[float] = []
    keep = Keeping.keep

    def timed(self: Keeping, *arguments: Any) -> None:
        began = time.perf_counter()
        try:
            keep(self, *arguments)
        finally:
            taken.append(time.perf_counter() - began)

    Keeping.keep = timed  # type: ignore[method-assign]
    instants: list[float] = []

    class Watch:
        def track(self, items: Any, what: str, total: int, count: Any) -> Any:
            for item in items:
                if what.startswith("epoch"):
                    instants.append(time.perf_counter())
                    if steps is not None and len(instants) > steps:
                        raise KeyboardInterrupt
                yield item

        def note(self, text: str) -> None:
            print(text, file=sys.stderr)

    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(KeyboardInterrupt):
        lenext.train(
            data, "resnet20_cifar", recipe="cifar_fast", minutes=None if steps else minutes,
            epochs=100 if steps else None, overrides={"precision": "bfloat16"}, checkpoint=checkpoint,
            out=Path(folder) / "run", progress=Watch(),
        )  # fmt: skip
    warm = 10
    return {"checkpoints": taken, "seconds": instants[-1] - instants[warm], "steps": len(instants) - 1 - warm}


def main() -> None:
    """Measure both, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--minutes", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        minutes, steps, checkpoint = map(float, given.one)
        print(json.dumps(trained(given.data, minutes, int(steps) or None, checkpoint)))
        return

    def one(minutes: float, steps: int, checkpoint: float) -> dict[str, Any]:
        words = [sys.executable, __file__, given.data, "--one", str(minutes), str(steps), str(checkpoint)]
        done = subprocess.run(words, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]

    print(machine())
    found = one(given.minutes, 0, 1.0)
    share = 100 * sum(found["checkpoints"]) / found["seconds"]
    print(f"one a minute: {len(found['checkpoints'])} checkpoints (those after epochs too), "
          f"{spread([1000 * each for each in found['checkpoints']], 'ms', 1)}, {share:.3f} % of "
          f"{found['seconds']:.0f} s")  # fmt: skip
    often, never = alternate(
        lambda: one(0, STEPS, OFTEN)["seconds"], lambda: one(0, STEPS, 1e6)["seconds"], given.rounds
    )
    print(f"{STEPS} steps, a checkpoint every 2 s over none: {median_ratio(often, never)}; "
          f"{statistics.median(often):.2f} s against {statistics.median(never):.2f} s")  # fmt: skip


if __name__ == "__main__":
    main()
