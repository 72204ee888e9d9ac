"""`lenext describe`, `lenext compare` and the filters of `lenext models`."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Answer

import lenext

Command = Callable[..., Answer]


def test_describe_gives_every_figure_of_the_contract(command: Command) -> None:
    answer = command("describe", "alexnet_96", "--batch", 128, "--classes", 10, "--size", "224x256", "--json")
    assert answer.code == 0
    value = answer.json
    assert {"schema", "model", "input", "layers", "total"} <= set(value)
    assert (value["model"], value["input"]) == ("alexnet_96", [128, 3, 224, 256])
    for layer in value["layers"]:
        assert {
            "path", "kind", "output", "params", "macs", "activations", "receptive_field", "stride", "batch",
        } <= set(layer)  # fmt: skip
        assert set(layer["batch"]) == {"flops", "activation_bytes", "training_activation_bytes"}
    total = value["total"]
    assert {"params", "macs", "activations", "parameter_bytes", "batch"} <= set(total)
    assert set(total["batch"]) == {"flops", "activation_bytes", "training_activation_bytes", "training_bytes"}
    assert set(total["batch"]["training_bytes"]) == {"sgd", "momentum", "adam"}
    assert total["batch"]["flops"] == 2 * 128 * total["macs"]
    assert value["layers"][-1]["output"] == [10]


def test_describe_as_a_table(command: Command) -> None:
    out = command("describe", "vgg16", "--batch", 128).out
    assert "vgg16 on 3x224x224; memory: activations with gradients of 128 images" in out
    assert re.search(r"  conv1\.conv  Conv2d +64x224x224 +1,792 +86\.704 M +22\.196 G +0\.6 % .*3,136\.0 MiB +3", out)
    assert re.search(r"conv2\.conv  Conv2d +64x224x224 +36,928 +1\.850 G +473\.520 G +█▎ +12\.0 % ", out)
    assert re.search(r"^stages\.1 +128x112x112 +221,440", out, re.MULTILINE)
    assert "parameters     138,357,544, 527.8 MiB" in out
    assert "multiply-adds  15.470 G an image; 3,960.388 GFLOP a batch of 128, at 2 a multiply-add" in out
    assert "16,844.6 MiB (adam)" in out
    assert "not run        stages.1.auxiliary: 6,379,728 parameters" in command("describe", "googlenet").out


def test_describe_folds_to_a_depth(command: Command) -> None:
    lines = command("describe", "googlenet", "--depth", 1).out.splitlines()
    assert [line.split()[0] for line in lines[3:8]] == ["stem", "stages.0", "stages.1", "stages.2", "head"]
    assert lines[8] == ""


def test_a_narrow_terminal_loses_columns_not_figures(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lenext.cli.describe.room", lambda: 80)
    out = command("describe", "vgg11").out
    table = out.split("\n\n")[1].splitlines()
    assert max(len(line.rstrip()) for line in table) <= 80
    assert "offset" not in table[0]
    assert "parameters" in table[0]


def test_describe_writes_a_table_for_other_programs(command: Command, tmp_path: Path) -> None:
    target = tmp_path / "cost.csv"
    answer = command("describe", "lenet5", "--csv", target)
    assert answer.code == 0
    assert f"wrote {target}" in answer.err
    rows = list(csv.DictReader(target.read_text().splitlines()))
    assert [row["kind"] for row in rows] == ["Conv2d", "MaxPool2d", "Conv2d", "MaxPool2d", "Linear", "Linear", "Linear"]
    before = target.read_text()
    again = command("describe", "mlp", "--csv", target)
    assert again.code == 2
    assert "is there already; give another name" in again.err
    assert target.read_text() == before
    assert "there is no folder" in command("describe", "mlp", "--csv", tmp_path / "nowhere" / "cost.csv").err


def test_compare(command: Command, tmp_path: Path) -> None:
    value = command("compare", "alexnet", "alexnet_96", "googlenet", "--batch", 128, "--json").json
    assert [row["name"] for row in value] == ["alexnet", "alexnet_96", "googlenet"]
    for row in value:
        assert row["schema"] == 1
        assert {"year", "params", "macs", "activations", "training_bytes", "error"} <= set(row)
    assert value[1]["error"] is None
    assert value[0]["error"] == {
        "top1": 43.5, "top5": 20.9, "protocol": "one crop", "dataset": "ImageNet", "source": "torchvision",
    }  # fmt: skip
    names = ("alexnet", "alexnet_96", "googlenet", "nin_cifar")
    answer = command("compare", *names, "--chart", tmp_path / "chart.svg")
    assert answer.code == 0
    assert re.search(r"alexnet +2014 +224x224 +61,100,840 +714\.188 M .* 43\.50 % +20\.90 % +one crop", answer.out)
    assert "CIFAR-10, with augmentation" in answer.out
    lacking = "not in the chart, for want of an error that compares: "
    assert f"{lacking}alexnet_96, googlenet\n" in answer.err
    assert (tmp_path / "chart.svg").read_text().startswith("<?xml")
    answer = command("compare", *names, "--chart", tmp_path / "top5.png", "--error", "top5")
    assert f"{lacking}alexnet_96, nin_cifar\n" in answer.err
    assert (tmp_path / "top5.png").read_bytes().startswith(b"\x89PNG")


def test_models_are_filtered_and_sorted(command: Command) -> None:
    def names(*words: str) -> list[str]:
        return [row["name"] for row in command("models", *words, "--json").json]

    assert names("--family", "nin") == ["nin_cifar", "nin_imagenet"]
    assert set(names("--year", "2013")) == {"zfnet", "overfeat_fast", "overfeat_accurate", "nin_cifar", "nin_imagenet"}
    assert names("--year", "-1998") == [*lenext.list_models(family="lenet"), "mlp"]
    assert names("--year", "2012-2013", "--max-params", "10M", "--sort", "macs") == ["nin_cifar", "nin_imagenet"]
    assert "vgg16" not in names("--max-macs", "15.4G")
    assert "vgg16" in names("--max-macs", "15_470_264_320")
    by_params = [row["params"] for row in command("models", "--sort", "params", "--json").json]
    assert by_params == sorted(by_params)
    assert names("--max-params", "1") == []
    assert "no model fits" in command("models", "--max-params", "1").err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["describe", "lenet"], "no model is called 'lenet'; did you mean lenet5"),
        (["describe", "vgg16", "--size", "31"], "image side 31 < 32, the smallest for vgg16"),
        (["describe", "vgg16", "--size", "224x"], "'224x' is not a side or height x width"),
        (["describe", "vgg16", "--batch", "0"], "batch 0 is not a whole number above zero"),
        (["describe", "vgg16", "--batch", "-4"], "batch -4 is not"),
        (["describe", "vgg16", "--classes", "0"], "classes 0 is not"),
        (["describe", "vgg16", "--depth", "0"], "Invalid value for '--depth'"),
        (["compare", "vgg16", "vgg17"], "no model is called 'vgg17'"),
        (["compare", "vgg16", "--batch", "0"], "batch 0 is not"),
        (["compare"], "Missing argument"),
        (["compare", "vgg16", "--chart", "chart.pdf"], "chart.pdf is no .png or .svg"),
        (["models", "--family", "vg"], "no family is called 'vg'; there are lenet,"),
        (["models", "--sort", "beauty"], "models cannot be sorted by 'beauty'; give name,"),
        (["models", "--max-params", "many"], "'many' is not a count, such as 25M"),
        (["models", "--year", "20144"], "'20144' is not a year or a span"),
        (["models", "--max-params", "_"], "'_' is not a count"),
        (["models", "--year", "2014-2012"], "ends before it begins"),
        (["models", "--year", "-"], "'-' is not a year"),
    ],
)
def test_a_mistake_is_one_line_and_ends_with_2(command: Command, words: list[str], message: str) -> None:
    answer = command(*words)
    assert (answer.code, answer.out) == (2, "")
    assert message in answer.err
    assert answer.err.count("\n") == 1


def test_describe_takes_the_options_of_the_architecture(command: Command) -> None:
    answer = command("describe", "resnet50", "--option", "shortcut=D", "--option", "stem=deep", "--json").json
    assert answer["total"]["params"] == 25_576_264
    smaller = command("describe", "densenet121", "--option", "depth=0.5", "--option", "memory-efficient=true", "--json")
    assert smaller.json["total"]["params"] == lenext.profile("densenet121", depth=0.5).total.params


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("shortcut", "--option shortcut: give KEY=VALUE"),
        ("=D", "--option =D: give KEY=VALUE"),
        ("shortcut=E", "resnet50: shortcut 'E' is not known; give A, B, C, D or none"),
        ("wings=2", "resnet50 has no option 'wings'; docs/models.md lists those that it has"),
        ("depth=deep", "resnet50: depth 'deep' cannot be; give a number"),
        ("depth=nan", "resnet50: depth nan cannot be"),
        ("size=64", "--option size=64: size is no option of an architecture"),
        ("in-channels=1", "--option in_channels=1: in_channels is no option of an architecture"),
    ],
)
def test_options_that_cannot_be_are_one_line(command: Command, option: str, message: str) -> None:
    answer = command("describe", "resnet50", "--option", option)
    assert answer.code == 2
    assert message in answer.err
    assert len(answer.err.splitlines()) == 1


def test_a_table_of_more_than_a_thousand_lines_is_folded_and_says_so(command: Command) -> None:
    folded = command("describe", "resnet110_cifar", "--option", "depth=6").out
    assert "folded to depth 3: more than 1000 lines; give --depth to see every layer, or --csv, --json" in folded
    assert len(folded.splitlines()) < 1000
    assert len(command("describe", "resnet110_cifar", "--option", "depth=6", "--depth", 9).out.splitlines()) > 1000
    assert "folded" not in command("describe", "resnet110_cifar").out
