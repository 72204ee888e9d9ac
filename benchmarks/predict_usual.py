"""The other side of `predicting.py`: naming what is in photos as PyTorch's own examples do it.

torchvision's transforms on one image at a time, a DataLoader with two workers, batches of 32, float32, eager. It runs
with the Python of an environment that has torchvision, and writes the five most probable classes of each image.

    PEERS_PYTHON benchmarks/predict_usual.py mobilenet_v2 weights.safetensors FOLDER out.jsonl --shared ../shared
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from pathlib import Path
from typing import Any

BATCH, WORKERS = 32, 2
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def torchvision_of(shared: str) -> Any:
    """Import torchvision, through the stand-in for its compiled part where that cannot be loaded."""
    sys.path.insert(0, str(Path(shared) / "peers"))
    importlib.import_module("torchvision_cpu")
    return importlib.import_module("torchvision")


def photos(folder: str, transform: Any) -> Any:
    """Return a dataset of the files of a folder, in order."""
    from PIL import Image
    from torch.utils.data import Dataset

    paths = sorted(Path(folder).iterdir())

    class Photos(Dataset[Any]):
        def __len__(self) -> int:
            return len(paths)

        def __getitem__(self, index: int) -> Any:
            with Image.open(paths[index]) as image:
                return transform(image.convert("RGB"))

    return Photos(), paths


def main() -> None:
    """Answer every photo of a folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("weights")
    parser.add_argument("folder")
    parser.add_argument("out")
    parser.add_argument("--shared", default="../shared", help="the folder that holds peers/")
    asked = parser.parse_args()
    import torch
    from safetensors.torch import load_file
    from torch.utils.data import DataLoader

    torchvision = torchvision_of(asked.shared)
    t = torchvision.transforms
    transform = t.Compose([t.Resize(256), t.CenterCrop(224), t.ToTensor(), t.Normalize(MEAN, STD)])
    model = torchvision.models.get_model(asked.model, weights=None)
    model.load_state_dict(load_file(asked.weights))
    model.eval()
    data, paths = photos(asked.folder, transform)
    names = iter(paths)
    with torch.inference_mode(), Path(asked.out).open("w") as out:
        for images in DataLoader(data, BATCH, num_workers=WORKERS):
            found = model(images).softmax(1).topk(5)
            for values, classes in zip(found.values.tolist(), found.indices.tolist(), strict=True):
                out.write(json.dumps({"image": str(next(names)), "classes": classes, "probabilities": values}) + "\n")


if __name__ == "__main__":
    main()
