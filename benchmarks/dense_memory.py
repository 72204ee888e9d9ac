"""What memory-efficient training of DenseNet saves and what it costs, against plain training in alternating rounds.

    python benchmarks/dense_memory.py [MODEL] [--size S] [--batch N]

Each step runs in a process of its own, so that its peak is its own; what a process holds before the step is taken off.
The gradients of both are compared bit for bit.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import statistics
import subprocess
import sys
import time
from typing import Any

from rounds import alternate, machine, median_ratio, spread

ROUNDS = 5


def step(name: str, size: int, batch: int, *, efficient: bool) -> None:
    """Take four steps; print the seconds of one, what they added to the peak memory, a digest of what changed."""
    import torch
    from torch.nn.functional import cross_entropy

    import lenext

    torch.manual_seed(0)
    model = lenext.create(name, size=size, memory_efficient=efficient).to(memory_format=torch.channels_last)
    images, labels = torch.randn(batch, 3, size, size).to(memory_format=torch.channels_last), torch.arange(batch) % 10
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    times = []
    for _ in range(4):
        began = time.perf_counter()
        cross_entropy(model(images), labels).backward()  # type: ignore[no-untyped-call]
        times.append(time.perf_counter() - began)
    seconds = statistics.median(times[1:])  # the first step asks the system for memory
    added = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    digest = hashlib.sha256()
    for tensor in (*(p.grad for p in model.parameters()), *model.buffers()):
        digest.update(tensor.detach().numpy().tobytes())  # type: ignore[union-attr]
    print(json.dumps({"seconds": seconds, "bytes": added, "digest": digest.hexdigest()}))


def main() -> None:
    """Print memory, time and whether the gradients agree."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="densenet121")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--step", choices=["plain", "efficient"], help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.step:
        step(asked.model, asked.size, asked.batch, efficient=asked.step == "efficient")
        return
    found: dict[str, list[dict[str, Any]]] = {"plain": [], "efficient": []}

    def run(kind: str) -> float:
        command = [sys.executable, __file__, asked.model, "--size", str(asked.size), "--batch", str(asked.batch)]
        done = subprocess.run([*command, "--step", kind], capture_output=True, text=True, check=True)
        found[kind].append(json.loads(done.stdout))
        return float(found[kind][-1]["seconds"])

    efficient, plain = alternate(lambda: run("efficient"), lambda: run("plain"), ROUNDS)
    memory = {kind: [each["bytes"] / 2**20 for each in rounds[1:]] for kind, rounds in found.items()}
    print(f"{asked.model} at {asked.size} px, {asked.batch} images")
    for kind, seconds in (("plain", plain), ("efficient", efficient)):
        print(f"  {kind}: {spread(memory[kind], 'MiB', 0)}, {spread(seconds, 's')}")
    print(f"  memory, efficient to plain: {median_ratio(memory['efficient'], memory['plain'])}")
    print(f"  time, efficient to plain: {median_ratio(efficient, plain)}")
    digests = {each["digest"] for rounds in found.values() for each in rounds}
    print(f"  gradients and running statistics: {'identical' if len(digests) == 1 else 'DIFFERENT'}")
    print(machine())


if __name__ == "__main__":
    main()
