"""What goes wrong from outside while a run trains: it is told in a line, nothing is lost, and the run goes on."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pictures import class_folder, stripes
from PIL import Image
from safetensors.torch import load_file, save_file

import lenext
from lenext.errors import LenextError, UserError
from lenext.training import memory
from lenext.training.folder import checkpoint
from lenext.training.folder.checkpoint import checkpoint_files
from lenext.training.memory import StepMemory, require_memory, step_memory
from lenext.training.recipes import Situation, make_recipe

pytestmark = pytest.mark.usefixtures("one_thread")
SETTINGS: dict[str, Any] = {"epochs": 4, "batch_size": 8, "seed": 3, "overrides": {"ema": 0.9}, "threads": 1}


class Notes:
    """Keeps what is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def track(self, items: Any, what: str, total: int, count: Any) -> Any:
        return items

    def note(self, text: str) -> None:
        self.told.append(text)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return class_folder(tmp_path_factory.mktemp("faults") / "photos", images=16)


@pytest.fixture(scope="module")
def whole(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that nothing disturbs."""
    run = tmp_path_factory.mktemp("whole") / "run"
    lenext.train(photos, "lenet5", out=run, **SETTINGS)
    return run


def record(run: Path) -> dict[str, Any]:
    return json.loads((run / "run.json").read_text())


def assert_same_weights(run: Path, whole: Path) -> None:
    ours, theirs = load_file(run / "model.safetensors"), load_file(whole / "model.safetensors")
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def epochs_of(run: Path) -> list[int]:
    return [json.loads(row)["epoch"] for row in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("write", [1, 2, 3, 4])
def test_a_disk_that_is_full_when_a_checkpoint_is_written(
    write: int, photos: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = 0

    def full(*arguments: Any) -> None:
        nonlocal count
        count += 1
        if count == write:
            raise OSError(errno.ENOSPC, "No space left on device")
        save_file(*arguments)

    monkeypatch.setattr(checkpoint, "save_file", full)
    run = tmp_path / "run"
    with pytest.raises(LenextError, match=r"cannot write .*step-.*: No space left on device"):
        lenext.train(photos, "lenet5", out=run, **SETTINGS)
    assert record(run)["state"] == "failed"
    assert "No space left" in record(run)["error"]
    assert len(checkpoint_files(run)) == min(2, write - 1)
    notes = Notes()
    result = lenext.resume(run, progress=notes)
    assert ("going on from step" in notes.told[0]) == (write > 1)
    assert_same_weights(run, whole)
    assert epochs_of(run) == [1, 2, 3, 4]
    assert record(run)["state"] == "finished"
    assert "error" not in record(run)
    assert result.epochs == 4


def test_a_run_folder_that_is_gone_and_comes_back(
    photos: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, away, count = tmp_path / "run", tmp_path / "away", 0

    def vanishing(*arguments: Any) -> None:
        nonlocal count
        count += 1
        if count == 3:
            run.rename(away)
        save_file(*arguments)

    monkeypatch.setattr(checkpoint, "save_file", vanishing)
    with pytest.raises(LenextError, match="cannot write"):
        lenext.train(photos, "lenet5", out=run, **SETTINGS)
    with pytest.raises(UserError, match=r"is not a run folder: it has no run\.json"):
        lenext.resume(run)
    shutil.rmtree(run, ignore_errors=True)
    away.rename(run)
    lenext.resume(run)
    assert_same_weights(run, whole)


def test_an_image_damaged_after_the_first_epoch(
    photos: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = shutil.copytree(photos, tmp_path / "photos")
    victim = mine / "lying" / "003.png"
    content, run = victim.read_bytes(), tmp_path / "run"
    count = 0

    def damaging(*arguments: Any) -> None:
        nonlocal count
        save_file(*arguments)
        count += 1
        if count == 2:
            victim.write_bytes(content[:40])

    monkeypatch.setattr(checkpoint, "save_file", damaging)
    with pytest.raises(LenextError, match=r"003\.png can no longer be read"):
        lenext.train(mine, "lenet5", out=run, loading="workers", workers=0, **SETTINGS)
    with pytest.raises(
        UserError, match=r"was \d+ when the run began, and is \d+ now; the first image that differs was"
    ):
        lenext.resume(run)
    Image.fromarray(stripes(99, upright=True)).save(victim)
    with pytest.raises(UserError, match=r"the first image that differs was lying/003\.png \(train, \w+\), and is"):
        lenext.resume(run)
    victim.write_bytes(content)
    lenext.resume(run)
    assert_same_weights(run, whole)
    assert epochs_of(run) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "damage",
    [lambda data: data[: len(data) // 2], lambda data: data[:-100] + bytes([data[-100] ^ 1]) + data[-99:]],
    ids=["cut", "flipped bit"],
)
def test_a_damaged_checkpoint(
    damage: Callable[[bytes], bytes], photos: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    _stopped_after(3, photos, run, monkeypatch)
    last = checkpoint_files(run)[-1]
    last.write_bytes(damage(last.read_bytes()))
    notes = Notes()
    lenext.resume(run, progress=notes)
    assert f"{last} is damaged" in notes.told[0]
    assert f"it is called {last.name}.damaged now" in notes.told[0]
    assert notes.told[1].startswith("going on from step")
    assert (last.parent / f"{last.name}.damaged").exists()
    assert_same_weights(run, whole)


def test_damaged_checkpoints_do_not_push_out_new_ones(
    photos: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    _stopped_after(3, photos, run, monkeypatch)
    last = checkpoint_files(run)[-1]
    last.write_bytes(b"")
    with monkeypatch.context() as patched:
        _stop_writing_after(1, patched)
        with pytest.raises(KeyboardInterrupt):
            lenext.resume(run)
    assert [path.name for path in checkpoint_files(run)][-1] == last.name  # written anew
    assert len(checkpoint_files(run)) == 2
    lenext.resume(run)
    assert_same_weights(run, whole)


def test_checkpoints_that_are_all_gone(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Finished epochs are not thrown away; a run without any begins again."""
    run = tmp_path / "run"
    _stopped_after(3, photos, run, monkeypatch)
    metrics = (run / "metrics.jsonl").read_bytes()
    for path in checkpoint_files(run):
        path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(UserError, match=r"cannot go on: .*is damaged.*; its weights are whole: start anew"):
        lenext.resume(run)
    shutil.rmtree(run / "checkpoints")
    with pytest.raises(UserError, match="cannot go on: its checkpoints are gone"):
        lenext.resume(run)
    assert (run / "metrics.jsonl").read_bytes() == metrics


def test_the_weights_it_began_from_may_go(
    photos: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = shutil.copytree(whole, tmp_path / "start")
    settings = {**SETTINGS, "weights": start, "overrides": {"ema": 0.9, "dropout": -1}}
    lenext.train(photos, "lenet5", out=tmp_path / "uninterrupted", **settings)
    for writes in (1, 3):
        run = tmp_path / f"run-{writes}"
        _stopped_after(writes, photos, run, monkeypatch, weights=start)
        away = start.rename(tmp_path / "away")
        lenext.resume(run)
        assert_same_weights(run, tmp_path / "uninterrupted")
        away.rename(start)


def test_a_record_of_another_version_is_told(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / "run"
    _stopped_after(2, photos, run, monkeypatch)
    said = record(run)
    for change in (
        lambda value: value.pop("folder"),
        lambda value: value["versions"].pop("pillow"),
        lambda value: value["settings"].update(novelty=1),
    ):
        changed = json.loads(json.dumps(said))
        change(changed)
        (run / "run.json").write_text(json.dumps(changed))
        with pytest.raises(UserError, match="lacks what this version needs"):
            lenext.resume(run)


def test_long_values_are_told_where_they_differ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = tmp_path / "photos"
    for number in range(12):
        class_folder(photos, images=3, classes=(f"class_number_{number:02}", f"other_number_{number:02}"))
    run = tmp_path / "run"
    _stopped_after(1, photos, run, monkeypatch)
    (photos / "other_number_11").rename(photos / "other_number_12")
    with pytest.raises(
        UserError, match="the classes was other_number_11 when the run began, and is other_number_12 now"
    ):
        lenext.resume(run)


def _stop_writing_after(writes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    count = 0

    def stopping(*arguments: Any) -> None:
        nonlocal count
        save_file(*arguments)
        count += 1
        if count == writes + 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "save_file", stopping)


def _stopped_after(writes: int, photos: Path, run: Path, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> None:
    """Train until so many checkpoints were written, and one more was not renamed."""
    with monkeypatch.context() as patched:
        _stop_writing_after(writes, patched)
        with pytest.raises(KeyboardInterrupt):
            lenext.train(photos, "lenet5", out=run, **{**SETTINGS, **settings})


def test_what_differs_is_refused_with_both_values(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    _stopped_after(3, photos, run, monkeypatch)
    said = record(run)
    for keys, value, match in (
        (("versions", "torch"), "1.0", r"the version of torch was 1\.0 when the run began, and is 2\.\d+"),
        (("steps",), 7, r"the number of steps was 7 when the run began, and is \d+ now"),
        (("hardware", "processes"), 2, "the number of processes was 2 when the run began, and is 1 now"),
    ):
        changed = json.loads(json.dumps(said))
        place = changed
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = value
        (run / "run.json").write_text(json.dumps(changed))
        with pytest.raises(UserError, match=match):
            lenext.resume(run)
    (run / "run.json").write_text(json.dumps(said))
    assert lenext.resume(run).epochs == 4


def test_from_another_folder_too(photos: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(photos.parent)
    _stopped_after(2, Path("photos"), tmp_path / "run", monkeypatch)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    lenext.resume(tmp_path / "run")
    assert_same_weights(tmp_path / "run", whole)


def test_minutes_that_were_spent_count(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / "run"
    settings = {**SETTINGS, "epochs": None}
    _stopped_after(2, photos, run, monkeypatch, **{"epochs": None, "minutes": 0.05})
    result = lenext.resume(run)
    assert record(run)["state"] == "finished"
    assert result.seconds < 10
    assert epochs_of(run) == list(range(1, result.epochs + 1))
    assert settings["seed"] == record(run)["settings"]["seed"]


def test_a_loss_that_is_not_finite_names_the_last_good_checkpoint(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lenext.training.work import Work

    gradients, count = Work._gradients, 0

    def exploding(self: Work, batch: Any) -> float:
        nonlocal count
        count += 1
        return gradients(self, batch) * (float("inf") if count == 9 else 1)

    monkeypatch.setattr(Work, "_gradients", exploding)
    match = r"the loss is inf at step 9, learning rate [\d.e-]+; the last good checkpoint is .*step-\d+\.safetensors"
    with pytest.raises(LenextError, match=match):
        lenext.train(photos, "lenet5", out=tmp_path / "run", **SETTINGS)


def memory_of(name: str, images: int, free: int, **values: Any) -> StepMemory:
    recipe = make_recipe("default", Situation(train_images=1000), values)
    found = step_memory(lenext.create(name), recipe, images, torch.device("cpu"))
    return StepMemory(found.fixed, found.each, found.images, found.parts, free)


def test_a_batch_that_cannot_fit_is_refused_with_one_that_does() -> None:
    much = memory_of("resnet18", 4096, 8_000_000_000)
    with pytest.raises(UserError, match=r"4,096 images needs about [\d,.]+ GB .*; --batch-size \d+ would fit, or this"):
        require_memory(much, Notes())
    fits = int(much.way_out().split()[1])
    assert memory_of("resnet18", fits, 8_000_000_000).needed <= 8_000_000_000
    assert memory_of("resnet18", fits + 8, 8_000_000_000).needed > 8_000_000_000
    parts = int(much.way_out().split("accumulate=")[1])
    assert memory_of("resnet18", 4096, 8_000_000_000, accumulate=parts).needed <= 8_000_000_000
    notes = Notes()
    require_memory(memory_of("resnet18", fits, 8_000_000_000), notes)
    assert notes.told == []
    require_memory(memory_of("resnet18", 2 * fits, 8_000_000_000), notes)
    assert notes.told[0].startswith("note: a step of")


def test_the_memory_of_a_step_is_that_of_the_cost() -> None:
    found = memory_of("vgg11", 16, 1, optimizer="sgd")
    total = lenext.profile("vgg11", batch=16).total
    assert found.needed == total.training_bytes["momentum"]


def test_the_machine_that_refuses_memory(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(*arguments: Any) -> None:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr("lenext.training.work.Work._gradients", refusing)
    with pytest.raises(LenextError, match=r"there is not enough memory: a step of 8 images .*--batch-size"):
        lenext.train(photos, "lenet5", out=tmp_path / "run", **SETTINGS)
    assert record(tmp_path / "run")["state"] == "failed"
    monkeypatch.undo()
    monkeypatch.setattr(memory, "free_memory", lambda: 400_000)
    with pytest.raises(UserError, match=r"not even one image would fit"):
        lenext.train(photos, "lenet5", out=tmp_path / "other", **SETTINGS)
    assert not (tmp_path / "other").exists()


def test_parts_of_a_stream_hold_every_image_once(tmp_path: Path) -> None:
    import io
    import tarfile

    from pictures import png

    from lenext.data.opening import open_source

    for shard, count in enumerate((5, 17, 2)):
        with tarfile.open(tmp_path / f"s-{shard}.tar", "w") as tar:
            for i in range(count):
                for ending, data in (("png", png(stripes(i, upright=True))), ("cls", str(i % 2).encode())):
                    info = tarfile.TarInfo(f"{shard}{i:03}.{ending}")
                    info.size = len(data)
                    tar.addfile(info, io.BytesIO(data))
    items: Any = open_source(f"shards:{tmp_path}/s-{{0..2}}.tar").splits["all"].items
    for world in (1, 2, 3, 5):
        parts = [[index for index, _ in items.shuffled(1, 2, 4, (rank, world))] for rank in range(world)]
        assert sorted(np.concatenate(parts).tolist()) == list(range(24))
        assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert [i for i, _ in items.shuffled(1, 2, 4)] == [i for i, _ in items.shuffled(1, 2, 4, (0, 1))]
