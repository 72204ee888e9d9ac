"""Write the catalog of published weights and the lists of their classes, from the libraries that publish them.

    PYTHONPATH=../shared/peers:.:tests /tmp/peers/bin/python docs/generate_catalog.py

It runs where torchvision and timm are installed. torchvision's wheel says of each file its address (whose name holds
the first digits of its SHA-256), its preprocessing, its classes and its accuracy; timm's says of each its place on the
Hub, its licence, its preprocessing and its classes. What neither says stays empty. The two at the end are files whose
own pages say what they are.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# isort: off
import torchvision_cpu  # noqa: F401  first, so that a torchvision without its extension loads

# isort: on
import timm
import torchvision
from golden_weights import OUR_NAMES  # timm's among them
from timm.data import ImageNetInfo
from timm.models import get_pretrained_cfg, list_pretrained

import lenext
from lenext.weights.hub_config import LISTS, preprocessing

WEIGHTS = Path(__file__).parents[1] / "lenext" / "weights"
# With these weights the network itself turns what it is given into what a mean and deviation of one half would give.
TRANSFORMING = ("googlenet", "inception_v3")
VALIDATION = "ImageNet validation, one centre crop"
OWN = [
    {
        "model": "mobilenet_v2",
        "tag": "coral",
        "library": "torchvision",
        "source": "google-coral/test_data, the 8-bit TensorFlow 2 model brought to float32 in torchvision's layout",
        "sha256": "9d6e81946cf8a82d149bd33e23efd2f09fb6b80b689b4ef47ecd5ed00f55a2c2",
        "licence": "apache-2.0",
        "classes": "imagenet-1k",
        "size": 224, "resized": 256, "mean": (0.5,) * 3, "std": (0.5,) * 3,
    },
    {
        "model": "resnet20_cifar",
        "tag": "akamaster",
        "library": "pytorch_resnet_cifar10",
        "source": "akamaster/pytorch_resnet_cifar10",
        "sha256": "12fca82f0bebc4135bf1f32f6e3710e61d5108578464b84fd6d7f5c1b04036c8",
        "classes": "cifar-10",
        "size": 32, "resized": 32, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225),
        "top1": 91.73, "protocol": "CIFAR-10 test",
    },
]  # fmt: skip
CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def main() -> None:
    """Write every file."""
    rows = [*of_torchvision(), *of_timm(), *(row(**given) for given in OWN)]
    order = {name: number for number, name in enumerate(lenext.list_models())}
    # The library's own choice first, and last what has no address.
    rows.sort(
        key=lambda each: (order[each["model"]], each["url"] is None, each["hub"] is None, rank(each), each["tag"])
    )
    read_from = {"torchvision": torchvision.__version__, "timm": timm.__version__}
    lines = ",\n".join(json.dumps(each, ensure_ascii=False) for each in rows)
    text = f'{{"format": 1, "read_from": {json.dumps(read_from)}, "entries": [\n{lines}\n]}}\n'
    (WEIGHTS / "catalog.json").write_text(text, encoding="utf-8")
    for name in LISTS.values():
        write_list(name)
    (WEIGHTS / "class_lists" / "cifar-10.tsv").write_text("".join(f"\t{name}\n" for name in CIFAR10))
    print(f"{len(rows)} checkpoints of {len({each['model'] for each in rows})} architectures")


def rank(each: dict[str, Any]) -> bool:
    """Return False for the weights that timm gives to whoever asks for the architecture alone."""
    chosen = (
        get_pretrained_cfg(each["source"].partition(", ")[2].partition(".")[0]) if each["library"] == "timm" else None
    )
    return chosen is not None and each["tag"] != f"timm-{chosen.tag}"


def row(
    *, size: int, resized: int, mean: Any, std: Any, interpolation: str = "bilinear", **given: Any
) -> dict[str, Any]:
    """Return an entry of an image cut to `size` from one whose shorter side is `resized`."""
    form = {
        "size": [size, size], "channels": 3, "fit": "crop", "crop_ratio": size / resized,
        "interpolation": interpolation, "mean": list(mean), "std": list(std),
    }  # fmt: skip
    return entry(form, **given)


def entry(form: dict[str, Any], **given: Any) -> dict[str, Any]:
    """Return an entry with every field."""
    whole = {"url": None, "hub": None, "sha256": "", "licence": None, "top1": None, "top5": None, "protocol": None}
    whole |= {**given, "preprocessing": form}
    keys = ("model", "tag", "library", "source", "url", "hub", "sha256", "licence", "classes", "preprocessing")
    return {key: whole[key] for key in (*keys, "top1", "top5", "protocol")}


def of_torchvision() -> Iterator[dict[str, Any]]:
    """Yield the weights of torchvision's classifiers that lenext has."""
    models = torchvision.models
    for theirs in models.list_models(module=models):
        name = OUR_NAMES.get(theirs, theirs)
        if name not in lenext.list_models():
            continue
        for weights in models.get_model_weights(theirs):
            figures = weights.meta["_metrics"].get("ImageNet-1K", {})
            if not weights.meta["categories"] or not all(map(math.isfinite, figures.values())):
                continue  # a part of a network, without a classifier
            preset = weights.transforms.keywords
            mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
            default = weights.transforms()
            if (tuple(default.mean), tuple(default.std)) != (mean, std):
                raise ValueError(f"{weights}: another mean or deviation")
            if theirs in TRANSFORMING:
                mean = std = (0.5,) * 3
            crop = preset["crop_size"]
            yield row(
                model=name, tag=weights.name.lower().replace("imagenet1k_", "torchvision-"), library="torchvision",
                source=f"torchvision {torchvision.__version__}, {weights}", url=weights.url,
                sha256=re.search(r"-([0-9a-f]{8,})\.pth$", weights.url)[1], classes="imagenet-1k",
                size=crop, resized=default.resize_size[0], interpolation=default.interpolation.value,
                mean=mean, std=std, top1=figures["acc@1"], top5=figures["acc@5"], protocol=VALIDATION,
            )  # fmt: skip


def of_timm() -> Iterator[dict[str, Any]]:
    """Yield the weights of timm's classifiers that lenext has."""
    for full in list_pretrained():
        architecture, _, tag = full.partition(".")
        name, config = OUR_NAMES.get(architecture, architecture), get_pretrained_cfg(full)
        if name not in lenext.list_models() or config.num_classes not in LISTS or config.custom_load:
            continue
        form = preprocessing(config.to_dict())
        if form is None or (form["fit"] == "squash" and form["crop_ratio"] != 1):
            raise ValueError(f"{full}: no preprocessing that lenext has")
        yield entry(
            form, model=name, tag=f"timm-{tag}", library="timm", source=f"timm {timm.__version__}, {full}",
            hub=config.hf_hub_id, licence=config.license, classes=LISTS[config.num_classes],
        )  # fmt: skip


def write_list(name: str) -> None:
    """Write a list of classes: WordNet id, name, and for the 1,000 of ImageNet what else each is called."""
    info = ImageNetInfo(name)
    also = torchvision.models.ResNet50_Weights.DEFAULT.meta["categories"] if name == "imagenet-1k" else None
    lines = []
    for index in range(info.num_classes()):
        first, *others = info.index_to_description(index).split(", ")
        if also and also[index] not in (first, *others):
            others.append(also[index])
        lines.append("\t".join([info.index_to_label_name(index), first, *(others if also else [])]) + "\n")
    (WEIGHTS / "class_lists" / f"{name}.tsv").write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
