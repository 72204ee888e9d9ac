"""Whether real weights of others answer as they do there: MobileNetV2 on ImageNet photographs, ResNet-20 on CIFAR-10.

    python benchmarks/real_weights.py ../shared/data

The folder's own README says what its weights reach: 82.0 and 94.5 % on its 200 photographs, resized to 256 px and
cropped to 224, and 81.03 % on its recompressed CIFAR-10.
"""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from PIL import Image
from rounds import machine
from torch import Tensor

import lenext
from lenext.weights.foreign import load_foreign


@torch.inference_mode()
def main(folder: Path) -> None:
    """Print the accuracy of both."""
    print(mobilenet(folder))
    print(resnet20(folder))
    print(machine())


def mobilenet(folder: Path) -> str:
    """Return what the MobileNetV2 reaches, over all 1,000 classes."""
    weights = folder / "weights" / "mobilenet_v2-imagenet1k-torchvision.safetensors"
    model = lenext.create("mobilenet_v2", weights=weights).eval()
    listed = json.loads((folder / "imagenet_classes.json").read_text())
    number = {(each["wnid"] if isinstance(each, dict) else each[0]): index for index, each in enumerate(listed)}
    hits = {1: 0, 5: 0}
    files = sorted((folder / "imagenet_sample").rglob("*.JPEG"))
    for file in files:
        best = model(photograph(file)).topk(5).indices[0].tolist()
        for top in hits:
            hits[top] += number[file.parent.name] in best[:top]
    top1, top5 = (100 * hits[top] / len(files) for top in (1, 5))
    return f"mobilenet_v2: top-1 {top1:.1f} %, top-5 {top5:.1f} % on {len(files)} photographs"


def photograph(file: Path) -> Tensor:
    """Return the photograph with its shorter side at 256 px, its middle 224 cut out, from -1 to 1."""
    image = Image.open(file).convert("RGB")
    scale = 256 / min(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BILINEAR)
    left, top = (image.width - 224) // 2, (image.height - 224) // 2
    pixels = np.asarray(image.crop((left, top, left + 224, top + 224)), np.float32)
    return torch.from_numpy(pixels / 127.5 - 1).permute(2, 0, 1)[None]


def resnet20(folder: Path) -> str:
    """Return what the ResNet-20 reaches on the test split."""
    stored = torch.load(folder / "weights" / "resnet20-12fca82f.th", map_location="cpu", weights_only=True)
    model = lenext.create("resnet20_cifar")
    load_foreign(model, stored["state_dict"], where="resnet20-12fca82f.th")
    (file,) = sorted((folder / "cifar10").rglob("test*.parquet"))
    table = pq.read_table(file)
    images = [np.asarray(Image.open(io.BytesIO(each["bytes"])).convert("RGB")) for each in table["img"].to_pylist()]
    pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255
    mean, std = torch.tensor((0.485, 0.456, 0.406)), torch.tensor((0.229, 0.224, 0.225))
    pixels = (pixels - mean[:, None, None]) / std[:, None, None]
    found = torch.cat([model.eval()(some).argmax(1) for some in pixels.split(500)])
    right = int((found == torch.tensor(table["label"].to_pylist())).sum())
    return f"resnet20_cifar: top-1 {100 * right / len(found):.2f} % on {len(found):,} images"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
