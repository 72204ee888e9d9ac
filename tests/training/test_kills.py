"""A training that is killed at any moment, and goes on, ends as the one that was left alone, to the bit."""

from __future__ import annotations

import json
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from launcher import Launcher
from pictures import class_folder
from safetensors.torch import load_file

from lenext.training.folder.checkpoint import last_checkpoint
from lenext.training.folder.pulse import read_pulse

KILLS = 5
WAYS = ["memory", "cache", "workers"]
INTERVAL = 0.0002  # minutes


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return class_folder(tmp_path_factory.mktemp("kills") / "photos", images=40)


def words(photos: Path, way: str, out: Path) -> list[object]:
    """Return a command with mixing, averaging and dropout, of many short steps."""
    values = ["mixup=0.2", "ema=0.9", "crop=pad", "padding=2", "precision=float32", "compile=no"]
    return [
        "train", photos, "--model", "lenet5", "--epochs", 15, "--batch-size", 2, "--loading", way, "--workers", 1,
        "--threads", 1, "--checkpoint", INTERVAL, "--out", out,
        *[word for value in values for word in ("--set", value)],
    ]  # fmt: skip


def record(run: Path) -> dict[str, Any]:
    return json.loads((run / "run.json").read_text())


def metrics(run: Path) -> list[dict[str, Any]]:
    """Return the lines of metrics without what a clock says."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if "second" not in key} for row in rows]


def killed_again_and_again(
    launcher: Launcher, photos: Path, way: str, folder: Path, kills: int, cache: Path, rng: random.Random
) -> None:
    environment = {"LENEXT_CACHE": cache}
    began = time.perf_counter()
    whole = launcher.start(*words(photos, way, folder / "whole"), **environment)
    while read_pulse(folder / "whole") is None and time.perf_counter() < began + 60:
        time.sleep(0.005)
    steps_begin = time.perf_counter() - began
    assert whole.wait() == 0, whole.err.read_text()
    steps_take = time.perf_counter() - began - steps_begin

    run, lost, executed = folder / "run", 0, 0
    command = words(photos, way, run)
    for _ in range(kills):
        started = launcher.start(*command, **environment)
        time.sleep(max(0.0, steps_begin + rng.uniform(-0.2, 1.3) * steps_take / kills))
        started.kill()
        assert started.wait() in (0, -signal.SIGKILL), started.err.read_text()
        if (run / "run.json").exists():
            command = ["train", "--resume", run]
            if record(run)["state"] == "finished":
                break
        pulse, (checkpoint, wrong) = read_pulse(run), last_checkpoint(run)
        assert wrong == {}
        if pulse and pulse.executed > executed:  # else it was killed before its first step
            lost, executed = lost + pulse.step - (checkpoint.step if checkpoint else 0), pulse.executed
    else:
        started = launcher.start(*command, **environment)
        assert started.wait() == 0, started.err.read_text()
    result, expected = record(run)["result"], record(folder / "whole")["result"]

    ours, theirs = load_file(run / "model.safetensors"), load_file(folder / "whole" / "model.safetensors")
    assert ours.keys() == theirs.keys()
    assert all(ours[name].numpy().tobytes() == theirs[name].numpy().tobytes() for name in ours)
    assert metrics(run) == metrics(folder / "whole")
    for key in ("top1", "top5", "loss", "epochs", "images"):
        assert result[key] == expected[key]
    assert expected["steps_executed"] == record(folder / "whole")["steps"]
    assert result["steps_executed"] == expected["steps_executed"] + lost
    assert record(run)["state"] == "finished"


@pytest.mark.parametrize("way", WAYS)
def test_killed_at_any_moment(launcher: Launcher, photos: Path, way: str, tmp_path: Path) -> None:
    seed = random.randrange(1000)
    print("seed", seed)
    killed_again_and_again(launcher, photos, way, tmp_path, KILLS, tmp_path / "cache", random.Random(seed))


@pytest.mark.full
@pytest.mark.parametrize("way", WAYS)
def test_killed_ten_times(launcher: Launcher, photos: Path, way: str, tmp_path: Path) -> None:
    killed_again_and_again(launcher, photos, way, tmp_path, 10, tmp_path / "cache", random.Random(10))
