"""On a GPU: the time to 90 % on CIFAR-10, and ResNet-50's training images a second, beside plain PyTorch.

    python benchmarks/gpu.py ../shared [--model resnet18 ...]

Without a GPU it says so and ends. Both sides train the same network in bfloat16 on images that are in memory already.
Ours is `lenext.train` with the recipe `cifar_fast`, decoding, measuring and judging included, and for ResNet-50 the
loop itself on random images; the plain side augments with torch on the device, NCHW, eager, under autocast.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from rounds import alternate, machine, median_ratio, spread
from torch.nn.functional import cross_entropy, pad

import lenext
from lenext.data.decode import ImageForm
from lenext.data.opening import open_source
from lenext.data.reading import read_split

GOAL, ROUNDS, STEPS, WARM = 90.0, 5, 40, 10
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616)


def lenext_to_goal(data: str, model: str, epochs: int) -> tuple[float, float]:
    """Return the seconds from the start of `lenext.train` to the end of the epoch that reached the goal, and top-1."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as place:
        lenext.train(data, model, recipe="cifar_fast", size=32, epochs=epochs, batch_size=512, out=Path(place) / "run")
        rows = [json.loads(line) for line in (Path(place) / "run" / "metrics.jsonl").read_text().splitlines()]
    return time.perf_counter() - began, max(row["top1"] for row in rows)


def plain_to_goal(data: str, model: str, epochs: int) -> tuple[float, float]:
    """Return the same of a plain loop: one-cycle SGD, images shifted and mirrored on the device."""
    began = time.perf_counter()
    source = open_source(data)
    form, device = ImageForm(size=(32, 32), channels=3), torch.device("cuda")
    parts = {name: read_split(source.splits[name], form, what="") for name in ("train", "test")}
    mean, std = (torch.tensor(each, device=device).view(1, 3, 1, 1) * 255 for each in (MEAN, STD))

    def tensors(name: str) -> tuple[torch.Tensor, torch.Tensor]:
        reading = parts[name]
        pixels = torch.from_numpy(reading.images.batch(np.arange(len(reading.images)))).to(device)
        return (pixels.permute(0, 3, 1, 2) - mean) / std, torch.from_numpy(reading.labels).to(device)

    (images, labels), (held, answers) = tensors("train"), tensors("test")
    net = lenext.create(model, classes=10, size=32).to(device)
    optimiser = torch.optim.SGD(net.parameters(), lr=0.2, momentum=0.9, nesterov=True, weight_decay=5e-4)
    steps = epochs * (len(images) // 512)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 0.8, total_steps=steps)
    for _ in range(epochs):
        net.train()
        for part in torch.randperm(len(images), device=device).split(512)[: len(images) // 512]:
            batch = pad(images[part], (4, 4, 4, 4))
            top, left = torch.randint(0, 9, (2,)).tolist()
            batch = batch[:, :, top : top + 32, left : left + 32]
            batch = torch.where(torch.rand(len(part), 1, 1, 1, device=device) < 0.5, batch.flip(3), batch)
            with torch.autocast("cuda", torch.bfloat16):
                loss = cross_entropy(net(batch), labels[part], label_smoothing=0.1)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
    net.eval()
    with torch.inference_mode(), torch.autocast("cuda", torch.bfloat16):
        right = sum(
            int((net(x).argmax(1) == y).sum()) for x, y in zip(held.split(1000), answers.split(1000), strict=True)
        )
    return time.perf_counter() - began, 100 * right / len(held)


def speed(ours: bool, batch: int) -> float:
    """Return ResNet-50's training images a second at 224 px in bfloat16: lenext's step, or a plain one."""
    from lenext.data.loader import Batch
    from lenext.training.arithmetic import Arithmetic, choose_arithmetic
    from lenext.training.criterion import Criterion
    from lenext.training.loop import Work
    from lenext.training.recipes import Situation, make_recipe

    device = torch.device("cuda")
    recipe = make_recipe("resnet", Situation(train_images=1_281_167, model="resnet50"), {"precision": "bfloat16"})
    model, criterion = lenext.create("resnet50").to(device), Criterion(recipe, torch.ones(1000), device)
    images = torch.randn(batch, 3, 224, 224, device=device)
    labels = torch.randint(0, 1000, (batch,), device=device)
    ready = Batch(images.contiguous(memory_format=torch.channels_last) if ours else images, labels)
    way = Arithmetic(channels_last=False, bfloat16=True)
    if ours:
        way = choose_arithmetic(model, recipe, criterion, lambda: ready, images=10**8)
    work = Work(model.train(), recipe, criterion, way)
    for number in range(WARM + STEPS):
        if number == WARM:
            torch.cuda.synchronize()
            began = time.perf_counter()
        work.step(ready, 0.1, number)
    torch.cuda.synchronize()
    return batch * STEPS / (time.perf_counter() - began)


def main() -> None:
    """Measure both, or say that there is no GPU."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shared")
    parser.add_argument("--model", default="resnet18")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--batch", type=int, default=256)
    asked = parser.parse_args()
    if not torch.cuda.is_available():
        print("no GPU here: nothing was measured")
        sys.exit(0)
    data = str(Path(asked.shared) / "data/cifar10")
    for name, side in (("lenext", lenext_to_goal), ("plain", plain_to_goal)):
        found = [side(data, asked.model, asked.epochs) for _ in range(3)]
        print(f"{name}, {asked.model}, {asked.epochs} epochs: {spread([seconds for seconds, _ in found], 's', 1)}")
        print(f"  top-1 {spread([top1 for _, top1 in found], '%')}, goal {GOAL:g} %", flush=True)
    a, b = alternate(lambda: speed(True, asked.batch), lambda: speed(False, asked.batch), ROUNDS)
    print(
        f"resnet50, {asked.batch} a step, bfloat16: lenext {spread(a, 'images/s', 0)}; plain {spread(b, 'images/s', 0)}"
    )
    print(f"  ratio {median_ratio(a, b)}; {torch.cuda.get_device_name()}")
    print(machine())


if __name__ == "__main__":
    main()
