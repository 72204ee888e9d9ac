"""Whether the deepest networks take a training step: seconds and peak memory, each in a process of its own.

    python benchmarks/deepest.py [--batch N]

Images of noise, SGD with momentum, the batch sizes of the papers unless another is given. What must be kept for the
gradient follows from the shapes: `lenext describe NAME --batch N` says how much.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time

from rounds import machine

BATCHES = {"resnet1202_cifar": 128, "preresnet1001_cifar": 64}
LIMIT = 24 * 2**30  # bytes


def step(name: str, batch: int) -> None:
    """Build the model, take two steps, and print how long each part took and the most memory."""
    import torch
    from torch.nn.functional import cross_entropy

    import lenext

    began = time.perf_counter()
    model = lenext.create(name).to(memory_format=torch.channels_last)
    built = time.perf_counter()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    images = torch.randn(batch, 3, 32, 32).to(memory_format=torch.channels_last)
    losses = []
    for _ in range(2):
        loss = cross_entropy(model(images), torch.arange(batch) % 10)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    seconds = (time.perf_counter() - built) / 2
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    expected = lenext.profile(name, batch=batch).total.training_bytes["momentum"]
    print(f"{name}, {batch} images: built in {built - began:.1f} s, a step in {seconds:.1f} s")
    print(f"  peak memory {peak / 2**30:.1f} GiB ({'within' if peak <= LIMIT else 'BEYOND'} 24)")
    print(f"  weights, their optimiser state, activations and gradients by `describe`: {expected / 2**30:.1f} GiB")
    print(f"  losses {losses[0]:.2f}, {losses[1]:.2f}", flush=True)


def main() -> None:
    """Run each model in a new process, so that peaks do not add up."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--only", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.only:
        step(asked.only, asked.batch)
        return
    for name, batch in BATCHES.items():
        subprocess.run([sys.executable, __file__, "--only", name, "--batch", str(asked.batch or batch)], check=True)
    print(machine())


if __name__ == "__main__":
    main()
