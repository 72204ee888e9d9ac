"""Whether Grad-CAM points at what it should: digits on an empty canvas, found by trained and by random weights.

    python benchmarks/explaining.py ../shared/data [--canvases 12000] [--epochs 2]

A digit of MNIST stands in a random quarter of an empty canvas of 56 px, which the network sees at 112 px. `resnet34` of
a quarter of its width, whose last map has 4 x 4 places, learns which digit it is, by the plain recipe, from training
digits. Then, of 200 canvases of test digits, the peak of the map for the digit's class either lies in its quarter or
does not, with the trained weights and with weights as the architecture draws them, of several seeds. The same with two
digits, of different classes in different quarters, and the class of one of them asked for. Deletion is that of
`lenext explain --check`, the difference of the two areas paired by canvas.

On a canvas with nothing else, a fine map of a shallow network peaks at the digit whatever its weights: there is nowhere
else to peak. How often is printed too; it is why the network here is deep and its last map coarse.

With `--report` alone: what the maps of 24 mistakes add to a report, for ResNet-18 at 224 px on one thread.

Last, where a place of MobileNetV2's last map lies: the centroid of the squared gradients of its values in the image, on
20 photographs, beside the place that the layers' strides and paddings say and that of an even share of the image.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from mosaics import Digits, read_digits, write_table
from numpy.typing import NDArray
from rounds import machine

import lenext
from lenext.classifier import Classifier
from lenext.data.decode import decode, open_image
from lenext.evaluation.intervals import mean_interval
from lenext.explanation.faithfulness import deletion
from lenext.explanation.gradcam import grad_cam
from lenext.explanation.heat_map import HeatMap
from lenext.explanation.methods import Explainer
from lenext.explanation.mistakes import Reasons
from lenext.explanation.places import places
from lenext.explanation.sight import look
from lenext.models import ImageClassifier
from lenext.pages.pictures import THUMBNAIL, picture_address

SIDE, HALF = 56, 28
NETWORK, SIZE, OPTIONS = "resnet34", 112, {"width": 0.25}
OTHERS = (("lenet5", 56), ("resnet20_cifar", 56))  # of which random weights alone are asked
WEIGHTS = "weights/mobilenet_v2-imagenet1k-torchvision.safetensors"


def canvases(
    digits: Digits, count: int, rng: np.random.Generator, *, two: bool = False
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
    """Return canvases, (N, 56, 56), the class of a digit on each, and its quarter: row and column, (N, 2)."""
    images, labels = digits
    pages = np.zeros((count, SIDE, SIDE), np.uint8)
    chosen, quarters = [], []
    for page in pages:
        one = int(rng.integers(len(images)))
        other = int(rng.choice(np.flatnonzero(labels != labels[one]))) if two else None
        places = [divmod(int(place), 2) for place in rng.permutation(4)]
        for which, (row, column) in zip((one, other), places, strict=False):
            if which is not None:
                page[HALF * row : HALF * (row + 1), HALF * column : HALF * (column + 1)] = images[which]
        chosen.append(one)
        quarters.append(places[0])
    return pages, labels[chosen], np.array(quarters)


def images_of(classifier: Classifier, pages: NDArray[np.uint8]) -> torch.Tensor:
    """Return what enters the network."""
    seen = np.stack([decode(page, classifier.preprocessing.form) for page in pages])
    return classifier.preprocessing.normalise(torch.from_numpy(seen))


def hits(
    model: ImageClassifier, images: torch.Tensor, labels: NDArray[np.int64], quarters: NDArray[np.int64],
    stage: int | None = None, *, even: bool = False,
) -> NDArray[np.bool_]:  # fmt: skip
    """Return of each canvas whether the peak lies in the digit's quarter; a map without a peak does not.

    With `even`, a place lies in the middle of an even share of the image, as maps are often enlarged.
    """
    assert model.spec is not None
    number = len(model.stages) - 1 if stage is None else stage
    side = model.spec.size[0]
    heat = grad_cam(model, images, torch.from_numpy(labels), number).numpy()
    first, step = places(model.spec, number)
    if even:
        step = (side / heat.shape[1], side / heat.shape[2])
        first = (step[0] / 2, step[1] / 2)
    peaks = [HeatMap(each, first, step).peak for each in heat]
    return np.array(
        [
            peak is not None and (int(peak[1] // (side / 2)), int(peak[0] // (side / 2))) == tuple(quarter)
            for peak, quarter in zip(peaks, quarters.tolist(), strict=True)
        ]
    )


def random_shares(
    name: str, size: int, options: dict[str, float], pages: NDArray[np.uint8], about: tuple[NDArray[np.int64], ...],
    like: Classifier, seeds: int,
) -> list[float]:  # fmt: skip
    """Return the percentage of hits with weights as they are drawn, for each seed."""
    x = images_of(like, pages)
    x = torch.nn.functional.interpolate(x, size=(size, size), mode="bilinear") if size != x.shape[-1] else x
    shares = []
    for seed in range(seeds):
        torch.manual_seed(seed)
        model = lenext.create(name, classes=10, in_channels=1, size=size, **options).eval()
        shares.append(100 * float(hits(model, x, *about).mean()))
    return shares


def told(shares: list[float]) -> str:
    """Return mean and range in words."""
    below = sum(share < 50 for share in shares)
    return f"{np.mean(shares):.1f} % ({min(shares):.1f} to {max(shares):.1f}, {below} of {len(shares)} seeds under 50)"


def report_deletion(classifier: Classifier, pages: NDArray[np.uint8], labels: NDArray[np.int64]) -> None:
    """Print the areas under both curves of deletion, and the interval of their difference."""
    explainer = Explainer(classifier, "gradcam")
    areas = []
    for page, label in zip(pages, labels.tolist(), strict=True):
        sight, index = look(classifier, "canvas", page), classifier.index_of(str(label))
        found = deletion(classifier, sight, index, explainer.map(sight, index))
        areas.append((found.area, found.random_area))
    by_map, at_random = np.array(areas).T
    low, high = mean_interval(at_random - by_map) or (0.0, 0.0)
    print(
        f"deletion, {len(pages)} canvases: mean probability {by_map.mean():.3f} by the map, {at_random.mean():.3f} in "
        f"random order, difference {np.mean(at_random - by_map):.3f} (95 % interval {low:.3f} to {high:.3f}), "
        f"{int((by_map < at_random).sum())} faster"
    )


def report_places(data: Path) -> None:
    """Print where the places of MobileNetV2's last map lie, by its gradients and by its layers."""
    classifier = lenext.load("mobilenet_v2", weights=data / WEIGHTS, device="cpu")
    assert classifier.model.spec is not None
    photos = sorted((data / "imagenet_sample").glob("*/*.JPEG"))[::10]
    x = classifier.preprocessing.normalise(
        torch.from_numpy(np.stack([decode(path, classifier.preprocessing.form) for path in photos]))
    )
    first, step = places(classifier.model.spec, len(classifier.model.stages) - 1)
    middles = torch.arange(x.shape[-1]) + 0.5
    for cell in range(7):
        image = x.clone().requires_grad_()
        last = classifier.model.features(image)[-1]
        (gradients,) = torch.autograd.grad(last[:, :, cell, cell].abs().sum(), image)
        weight = gradients.square().sum((0, 1))
        down, across = (float((weight.sum(axis) * middles).sum() / weight.sum()) for axis in (1, 0))
        print(
            f"place {cell} of 7: gradients {down:.1f} down, {across:.1f} across; by the layers "
            f"{first[0] + cell * step[0]:.1f}; an even share {224 / 7 * (cell + 0.5):.1f}"
        )


def report_seconds(data: Path, rounds: int = 7) -> None:
    """Print what the maps of 24 mistakes take of a core: loading the weights again, the maps, and drawing them."""
    photos = sorted((data / "imagenet_sample").glob("*/*.JPEG"))[::8][:24]
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "weights.pth"
        torch.save(lenext.create("resnet18").state_dict(), weights)
        rows = []
        for _ in range(rounds):
            instants = [time.process_time()]
            classifier = lenext.load("resnet18", weights=weights, device="cpu")
            reasons, form = Reasons(classifier), classifier.preprocessing.form
            instants.append(time.process_time())
            pixels = np.stack([decode(path, form) for path in photos])  # which a run has in memory
            originals = [open_image(path) for path in photos]  # as its thumbnails do
            began = time.process_time()
            maps = reasons.maps(pixels, np.arange(len(photos)))
            drawn = time.process_time()
            for photo, heat in zip(originals, maps, strict=True):
                picture_address(reasons.picture(photo, heat, 2 * THUMBNAIL, as_seen=False))
            rows.append((instants[1] - instants[0], drawn - began, time.process_time() - drawn))
    for what, values in zip(("loading", "maps", "pictures"), np.array(rows).T, strict=True):
        spread = f"({values.min():.3f} to {values.max():.3f}), n = {rounds}"
        print(f"24 mistakes, {what}: median {np.median(values):.3f} s of one core {spread}")


def main() -> None:
    """Train, and print how often the peak lies where the digit is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--canvases", type=int, default=12_000)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=20, help="of random weights")
    parser.add_argument("--report", action="store_true", help="time the maps of a report, and nothing else")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if asked.report:
        report_seconds(asked.data)
        print(machine())
        return
    test = read_digits(asked.data / "mnist", "test")
    with tempfile.TemporaryDirectory() as folder:
        cut = Path(folder) / "canvases"
        for split, count in (("train", asked.canvases), ("test", 500)):
            digits = read_digits(asked.data / "mnist", "train") if split == "train" else test
            pages, labels, _ = canvases(digits, count, np.random.default_rng(count))
            write_table(cut / f"{split}.parquet", list(pages), [str(label) for label in labels])
        run = lenext.train(
            cut, NETWORK, size=SIZE, options=OPTIONS, epochs=asked.epochs, seed=1, threads=1, out=Path(folder) / "run"
        )
        classifier = lenext.load(run.run, device="cpu")
    print(f"{NETWORK} at {SIZE} px: {run.top1:.1f} % of canvases right after {run.train_seconds:.0f} s of training")
    rng = np.random.default_rng(1)
    for what, two in (("one digit", False), ("two digits", True)):
        pages, *about = canvases(test, 200, rng, two=two)
        x = images_of(classifier, pages)
        print(f"{what}: trained {100 * hits(classifier.model, x, *about).mean():.1f} % of {len(pages)} peaks in place")
        for stage in range(len(classifier.model.stages) - 1):
            exact, even = (100 * hits(classifier.model, x, *about, stage, even=even).mean() for even in (False, True))
            print(f"  stage {stage}: {exact:.1f} %, in even shares {even:.1f} %")
        shares = random_shares(NETWORK, SIZE, OPTIONS, pages, tuple(about), classifier, asked.seeds)
        print(f"  random weights {told(shares)}", flush=True)
        for name, size in OTHERS:
            others = random_shares(name, size, {}, pages, tuple(about), classifier, max(1, asked.seeds // 4))
            print(f"  random weights of {name} at {size} px {told(others)}", flush=True)
        if not two:
            report_deletion(classifier, pages, about[0])
    report_places(asked.data)
    print(machine())


if __name__ == "__main__":
    main()
