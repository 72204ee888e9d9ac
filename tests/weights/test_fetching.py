"""Weights by name, through the real client and a Hub on this machine."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from golden_weights import FOLDER, foreign_tensors, read_golden
from hostile import HOSTILE, MARK, lenet
from hub_server import HubServer
from launcher import Launcher
from safetensors.torch import load_file, save_file

import lenext
from lenext.errors import LenextError, UserError
from lenext.weights.fetching import fetch_url
from lenext.weights.first_hashes import require_first_hash

TIMM = "mobilenetv3_small_100.lamb_in1k"
TAG = "mobilenet_v3_small:timm-lamb_in1k"
CONFIG: dict[str, Any] = {
    "architecture": "lenet5",
    "num_classes": 10,
    "label_names": list("abcdefghij"),
    "pretrained_cfg": {
        "input_size": [1, 28, 28],
        "mean": [0.25],
        "std": [0.5],
        "crop_pct": 1.0,
        "interpolation": "bilinear",
    },
}
USE = """
import json, sys, lenext
from lenext.errors import LenextError
try:
    found = lenext.load(*sys.argv[1:2], **({"weights": sys.argv[2]} if sys.argv[2:] else {}))
except LenextError as error:
    print(json.dumps({"error": str(error), "code": error.exit_code}))
else:
    weights = float(sum(p.detach().double().sum() for p in found.model.parameters()))
    about = {"model": found.name, "classes": found.class_names[:3], "ids": found.classes.ids and found.classes.ids[:2]}
    about |= {"preprocessing": found.preprocessing.to_json(), "sum": weights, "presumed": found.presumed}
    print(json.dumps(about))
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A Hub with the weights of a LeNet-5 in each form that repositories have."""
    owner = tmp_path / "hub" / "models" / "lenext-tests"
    for name in ("tiny", "pickled", "bare", "evil", "empty"):
        (owner / name).mkdir(parents=True)
        (owner / name / "README.md").write_text(name)
    for name in ("tiny", "pickled", "evil"):
        (owner / name / "config.json").write_text(json.dumps(CONFIG))
    save_file(lenet(), owner / "tiny" / "model.safetensors")
    save_file(lenet(), owner / "bare" / "model.safetensors")
    torch.save(lenet(), owner / "pickled" / "pytorch_model.bin")
    HOSTILE["reduce_of_a_global"][2](owner / "evil" / "pytorch_model.bin")
    return tmp_path / "hub"


@pytest.fixture
def hub(root: Path) -> Iterator[HubServer]:
    with HubServer(root) as server:
        yield server


Used = Callable[..., dict[str, Any]]


@pytest.fixture
def used(launcher: Launcher) -> Used:
    """Return a function that loads weights in a new process, as the client reads its environment once, on import."""
    unset = {name: None for name in os.environ if name.upper().startswith(("HF_", "HTTP"))}

    def use(*words: str, url: str, home: Path, **environment: str) -> dict[str, Any]:
        home.mkdir(exist_ok=True)
        here = {"HF_ENDPOINT": url, "HF_HOME": home, "XDG_CACHE_HOME": home, "NO_PROXY": "*"}
        started = launcher.start(*words, cwd=home, code=USE, **{**unset, **here, **environment})
        code, err = started.wait(100), started.err.read_text()
        assert code == 0, err
        assert err == ""  # no bars and no warnings where nobody watches
        value: dict[str, Any] = json.loads(started.out.read_text())
        assert "\n" not in value.get("error", "")
        return value

    return use


def downloads(hub: HubServer) -> list[str]:
    return [request for request in hub.requests if request.startswith("GET") and "/resolve/" in request]


def test_weights_come_with_their_classes_and_preprocessing(
    used: Used, hub: HubServer, root: Path, tmp_path: Path
) -> None:
    for name, file in (("tiny", "model.safetensors"), ("pickled", "pytorch_model.bin")):
        found = used("lenet5", f"hub:lenext-tests/{name}", url=hub.url, home=tmp_path / name)
        assert found["classes"] == ["a", "b", "c"]
        assert found["presumed"] == ""
        assert found["preprocessing"]["size"] == [28, 28]
        assert (found["preprocessing"]["mean"], found["preprocessing"]["std"]) == ([0.25], [0.5])
        assert any(file in request for request in downloads(hub))
        stored = root / "models/lenext-tests" / name / file
        tensors = load_file(stored) if file.endswith("safetensors") else torch.load(stored, weights_only=True)
        assert found["sum"] == pytest.approx(sum(float(tensor.double().sum()) for tensor in tensors.values()), abs=1e-3)


def test_without_settings_what_is_taken_is_said(used: Used, hub: HubServer, tmp_path: Path) -> None:
    found = used("lenet5", "hub:lenext-tests/bare", url=hub.url, home=tmp_path / "home")
    assert (
        "hub:lenext-tests/bare says nothing usable of what it is for: taken are classes without names"
        in found["presumed"]
    )


def test_weights_are_downloaded_once_and_used_without_the_hub(used: Used, root: Path, tmp_path: Path) -> None:
    home, weights = tmp_path / "home", "hub:lenext-tests/tiny"
    with HubServer(root) as hub:
        first = used("lenet5", weights, url=hub.url, home=home)
        before = len(downloads(hub))
        assert used("lenet5", weights, url=hub.url, home=home) == first
        assert len(downloads(hub)) == before
    assert used("lenet5", weights, url=hub.url, home=home) == first  # the server is gone
    assert used("lenet5", weights, url=hub.url, home=home, HF_HUB_OFFLINE="1") == first
    with HubServer(root) as hub:
        hub.status = 429  # too many requests
        assert used("lenet5", weights, url=hub.url, home=home) == first
    for environment in ({}, {"HF_HUB_OFFLINE": "1"}):
        other = used("lenet5", weights, url=hub.url, home=tmp_path / "other", **environment)
        assert other["code"] == 2
        assert "hub:lenext-tests/tiny is not in the cache, and the Hub cannot be reached" in other["error"]


def test_the_cache_is_the_one_of_other_programs(used: Used, hub: HubServer, tmp_path: Path) -> None:
    used("lenet5", "hub:lenext-tests/tiny", url=hub.url, home=tmp_path / "home")
    code = "import huggingface_hub as h; print(h.try_to_load_from_cache('lenext-tests/tiny', 'model.safetensors'))"
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "HF_HOME": str(tmp_path / "home")}, capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    assert Path(done.stdout.strip()).is_file()


def test_a_broken_download_goes_on_where_it_broke_off(used: Used, hub: HubServer, tmp_path: Path) -> None:
    home, weights = tmp_path / "home", "hub:lenext-tests/tiny"
    hub.limits["model.safetensors"] = 100_000
    broken = used("lenet5", weights, url=hub.url, home=home)
    assert broken["code"] == 1, broken["error"]
    assert "broke off after 100,000 bytes" in broken["error"]
    assert "the same command goes on from there" in broken["error"]
    (partial,) = home.rglob("*.incomplete")
    assert partial.stat().st_size == 100_000
    hub.limits.clear()
    hub.requests.clear()
    assert used("lenet5", weights, url=hub.url, home=home)["classes"] == ["a", "b", "c"]
    (request,) = (request for request in downloads(hub) if "model.safetensors" in request)
    assert request.endswith("from 100000")
    assert not list(home.rglob("*.incomplete*"))


def test_another_file_than_the_hub_states_is_not_kept(used: Used, hub: HubServer, root: Path, tmp_path: Path) -> None:
    home, weights = tmp_path / "home", "hub:lenext-tests/tiny"
    hub.stated["model.safetensors"] = "0" * 64
    wrong = used("lenet5", weights, url=hub.url, home=home)
    assert wrong["code"] == 1
    assert f"not {'0' * 64} as the Hub states; nothing of it was kept, try again" in wrong["error"]
    assert not [path for path in home.rglob("*") if path.is_file() and path.stat().st_size > 100_000]
    hub.stated["config.json"] = "0" * 40  # git's
    assert "config.json has the hash" in used("lenet5", weights, url=hub.url, home=tmp_path / "other")["error"]
    hub.stated.clear()
    assert "error" not in used("lenet5", weights, url=hub.url, home=home)


def test_a_partial_download_that_is_not_of_this_file_is_not_kept(used: Used, hub: HubServer, tmp_path: Path) -> None:
    home, weights = tmp_path / "home", "hub:lenext-tests/tiny"
    hub.limits["model.safetensors"] = 1000
    used("lenet5", weights, url=hub.url, home=home)
    (partial,) = home.rglob("*.incomplete")
    partial.write_bytes(b"x" * 1000)
    hub.limits.clear()
    assert "nothing of it was kept" in used("lenet5", weights, url=hub.url, home=home)["error"]
    assert "error" not in used("lenet5", weights, url=hub.url, home=home)


def test_a_cached_file_that_has_changed_is_told(used: Used, hub: HubServer, tmp_path: Path) -> None:
    home, weights = tmp_path / "home", "hub:lenext-tests/tiny"
    used("lenet5", weights, url=hub.url, home=home)
    (blob,) = (path.resolve() for path in home.rglob("snapshots/*/model.safetensors"))
    data = bytearray(blob.read_bytes())
    data[-1] ^= 1
    blob.write_bytes(data)
    changed = used("lenet5", weights, url=hub.url, home=home)
    assert changed["code"] == 1
    assert f"it has changed since: move {blob} away" in changed["error"]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ("hub:lenext-tests/nothing", "the Hub has no such repository, or it is private"),
        ("hub:lenext-tests/tiny@v9", "the repository has no such revision"),
        ("hub:lenext-tests/empty", "holds no model.safetensors or pytorch_model.bin"),
        ("hub:tiny", "'hub:tiny' names no repository of the Hub; write hub:owner/name"),
        ("hub:../../etc/passwd", "names no repository"),
        ("hub:", "names no repository"),
        ("hub:a/b--c", "hub:a/b--c cannot be the name of a repository"),
        ("hub:lenext-tests/evil", "names os.system, and loading that could run code"),
    ],
)
def test_what_the_hub_has_not_is_told(
    used: Used, hub: HubServer, root: Path, tmp_path: Path, weights: str, message: str
) -> None:
    found = used("lenet5", weights, url=hub.url, home=tmp_path / "home")
    assert message in found["error"]
    assert found["code"] == 2
    assert not list(root.rglob(MARK))


def test_a_folder_of_a_repository_is_weights_too(root: Path, tmp_path: Path) -> None:
    found = lenext.load("lenet5", weights=root / "models/lenext-tests/tiny")
    assert found.class_names == tuple("abcdefghij")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"architecture": "tf_efficientnet_b0"}, "is of 'tf_efficientnet_b0', which lenext does not have"),
        ({"architecture": "resnetblur50"}, "is of 'resnetblur50', which lenext does not have"),
        ({"architecture": "mobilenetv2_100"}, "holds a mobilenet_v2, not a lenet5"),
    ],
)
def test_settings_of_another_network_are_refused(root: Path, change: dict[str, Any], message: str) -> None:
    """Some have the same tensors and compute something else."""
    folder = root / "models/lenext-tests/tiny"
    (folder / "config.json").write_text(json.dumps({**CONFIG, **change}))
    with pytest.raises(UserError, match=message):
        lenext.create("lenet5", weights=folder)


@pytest.mark.parametrize(
    "change",
    [
        {"pretrained_cfg": {**CONFIG["pretrained_cfg"], "mean": ["x"]}},
        {"pretrained_cfg": {**CONFIG["pretrained_cfg"], "std": [0.0]}},
        {"pretrained_cfg": {**CONFIG["pretrained_cfg"], "crop_pct": 0}},
        {"pretrained_cfg": {**CONFIG["pretrained_cfg"], "crop_mode": "squash", "crop_pct": 0.9}},
        {"pretrained_cfg": {**CONFIG["pretrained_cfg"], "interpolation": "hamming"}},
        {"pretrained_cfg": {**CONFIG["pretrained_cfg"], "input_size": [1, 0, 28]}},
        {"pretrained_cfg": [1, 2]},
    ],
)
def test_settings_that_mean_nothing_are_presumed(root: Path, change: dict[str, Any]) -> None:
    folder = root / "models/lenext-tests/tiny"
    (folder / "config.json").write_text(json.dumps({**CONFIG, **change}))
    found = lenext.load(folder)
    assert "taken are mean and deviation of ImageNet" in found.presumed
    assert found.class_names == tuple("abcdefghij")


@pytest.mark.parametrize("text", ["", "[1]", "{", '{"a": ' + "[" * 100_000])
def test_settings_that_are_no_json_object_are_damaged(root: Path, text: str) -> None:
    folder = root / "models/lenext-tests/tiny"
    (folder / "config.json").write_text(text)
    with pytest.raises(UserError, match=r"config\.json is damaged"):
        lenext.load(folder)


def test_labels_that_are_wordnet_ids_have_names(root: Path) -> None:
    folder = root / "models/lenext-tests/tiny"
    ids = [f"n0{number}" for number in range(1440764, 1440764 + 9)] + ["n01443537"]
    (folder / "config.json").write_text(json.dumps({**CONFIG, "label_names": ids}))
    classes = lenext.load(folder).classes
    assert (classes.names[0], classes.names[1], classes.names[9]) == ("tench", "n01440765", "goldfish")
    assert classes.ids == tuple(ids)


@pytest.mark.parametrize(
    "text", ["{", '{"format": 1}', '{"format": 1, "files": [1]}', '{"format": 1, "files": {"a": 1}}']
)
def test_a_damaged_record_of_hashes_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "lenext").mkdir()
    (tmp_path / "lenext" / "first-hashes.json").write_text(text)
    with pytest.raises(UserError, match="is damaged"):
        require_first_hash("hub:a/b", "0" * 64)


def test_a_name_of_the_catalog_leads_to_the_hub_and_its_first_hash_is_kept(
    used: Used, hub: HubServer, root: Path, tmp_path: Path
) -> None:
    folder = root / "models" / "timm" / TIMM
    folder.mkdir(parents=True)
    tensors = foreign_tensors(read_golden(FOLDER / "timm-mobilenetv3_small_100.json"))
    save_file(tensors, folder / "model.safetensors")
    home = tmp_path / "home"
    for words in ((TAG,), ("mobilenet_v3_small", TAG), (f"hub:timm/{TIMM}",)):
        found = used(*words, url=hub.url, home=home)
        assert "error" not in found, found["error"]
        assert (found["model"], found["presumed"]) == ("mobilenet_v3_small", "")
        assert (found["classes"][0], found["ids"][0]) == ("tench", "n01440764")
        assert found["preprocessing"]["interpolation"] == "bicubic"
    other = used("mobilenet_v2", TAG, url=hub.url, home=home)
    assert other["error"] == f"{TAG} holds a mobilenet_v3_small, not a mobilenet_v2"
    record = json.loads((home / "lenext" / "first-hashes.json").read_text())
    (first,) = record["files"].values()
    assert first["sha256"] == hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    tensors["classifier.bias"] += 1
    save_file(tensors, folder / "model.safetensors")
    changed = used(TAG, url=hub.url, home=home)
    assert changed["code"] == 1
    assert "is not the file of the first download on" in changed["error"]


def test_files_of_torchvision_are_fetched_and_held_against_their_hash(
    hub: HubServer, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = root / "plain" / "models"
    plain.mkdir(parents=True)
    torch.save(lenet(), plain / "lenet5.pth")
    digest = hashlib.sha256((plain / "lenet5.pth").read_bytes()).hexdigest()
    url = "https://download.pytorch.org/models/lenet5.pth"
    monkeypatch.setenv("LENEXT_PYTORCH_ENDPOINT", hub.url)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("NO_PROXY", "*")
    with pytest.raises(LenextError, match=r"has the SHA-256 .*, not 00000000\.\.\. as the catalog says; nothing of it"):
        fetch_url(url, "00000000")
    cache = tmp_path / "torch" / "hub" / "checkpoints"
    assert not list(cache.iterdir())
    (cache / "lenet5.pth.incomplete").write_bytes((plain / "lenet5.pth").read_bytes()[:5000])
    path = fetch_url(url, digest[:8])
    assert hub.requests[-1].endswith("lenet5.pth from 5000")
    assert path.read_bytes() == (plain / "lenet5.pth").read_bytes()
    assert sorted(cache.iterdir()) == [path]
    hub.requests.clear()
    assert fetch_url(url, digest[:8]) == path
    assert hub.requests == []
    path.write_bytes(b"changed")
    with pytest.raises(LenextError, match=r"it has changed since: move .*lenet5\.pth away"):
        fetch_url(url, digest[:8])
    with pytest.raises(UserError, match=r"and cannot be fetched: .*404"):
        fetch_url(url.replace("lenet5", "nothing"), digest[:8])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("LENEXT_PYTORCH_ENDPOINT", f"http://127.0.0.1:{free.getsockname()[1]}")
        with pytest.raises(UserError, match=r"alexnet\.pth is not in .*checkpoints, and cannot be fetched"):
            fetch_url(url.replace("lenet5", "alexnet"), digest[:8])
