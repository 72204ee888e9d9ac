"""Datasets of the Hub, through the real `datasets` library and a Hub on this machine."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hub_server import HubServer
from numpy.typing import NDArray
from pictures import png
from pyarrow import parquet as pq

from lenext.data.opening import open_source
from lenext.errors import UserError

CLASS_NAMES = ["square", "circle", "triangle"]  # in no alphabetical order, so that sorting them would show
TRAIN, TEST = [0, 1, 2, 2, 1], [2, 0, 1]

OPEN = """
import json, sys
from lenext.data.decode import ImageForm, decode
from lenext.data.opening import open_source
from lenext.errors import UserError
try:
    source = open_source(sys.argv[1])
except UserError as error:
    print(json.dumps({"error": str(error)}))
else:
    labels = {name: split.labels.tolist() for name, split in source.splits.items()}
    form = ImageForm(size=(8, 8))
    pixels = {name: [decode(item, form).tolist() for item in split.items] for name, split in source.splits.items()}
    print(json.dumps({"class_names": source.class_names, "labels": labels, "pixels": pixels}))
"""


@dataclass(frozen=True)
class Opened:
    """What opening a dataset came to in its own process; `error` is empty where it went well."""

    class_names: list[str]
    labels: dict[str, list[int]]
    pixels: dict[str, Any]
    error: str
    stderr: str


def opened(location: str, url: str, home: Path, **environment: str) -> Opened:
    """Open a dataset in a new process, as the Hub's libraries read their environment once, on import."""
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(("HF_", "HTTP"))}
    home.mkdir(exist_ok=True)
    result = subprocess.run(
        [sys.executable, "-c", OPEN, location],
        env=kept | {"HF_ENDPOINT": url, "HF_HOME": str(home), "NO_PROXY": "*", **environment},
        cwd=home, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    nothing = {"class_names": [], "labels": {}, "pixels": {}, "error": ""}
    return Opened(**nothing | json.loads(result.stdout), stderr=result.stderr)


def pictures(labels: list[int]) -> NDArray[np.uint8]:
    """Return the pixels of a split, uint8 (N, 8, 8, 3), which its labels decide."""
    return np.random.default_rng(labels).integers(0, 256, (len(labels), 8, 8, 3), np.uint8)


def write_shard(path: Path, labels: list[int]) -> None:
    """Write a split as the Hub keeps it: images as bytes and name, and what the columns mean in the schema."""
    images = [{"bytes": png(pixels), "path": f"{i}.png"} for i, pixels in enumerate(pictures(labels))]
    schema = pa.schema(
        {"image": pa.struct({"bytes": pa.binary(), "path": pa.string()}), "label": pa.int64()},
        {"huggingface": json.dumps({"info": {"features": {
            "image": {"_type": "Image"}, "label": {"names": CLASS_NAMES, "_type": "ClassLabel"},
        }}})},
    )  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"image": images, "label": labels}, schema), path)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("hub")
    owner = root / "datasets" / "lenext-tests"
    write_shard(owner / "shapes/data/train-00000-of-00001.parquet", TRAIN)
    write_shard(owner / "shapes/data/test-00000-of-00001.parquet", TEST)
    write_shard(owner / "folds/data/fold1-00000-of-00001.parquet", TRAIN)
    write_shard(owner / "folds/data/fold2-00000-of-00001.parquet", TEST)
    for name, labels in {"large": TRAIN, "small": TEST}.items():
        write_shard(owner / f"sizes/{name}/train-00000-of-00001.parquet", labels)
    configurations = "".join(f"- config_name: {name}\n  data_dir: {name}\n" for name in ("large", "small"))
    (owner / "sizes/README.md").write_text(f"---\nconfigs:\n{configurations}---\n# Sizes\n")
    return root


@pytest.fixture
def hub(root: Path) -> Iterator[HubServer]:
    with HubServer(root) as server:
        yield server


def test_a_dataset_opens_with_its_classes_splits_labels_and_pixels(hub: HubServer, tmp_path: Path) -> None:
    shapes = opened("hub:lenext-tests/shapes", hub.url, tmp_path)
    assert shapes.error == ""
    assert shapes.class_names == CLASS_NAMES
    assert shapes.labels == {"train": TRAIN, "test": TEST}
    np.testing.assert_array_equal(shapes.pixels["train"], pictures(TRAIN))
    np.testing.assert_array_equal(shapes.pixels["test"], pictures(TEST))
    assert shapes.stderr == ""  # no progress bars where nobody watches


def test_a_dataset_is_downloaded_once_and_opens_without_the_hub(root: Path, tmp_path: Path) -> None:
    with HubServer(root) as hub:
        first = opened("hub:lenext-tests/shapes", hub.url, tmp_path)
        assert len([line for line in hub.requests if line.startswith("GET") and line.endswith(".parquet")]) == 2
        hub.requests.clear()
        again = opened("hub:lenext-tests/shapes", hub.url, tmp_path)
        assert not [line for line in hub.requests if line.endswith(".parquet")]
    offline = opened("hub:lenext-tests/shapes", hub.url, tmp_path, HF_HUB_OFFLINE="1")
    start = time.monotonic()
    unreachable = opened("hub:lenext-tests/shapes", hub.url, tmp_path)
    assert time.monotonic() - start < 20
    for later in (again, offline, unreachable):
        assert later.error == ""
        assert (later.class_names, later.labels, later.pixels) == (first.class_names, first.labels, first.pixels)


def test_splits_of_unknown_names_are_one(hub: HubServer, tmp_path: Path) -> None:
    folds = opened("hub:lenext-tests/folds", hub.url, tmp_path)
    assert folds.labels == {"all": TRAIN + TEST}
    np.testing.assert_array_equal(folds.pixels["all"], np.concatenate([pictures(TRAIN), pictures(TEST)]))


def test_several_configurations_ask_for_a_choice(hub: HubServer, tmp_path: Path) -> None:
    error = opened("hub:lenext-tests/sizes", hub.url, tmp_path).error
    assert "'large', 'small'" in error
    assert error.endswith("; write hub:lenext-tests/sizes:CONFIGURATION")
    error = opened("hub:lenext-tests/sizes:medium", hub.url, tmp_path).error
    assert "'medium' not found" in error
    assert "'large', 'small'" in error
    assert opened("hub:lenext-tests/sizes:small", hub.url, tmp_path).labels == {"train": TEST}


def test_a_dataset_that_the_hub_does_not_have(hub: HubServer, tmp_path: Path) -> None:
    missing = opened("hub:lenext-tests/nothing", hub.url, tmp_path)
    assert missing.error.startswith("cannot open hub:lenext-tests/nothing: ")
    assert "doesn't exist" in missing.error
    assert len(missing.error) < 200
    assert "\n" not in missing.error
    assert missing.stderr == ""


@pytest.mark.parametrize("listens", [False, True], ids=["refuses", "is silent"])
def test_a_hub_that_cannot_be_reached_and_no_cache(tmp_path: Path, listens: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        if not listens:
            server.close()
        start = time.monotonic()
        error = opened("hub:lenext-tests/shapes", url, tmp_path, HF_HUB_ETAG_TIMEOUT="1").error
        assert time.monotonic() - start < 20
    assert error.startswith(f"hub:lenext-tests/shapes is not in the cache, and the Hub cannot be reached: {url}: ")
    assert "\n" not in error


def test_no_datasets_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UserError, match=r"hub:lenext-tests/shapes needs .* pip install 'lenext\[hub\]'"):
        open_source("hub:lenext-tests/shapes")


@pytest.mark.parametrize("location", ["hub:", "hub:csv", "hub:a/b/c", "hub:/data/b", "hub:a/b c", "hub:../b"])
def test_names_that_are_none(location: str) -> None:
    with pytest.raises(UserError, match="write hub:owner/name"):
        open_source(location)


def test_a_folder_of_the_same_name_is_not_mistaken_for_the_dataset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lenext-tests" / "shapes").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="could also be the folder 'lenext-tests/shapes'"):
        open_source("hub:lenext-tests/shapes")
