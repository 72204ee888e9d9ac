"""Weights that others trained, on the images that they were judged on; they stay outside the project."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

DATA = Path(__file__).parents[3] / "shared" / "data"
MOBILENET = DATA / "weights" / "mobilenet_v2-imagenet1k-torchvision.safetensors"
RESNET = DATA / "weights" / "resnet20-12fca82f.th"

pytestmark = pytest.mark.skipif(not (MOBILENET.exists() and RESNET.exists()), reason="the weights are not here")


@pytest.mark.parametrize(
    ("option", "top1", "top5", "candidates"), [((), 82, 94.5, 1000), (("--among-present",), 90.5, 98.5, 200)]
)
def test_a_subset_of_the_classes_of_imagenet(
    command: Callable[..., Any], option: tuple[str, ...], top1: float, top5: float, candidates: int
) -> None:
    found = command(
        "evaluate", "mobilenet_v2", "--weights", MOBILENET, DATA / "imagenet_sample", *option, "--json"
    ).json
    assert (found["images"], found["classes"], found["candidates"]) == (200, 200, candidates)
    assert found["top1"] == pytest.approx(top1, abs=0.51)  # one image
    assert found["top5"] == pytest.approx(top5, abs=0.51)


@pytest.mark.parametrize(("images", "top1"), [(2_000, 81.8), pytest.param(10_000, 81.03, marks=pytest.mark.full)])
def test_a_pickled_checkpoint_of_cifar(process: Callable[..., Any], tmp_path: Path, images: int, top1: float) -> None:
    file = next(DATA.glob("cifar10/plain_text/test-*.parquet"))
    pq.write_table(pq.read_table(file).slice(0, images), tmp_path / file.name)
    found = process("evaluate", "resnet20_cifar", "--weights", RESNET, tmp_path, "--json").json
    assert (found["split"], found["images"], found["candidates"]) == ("test", images, 10)
    assert found["top1"] == pytest.approx(top1, abs=0.051)  # one image of the fewer


def test_a_file_of_weights_is_known_by_its_hash_under_any_name(command: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "some weights.th").write_bytes(RESNET.read_bytes())
    photograph = next(DATA.glob("imagenet_sample/*/*.JPEG"))
    answer = command("predict", tmp_path / "some weights.th", photograph, "--top", 1, "--json")
    assert answer.code == 0
    assert answer.err == ""
    names = {"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"}
    assert answer.json[0]["predictions"][0]["label"] in names


def test_the_lectures_example_in_one_line(command: Callable[..., Any]) -> None:
    photograph = next((DATA / "imagenet_sample" / "n02100236").glob("*.JPEG"))
    answer = command("predict", "mobilenet_v2", "--weights", MOBILENET, photograph, "--top", 12)
    assert answer.code == 0
    lines = answer.out.splitlines()
    assert len(lines) == 13
    assert any("German short-haired pointer" in line for line in lines)
