"""`lenext probe`: backbones ranked on a user's images, and the best one kept with its head."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pictures import class_folder, png, stripes

import lenext
from lenext.data.holdout import digest
from lenext.errors import UserError
from lenext.transfer.backbones import find_backbones
from lenext.transfer.probing import probe

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_the_better_backbone_comes_first(digits_run: Path, tmp_path: Path, command: Callable[..., Any]) -> None:
    lenext.train("digits", "lenet5", epochs=1, lr=1e-9, out=tmp_path / "random")
    words = ["probe", "digits", "--models", f"{tmp_path / 'random'},{digits_run}", "--images", 300, "--json"]
    answer = command(*words)
    assert answer.code == 0, answer.err
    said = answer.json
    assert [each["called"] for each in said["models"]] == [str(digits_run), str(tmp_path / "random")]
    best = said["models"][0]
    assert said["images"] == 300
    assert said["folds"] == 5
    assert {head["head"] for head in best["heads"]} == {"logistic", "knn", "mean"}
    assert best["top1"] == max(head["top1"] for head in best["heads"]) > 85
    low, high = best["top1_interval"]
    assert low < best["top1"] < high
    assert said["models"][1]["versus_best"].startswith("the difference is more than chance")
    assert "was trained on" in answer.err
    again = command(*words).json
    assert all(each["kept"] for each in again["models"])
    assert [each["top1"] for each in again["models"]] == [each["top1"] for each in said["models"]]


def test_the_best_is_kept_with_its_head(digits_run: Path, tmp_path: Path, command: Callable[..., Any]) -> None:
    out = tmp_path / "best.safetensors"
    answer = command("probe", "digits", "--models", digits_run, "--images", 200, "--heads", "logistic", "--out", out)
    assert answer.code == 0, answer.err
    found = lenext.evaluate(out, "digits", split="all")
    assert found.top1 > 90
    kept = lenext.load(out)
    assert kept.metadata["figures"]["split"] == "crosswise"
    before = lenext.load(digits_run).model.state_dict()
    for name, value in kept.model.state_dict().items():
        assert name.startswith("head.classifier") != value.equal(before[name])
    assert command("probe", "digits", "--models", digits_run, "--out", out).code == 2  # nothing is written over


def test_every_image_is_judged_by_others_and_copies_count_once(digits_run: Path, tmp_path: Path) -> None:
    photos = class_folder(tmp_path / "photos", images=12)
    copy = next((photos).rglob("*.png"))
    for number in range(3):
        copy.with_name(f"copy{number}.png").write_bytes(copy.read_bytes())
    found = probe(photos, str(digits_run), folds=3)
    names = list(photos.rglob("*.png"))
    assert found.images == len({digest(path) for path in names})
    assert found.duplicates == len(names) - found.images
    assert len(found.models[0].best.right) == found.images


def test_those_of_test_take_no_part(digits_run: Path, tmp_path: Path) -> None:
    for split, images in {"train": 8, "val": 12, "test": 16}.items():
        class_folder(tmp_path / "photos" / split, images=images)
    found = probe(tmp_path / "photos", str(digits_run), folds=2)
    assert found.splits == ("train", "val")
    assert (found.images, found.duplicates) == (24, 16)
    assert probe(tmp_path / "photos", str(digits_run), folds=2, split="test").splits == ("test",)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--models", ""], "no backbone is given"),
        (["--models", "resnet19"], "no model is called 'resnet19'; did you mean"),
        (["--models", "lenet5"], "the catalog has no weights of lenet5; give a file of some as lenet5=FILE"),
        (["--models", "lenet5="], "lenet5= says no weights"),
        (["--models", "RUN,lenet5=nowhere.pth"], "there are no weights at 'nowhere.pth'"),
        (["--models", "resnet18,resnet18"], "is given twice"),
        (["--models", "resnet18,lenet5", "--weights", "a.pth"], "are those of one network"),
        (["--models", "RUN", "--heads", "forest"], "no head is called 'forest'; there are logistic, knn, mean"),
        (["--models", "RUN", "--folds", "1"], "folds 1 cannot be"),
        (["--models", "RUN", "--split", "test"], "has no split 'test'; it has all"),
        (["--models", "RUN", "--views", "dense"], "views dense are of the dense form"),
        (["--models", "RUN", "--folds", "500"], "fewer than the 500 folds"),
        (["--models", "RUN", "--out", "a.onnx"], "a.onnx cannot hold weights"),
        (["--models", "RUN", "--heads", "knn", "--out", "a.safetensors"], "knn alone are to be fitted; add logistic"),
    ],
)
def test_what_cannot_be_is_told(
    words: list[str], told: str, digits_run: Path, command: Callable[..., Any], tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = command("probe", "digits", *[word.replace("RUN", str(digits_run)) for word in words])
    assert answer.code == 2
    assert told in answer.err
    assert answer.err.count("\n") == 1


def test_a_network_without_a_dense_layer_at_its_end_is_ranked_but_not_kept(tmp_path: Path) -> None:
    photos = class_folder(tmp_path / "photos", images=10)
    run = lenext.train(photos, "nin_cifar", epochs=1, out=tmp_path / "nin", options={"dropout": 0.0}).run
    assert probe(photos, run, folds=2).models[0].dimensions == 192
    with pytest.raises(UserError, match="nin_cifar does not end in a dense layer"):
        probe(photos, run, folds=2, out=tmp_path / "a.safetensors")


def test_backbones_by_name(digits_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.pth").touch()
    found = find_backbones([str(digits_run), "resnet18:torchvision-v1", "mobilenet_v2=a.pth", "vgg16"])
    assert [(each.target, each.weights) for each in found] == [
        (str(digits_run), None), ("resnet18:torchvision-v1", None), ("mobilenet_v2", "a.pth"),
        ("vgg16:torchvision-v1", None),
    ]  # fmt: skip


def test_features_are_written_with_all_that_is_known(
    digits_run: Path, tmp_path: Path, command: Callable[..., Any]
) -> None:
    from pyarrow import parquet as pq

    table, arrays, picture = tmp_path / "f.parquet", tmp_path / "f.npz", tmp_path / "f.svg"
    said = command(
        "features", digits_run, "digits", "--out", table, "--picture", picture, "--projection", "pca", "--json"
    )
    assert said.json["images"] == 1797
    assert said.json["dimensions"] == 84
    read = pq.read_table(table)
    assert read.column_names == ["image", "split", "label", "digest", "embedding"]
    about = json.loads(read.schema.metadata[b"lenext"])
    assert about["format"] == 1
    assert (about["model"], about["stage"], about["dimensions"]) == ("lenet5", None, 84)
    assert picture.read_text().count("<use") > 1797
    assert command("features", digits_run, "digits", "--out", arrays, "--stage", 1).code == 0
    with np.load(arrays, allow_pickle=False) as found:
        assert found["embedding"].shape == (1797, 16 * 25)
        assert found["class_names"][found["label"][0]] == read["label"][0].as_py()
        assert found["image"][5] == read["image"][5].as_py()
    found_here = lenext.features(digits_run, "digits")
    np.testing.assert_array_equal(np.stack(read["embedding"].to_numpy()), found_here.values)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "give --out FILE for the embeddings"),
        (["--out", "f.csv"], "f.csv cannot hold embeddings; give a name that ends in .parquet or .npz"),
        (["--picture", "f.txt"], "f.txt cannot hold a picture"),
        (["--out", "f.npz", "--stage", "2"], "stage 2 is out of range: the stages of lenet5 are 0 to 1"),
        (["--out", "f.npz", "--split", "val"], "has no split 'val'; it has all"),
    ],
)
def test_features_that_cannot_be_are_told(
    words: list[str], told: str, digits_run: Path, command: Callable[..., Any], tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = command("features", digits_run, "digits", *words)
    assert answer.code == 2
    assert told in answer.err
    assert not list(tmp_path.glob("f.*"))


def test_a_second_probe_decodes_nothing(digits_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = class_folder(tmp_path / "photos", images=12)
    (photos / "upright" / "broken.png").write_bytes(b"no image")
    (photos / "lying" / "gone.png").symlink_to(tmp_path / "nowhere")
    first = probe(photos, str(digits_run), folds=3)
    assert len(first.skipped_files) >= 1

    def decoded(*_: Any, **__: Any) -> None:
        raise AssertionError("decoded")

    with monkeypatch.context() as patched:
        for name in ("read_split", "ImagesOnDisk.image"):
            patched.setattr(f"lenext.transfer.rereading.{name}", decoded)
        again = probe(photos, str(digits_run), folds=3)
        (photos / "upright" / "more.png").write_bytes(png(stripes(999, upright=True)))
        with pytest.raises(AssertionError, match="decoded"):
            probe(photos, str(digits_run), folds=3)
    assert again.models[0].kept
    assert again.skipped_files == first.skipped_files
    assert again.models[0].best.top1 == first.models[0].best.top1
    for path in (tmp_path / "cache").rglob("*.npz"):
        path.write_bytes(path.read_bytes()[:-30])
    (photos / "upright" / "more.png").unlink()
    assert probe(photos, str(digits_run), folds=3).images == first.images


def test_kept_embeddings_that_are_damaged_are_made_anew(digits_run: Path, tmp_path: Path) -> None:
    photos = class_folder(tmp_path / "photos", images=12)
    first = probe(photos, str(digits_run), folds=3)
    (path,) = (tmp_path / "cache").rglob("*.f32")
    path.write_bytes(path.read_bytes()[:-1])
    again = probe(photos, str(digits_run), folds=3).models[0]
    assert not again.kept
    assert again.best.top1 == first.models[0].best.top1
