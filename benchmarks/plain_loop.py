"""The other side of the comparisons with PyTorch: training as its own examples write it.

torchvision's transforms on one image at a time, a DataLoader with two workers, NCHW, float32, eager. It runs with the
Python of an environment that has torchvision: `PEERS_PYTHON`, /tmp/peers/bin/python if not set.
"""

from __future__ import annotations

import argparse
import importlib
import io
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PEERS = os.environ.get("PEERS_PYTHON", "/tmp/peers/bin/python")
WORKERS = 2
CIFAR_MEAN, CIFAR_STD = (0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616)
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def _torchvision(shared: str) -> Any:
    """Import torchvision, through the stand-in for its compiled part where that cannot be loaded."""
    sys.path.insert(0, str(Path(shared) / "peers"))
    importlib.import_module("torchvision_cpu")
    return importlib.import_module("torchvision")


def cifar(location: str, split: str, transform: Any) -> Any:
    """Return a dataset of PIL images, decoded beforehand as torchvision's CIFAR10 is."""
    import numpy as np
    from PIL import Image
    from pyarrow import parquet
    from torch.utils.data import Dataset

    table = parquet.read_table(next(Path(location).glob(f"*/{split}-*.parquet")))
    pixels = [np.asarray(Image.open(io.BytesIO(cell["bytes"])).convert("RGB")) for cell in table["img"].to_pylist()]
    labels = table["label"].to_pylist()

    class Pictures(Dataset[Any]):
        def __len__(self) -> int:
            return len(labels)

        def __getitem__(self, index: int) -> tuple[Any, int]:
            return transform(Image.fromarray(pixels[index])), labels[index]

    return Pictures()


def loader_of(task: str, location: str, shared: str, batch: int, *, train: bool = True) -> Any:
    """Return the DataLoader of CIFAR-10, or of a folder of class folders at 224 px."""
    from torch.utils.data import DataLoader

    torchvision = _torchvision(shared)
    t = torchvision.transforms
    if task == "cifar":
        last = [t.ToTensor(), t.Normalize(CIFAR_MEAN, CIFAR_STD)]
        changes = [t.RandomCrop(32, padding=4), t.RandomHorizontalFlip()] if train else []
        data = cifar(location, "train" if train else "test", t.Compose([*changes, *last]))
    else:
        first = [t.RandomResizedCrop(224), t.RandomHorizontalFlip()]
        last = [t.ToTensor(), t.Normalize(IMAGENET_MEAN, IMAGENET_STD)]
        data = torchvision.datasets.ImageFolder(location, t.Compose([*first, *last]))
    return DataLoader(data, batch, shuffle=train, num_workers=WORKERS, drop_last=train, persistent_workers=True)


def endless(loader: Any) -> Iterator[Any]:
    """Yield batches, epoch after epoch."""
    while True:
        yield from loader


def step_of(model: Any, device: Any) -> Any:
    """Return a function that trains on a batch at a rate, and returns the loss."""
    import torch
    from torch.nn.functional import cross_entropy

    optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)

    def step(images: Any, labels: Any, lr: float) -> float:
        for group in optimiser.param_groups:
            group["lr"] = lr
        loss = cross_entropy(model(images.to(device)), labels.to(device))
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        return loss.item()

    return step


def speed(asked: argparse.Namespace) -> dict[str, float]:
    """Return the images a second of the whole loop, or, without a model, of reading and augmenting alone."""
    import torch

    import lenext

    batches = endless(loader_of(asked.task, asked.data, asked.shared, asked.batch))
    step = None
    if asked.model:
        torch.manual_seed(0)
        step = step_of(lenext.create(asked.model, classes=asked.classes).train(), torch.device("cpu"))
    for number in range(asked.warm + asked.steps):
        if number == asked.warm:
            began = time.perf_counter()
        images, labels = next(batches)
        if step:
            step(images, labels, 0.01)
    return {"images_per_second": asked.batch * asked.steps / (time.perf_counter() - began)}


def curve(asked: argparse.Namespace) -> dict[str, Any]:
    """Train ResNet-20 by its paper's recipe for so many minutes; return the test accuracy after each epoch.

    The paper's schedule is stretched to the time: a tenth of the rate from half of it on, a hundredth from three
    quarters on. Testing is not counted.
    """
    import torch

    import lenext

    started, tested = time.perf_counter(), 0.0
    train, test = (loader_of("cifar", asked.data, asked.shared, asked.batch, train=part) for part in (True, False))
    torch.manual_seed(0)
    model = lenext.create("resnet20_cifar")
    step, points = step_of(model, torch.device("cpu")), []
    for number, (images, labels) in enumerate(endless(train), 1):
        done = (time.perf_counter() - started - tested) / (60 * asked.minutes)
        last = done >= 1
        if not last:
            model.train()
            step(images, labels, 0.1 * (1.0 if done < 0.5 else 0.1 if done < 0.75 else 0.01))
        if last or number % len(train) == 0:
            began = time.perf_counter()
            points.append({"minutes": min(done, 1) * asked.minutes, "steps": number, "top1": _top1(model, test)})
            print(points[-1], file=sys.stderr, flush=True)
            tested += time.perf_counter() - began
        if last:
            break
    return {"curve": points}


def _top1(model: Any, loader: Any) -> float:
    import torch

    model.eval()
    right = count = 0
    with torch.inference_mode():
        for images, labels in loader:
            right += int((model(images).argmax(1) == labels).sum())
            count += len(labels)
    return 100 * right / count


def main() -> None:
    """Measure, and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=["cifar", "folder"])
    parser.add_argument("data")
    parser.add_argument("--shared", required=True, help="the folder that holds peers/")
    parser.add_argument("--model")
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--warm", type=int, default=5)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--minutes", type=float)
    asked = parser.parse_args()
    print(json.dumps(curve(asked) if asked.minutes else speed(asked)))


if __name__ == "__main__":
    main()
