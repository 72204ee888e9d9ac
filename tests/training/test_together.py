"""Several processes train one model as one process would, on this machine, through gloo."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from launcher import Launcher, Started
from pictures import class_folder
from safetensors.torch import load_file

import lenext
from lenext.data.sampling import own_part
from lenext.errors import UserError
from lenext.training.folder.checkpoint import checkpoint_files
from lenext.training.folder.pulse import read_pulse

STEPS = 20


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return class_folder(tmp_path_factory.mktemp("together") / "photos", images=132)


def words(photos: Path, out: Path, *values: str, model: str = "lenet5", epochs: int = 1) -> list[object]:
    sets = ["precision=float32", "compile=no", *values]
    return [
        "train", photos, "--model", model, "--epochs", epochs, "--batch-size", 11, "--threads", 1, "--out", out,
        "--json", *[word for value in sets for word in ("--set", value)],
    ]  # fmt: skip


def ended(processes: list[Started], code: int = 0) -> list[str]:
    codes = [each.wait() for each in processes]
    assert codes == [code] * len(codes), [each.err.read_text() for each in processes]
    return [each.out.read_text() for each in processes]


def epochs_of(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


VALUES = ["mixup=0.2", "cutmix=1.0", "ema=0.9", "clip=1.0", "accumulate=2", "crop=pad", "padding=2", "lr=0.01"]


@pytest.fixture(scope="module")
def alone(launcher: Launcher, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process makes of the same batches."""
    run = tmp_path_factory.mktemp("alone") / "run"
    ended([launcher.start(*words(photos, run, *VALUES, "optimizer=sgd"))])
    return run


@pytest.mark.parametrize("world", [2, 3, 4])
def test_without_batch_norm_the_losses_are_those_of_one_process(
    world: int, launcher: Launcher, photos: Path, alone: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    first, *others = ended(launcher.together(world, *words(photos, run, *VALUES, "optimizer=sgd")))
    (ours,), (theirs,) = epochs_of(run), epochs_of(alone)
    assert ours["steps"] == theirs["steps"] >= STEPS
    assert len(ours["train_loss_parts"]) == ours["steps"]  # each part of the curve is a step
    np.testing.assert_allclose(ours["train_loss_parts"], theirs["train_loss_parts"], rtol=1e-5)
    assert ours["images"] == theirs["images"]  # held out, each judged once
    np.testing.assert_allclose(ours["loss"], theirs["loss"], rtol=1e-5)
    assert ours["top1"] == theirs["top1"]
    assert json.loads(first)["train_images"] == json.loads((alone / "run.json").read_text())["data"]["train_images"]
    assert others == [""] * (world - 1)
    np.testing.assert_allclose(
        *(np.concatenate([t.numpy().ravel() for _, t in sorted(load_file(each / "model.safetensors").items())])
          for each in (run, alone)),
        atol=1e-5,
    )  # fmt: skip


def test_the_optimiser_of_1998_measures_on_the_same_images(launcher: Launcher, photos: Path, tmp_path: Path) -> None:
    values = ["optimizer=sdlm", "lr=0.0005", "damping=0.02"]
    ended([launcher.start(*words(photos, tmp_path / "one", *values))])
    ended(launcher.together(2, *words(photos, tmp_path / "two", *values)))
    (one,), (two,) = epochs_of(tmp_path / "one"), epochs_of(tmp_path / "two")
    np.testing.assert_allclose(two["train_loss_parts"], one["train_loss_parts"], rtol=1e-5)


def test_killed_processes_go_on_to_the_same_bits(launcher: Launcher, photos: Path, tmp_path: Path) -> None:
    """With batch norms and dropout, whose numbers each process draws by itself."""
    values = ["mixup=0.2", "ema=0.9"]
    options = ["--option", "depth=0.5", "--option", "width=0.0625", "--option", "dropout=0.3", "--size", 16]

    def command(out: Path) -> list[object]:
        return [*words(photos, out, *values, model="wrn16_8_cifar", epochs=3), *options, "--checkpoint", 0]

    ended(launcher.together(2, *command(tmp_path / "whole")))
    run = tmp_path / "run"
    processes = launcher.together(2, *command(run))
    while not checkpoint_files(run) or (read_pulse(run) or read_pulse(tmp_path / "whole")).step < STEPS + 5:  # type: ignore[union-attr]
        time.sleep(0.005)
        assert processes[0].pid not in launcher.codes
    processes[1].kill()
    assert processes[1].wait() == -signal.SIGKILL
    assert processes[0].wait() == 1
    assert "another process of this training is gone" in processes[0].err.read_text()
    record = json.loads((run / "run.json").read_text())
    assert record["state"] == "failed"

    ended(launcher.together(2, "train", "--resume", run))
    ours, theirs = load_file(run / "model.safetensors"), load_file(tmp_path / "whole" / "model.safetensors")
    assert all(ours[name].numpy().tobytes() == theirs[name].numpy().tobytes() for name in theirs)

    processes = launcher.together(3, *command(tmp_path / "three"))
    while (pulse := read_pulse(tmp_path / "three")) is None or pulse.step < 2:
        time.sleep(0.005)
    for each in processes:
        each.kill(signal.SIGTERM)
    assert {each.wait() for each in processes} == {143}
    alone = launcher.start("train", "--resume", tmp_path / "three")
    assert alone.wait() == 2
    assert "the number of processes was 3 when the run began, and is 1 now" in alone.err.read_text()
    ended(launcher.together(3, "train", "--resume", tmp_path / "three"))


def test_a_mistake_is_told_once(launcher: Launcher, photos: Path, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "notes.txt").write_text("mine")
    processes = launcher.together(2, *words(photos, taken))
    ended(processes, 2)
    told = [each.err.read_text() for each in processes]
    assert "is not empty" in told[0]
    assert told[1] == ""


def test_too_many_processes_for_a_step(launcher: Launcher, photos: Path, tmp_path: Path) -> None:
    processes = launcher.together(3, *words(photos, tmp_path / "run"), "--set", "batch_size=5")
    codes = {each.wait() for each in processes}
    assert codes == {2}
    processes = launcher.together(3, "train", photos, "--model", "lenet5", "--batch-size", 5, "--out", tmp_path / "run")
    ended(processes, 2)
    assert "cannot be shared by 3 processes" in processes[0].err.read_text()


def test_norms_over_processes_are_refused_where_torch_has_none(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="sync_norm cannot be on cpu: torch has norms over several processes for CUDA"):
        lenext.train(photos, "resnet20_cifar", epochs=1, sync_norm=True, device="cpu", out=tmp_path / "run")


@given(st.integers(2, 300), st.integers(1, 9))
def test_parts_hold_every_image_once_with_its_partner(count: int, world: int) -> None:
    if count // 2 < world:
        return
    batch = np.random.default_rng(count).permutation(count)
    partner = dict(zip(batch.tolist(), batch[::-1].tolist(), strict=True))
    parts = [own_part(batch, rank, world) for rank in range(world)]
    assert sorted(np.concatenate(parts).tolist()) == list(range(count))
    assert max(map(len, parts)) - min(map(len, parts)) <= 3
    for part in parts:
        assert len(part) >= 2
        assert [partner[i] for i in part.tolist()] == part[::-1].tolist()
    assert own_part(batch, 0, 1).tolist() == batch.tolist()


def test_torchrun_starts_a_killed_process_again(photos: Path, tmp_path: Path) -> None:
    """Through torchrun itself, which finds the run folder that the first start made."""
    command = words(photos, tmp_path / "given", epochs=20)[:-4]
    run = tmp_path / "runs" / "lenet5-photos"
    command = [word for word in command if word not in ("--out", tmp_path / "given")]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--max-restarts=1",
                "--master-port=0", "--rdzv-backend=c10d", "--rdzv-endpoint=localhost:0"]  # fmt: skip
    started = subprocess.Popen(
        [*torchrun, "-m", "lenext", *map(str, command), "--checkpoint", "0.001"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    end = time.monotonic() + 60
    while (pulse := read_pulse(run)) is None or pulse.epoch < 3:
        assert time.monotonic() < end
        assert started.poll() is None, started.communicate()
        time.sleep(0.01)
    workers = [each for each in psutil.Process(started.pid).children() if "--model" in each.cmdline()]
    assert len(workers) == 2
    workers[-1].kill()
    out, err = started.communicate(timeout=100)
    assert started.returncode == 0, err
    result = json.loads(out[out.index("{") :])
    assert result["epochs"] == 20
    assert [row["epoch"] for row in epochs_of(run)] == list(range(1, 21))
    assert "going on from step" in err
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["lenet5-photos"]
