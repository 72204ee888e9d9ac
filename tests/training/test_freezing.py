"""Frozen parts stay as they are to the bit, and become free again when they are to."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import lenext
from lenext.errors import UserError
from lenext.training.freezing import never_trained, parts_free_again
from lenext.training.memory import step_memory
from lenext.training.recipes import Situation, make_recipe

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = torch.device("cpu")
HARD = {"ema": 0.9, "mixup": 0.2, "weight_decay": 0.3, "clip": 1.0, "precision": "float32", "compile": "no"}


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small residual network that has learned a little of the digits."""
    out = tmp_path_factory.mktemp("freezing") / "start"
    lenext.train(
        "digits", "resnet20_cifar", size=8, epochs=1, batch_size=64, options={"width": 0.25}, out=out, recipe="sgd"
    )
    return out


def trained(start: Path, out: Path, **values: Any) -> dict[str, torch.Tensor]:
    lenext.train("digits", "resnet20_cifar", weights=start, epochs=2, batch_size=64, out=out, **values)
    return load_file(out / "model.safetensors")


@pytest.mark.parametrize("parts", ["stem,stages.0-1", "all but head", "stages.1"])
def test_weights_and_statistics_of_frozen_parts_stay_to_the_bit(start: Path, parts: str, tmp_path: Path) -> None:
    before, after = load_file(start / "model.safetensors"), trained(start, tmp_path / "a", freeze=parts, overrides=HARD)
    held = tuple(lenext.models.parts.select_parts(lenext.create("resnet20_cifar"), parts))  # type: ignore[attr-defined]
    own = [name for name in before if name.startswith(("stem", "stages", "head"))]
    assert any(name.endswith("running_var") and name.startswith(held) for name in own)
    for name in own:
        same = after[name].equal(before[name])
        assert same == name.startswith(held), name


def test_all_of_it_is_free_in_the_end(start: Path, tmp_path: Path) -> None:
    before, after = load_file(start / "model.safetensors"), trained(start, tmp_path / "a", unfreeze=0.5)
    changed = [
        name for name in before if name.startswith(("stem", "stages", "head")) and not after[name].equal(before[name])
    ]
    assert {name.partition(".")[0] for name in changed} == {"stem", "stages", "head"}


def test_parts_are_free_one_by_one() -> None:
    recipe = make_recipe("default", Situation(train_images=100), {"unfreeze": 0.5})
    frozen = ["stem", "stages.0", "stages.1", "stages.2"]
    counts = [parts_free_again(frozen, recipe, done) for done in (0, 0.1, 0.125, 0.3, 0.375, 0.49, 0.5, 1)]
    assert counts == [0, 0, 1, 2, 3, 3, 4, 4]
    never = make_recipe("default", Situation(train_images=100), {"freeze": "stem"})
    assert parts_free_again(frozen, never, 1.0) == 0


def test_what_no_gradient_reaches_takes_no_memory() -> None:
    model = lenext.create("resnet20_cifar")
    recipe = make_recipe("default", Situation(train_images=100), {})
    whole = step_memory(model, recipe, 8, CPU)
    model.freeze("stem, stages.0, stages.2")
    assert never_trained(model) == ["stem", "stages.0"]
    part = step_memory(model, recipe, 8, CPU)
    assert 0.2 * whole.each < part.each < 0.5 * whole.each
    weights = 4 * sum(
        weight.numel() for path in ("stem", "stages.0") for weight in model.get_submodule(path).parameters()
    )
    assert whole.fixed - part.fixed == 3 * weights


def test_a_run_says_what_it_froze_and_can_be_repeated(start: Path, tmp_path: Path) -> None:
    trained(start, tmp_path / "a", freeze="stem", layer_decay=0.7, drop_stages=1)
    record = json.loads((tmp_path / "a" / "run.json").read_text())
    assert "--freeze stem" in record["command"]
    assert "--layer-decay 0.7" in record["command"]
    assert "--drop-stages 1" in record["command"]
    cut = lenext.load(tmp_path / "a").model
    assert len(cut.stages) == 2
    with pytest.raises(UserError, match="has lost 1 stages already"):
        lenext.create("resnet20_cifar", weights=tmp_path / "a", drop_stages=0)
    assert len(lenext.create("resnet20_cifar", weights=tmp_path / "a", drop_stages=2).stages) == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--freeze", "stages.3"], "'stages.3' is out of range: the stages of lenet5 are stages.0 to stages.1"),
        (
            ["--freeze", "layer1"],
            "lenet5 has no part 'layer1'; its parts are stages.0, stages.1, head, head.classifier",
        ),
        (["--freeze", "stages,head"], "leaves nothing of lenet5 to train"),
        (["--drop-stages", "2"], "drop_stages 2 leaves none: lenet5 has 2 stages; give 1 at most"),
        (["--drop-stages", "-1"], "drop_stages -1 cannot be"),
        (["--layer-decay", "0"], "layer_decay 0.0 cannot be"),
        (["--unfreeze", "1.5"], "unfreeze 1.5 cannot be"),
        (["--freeze", "stem", "--set", "freeze=stages"], "freeze is given twice"),
        (["--drop-stages", "1", "--option", "drop_stages=1"], "drop_stages is given twice"),
        (["--freeze", f"stages.{'9' * 5000}"], "lenet5 has no part"),
        (["--model", "mlp", "--unfreeze", "0.5"], "unfreeze 0.5 has nothing to free: mlp is all head"),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_read(
    words: list[str], told: str, command: Callable[..., Any], tmp_path: Path
) -> None:
    answer = command("train", "digits", "--model", "lenet5", *words, "--out", tmp_path / "run")
    assert answer.code == 2
    assert told in answer.err
    assert answer.err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_freezing_random_weights_is_told(command: Callable[..., Any], tmp_path: Path) -> None:
    answer = command(
        "train", "digits", "--model", "lenet5", "--epochs", 1, "--freeze", "stages.0", "--out", tmp_path / "r"
    )
    assert answer.code == 0
    assert "stages.0 stays as it was drawn, at random; --weights says what to start from" in answer.err
