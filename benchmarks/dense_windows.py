"""How far a cell of the dense form is from what the classifier answers to that window, cut out of the image.

    python benchmarks/dense_windows.py ../shared/data

Both see the same pixels, but where a network pads its maps, the window cut out has zeros around it and the cell has the
image. Without padding the two agree but for rounding. Photographs are cut to `pixels` a side after their shorter side
was brought to it. Of alexnet, vgg11 and resnet18 the weights are random, as `lenext.create` draws them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from rounds import machine

import lenext
from lenext.data.preprocessing import Preprocessing
from lenext.models import ImageClassifier

# The network, its weights below the data, how many photographs, and of how many pixels a side.
NETWORKS = (
    ("lenet5_valid", None, 20, 64),
    ("alexnet", None, 10, 320),
    ("vgg11", None, 2, 288),
    ("resnet18", None, 10, 320),
    ("mobilenet_v2", "weights/mobilenet_v2-imagenet1k-torchvision.safetensors", 40, 352),
    ("resnet20_cifar", "weights/resnet20-12fca82f.th", 10, 64),
)


@torch.inference_mode()
def differences(
    model: ImageClassifier, preprocessing: Preprocessing | None, photos: list[Path], pixels: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return how far each cell is off, of the largest logit of its window, and whether both name the same class."""
    assert model.spec is not None
    height, width = model.spec.size
    dense = lenext.densify(model)
    off, same = [], []
    for path in photos:
        with Image.open(path) as photo:
            shown = ImageOps.fit(photo.convert("L" if model.spec.in_channels == 1 else "RGB"), (pixels, pixels))
        levels = torch.from_numpy(np.asarray(shown).reshape(1, pixels, pixels, -1).copy())
        if preprocessing is None:
            x = (levels.permute(0, 3, 1, 2).float() / 255 - 0.45) / 0.225
        else:
            x = preprocessing.normalise(levels)
        answers = dense(x)[0]  # (classes, h, w)
        for row in range(answers.shape[1]):
            for column in range(answers.shape[2]):
                top, left = row * dense.stride, column * dense.stride
                alone = model(x[:, :, top : top + height, left : left + width])[0]
                off.append(float((answers[:, row, column] - alone).abs().max() / alone.abs().max()))
                same.append(bool(answers[:, row, column].argmax() == alone.argmax()))
    return np.array(off), np.array(same)


def main() -> None:
    """Print a row of the table in docs/dense.md for each network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    asked = parser.parse_args()
    photos = sorted((asked.data / "imagenet_sample").glob("*/*.JPEG"))
    for name, weights, count, pixels in NETWORKS:
        torch.manual_seed(0)
        if weights is None:
            model, preprocessing = lenext.create(name).eval(), None
        else:
            known = lenext.load(name, weights=asked.data / weights)
            model, preprocessing = known.model, known.preprocessing
        off, same = differences(model, preprocessing, photos[:: len(photos) // count][:count], pixels)
        low, middle, high = np.quantile(off, [0.05, 0.5, 0.95])
        print(
            f"| `{name}` | {'random' if weights is None else 'trained'} | {count} at {pixels} px, {len(off)} cells | "
            f"{middle:.2g} ({low:.2g} to {high:.2g}) | {100 * same.mean():.1f} % |",
            flush=True,
        )
    print(machine())


if __name__ == "__main__":
    main()
