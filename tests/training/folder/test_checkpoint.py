"""Checkpoints on disk: what is read is what was written, or nothing."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lenext.errors import LenextError, UserError
from lenext.training.folder import checkpoint as checkpoint_module
from lenext.training.folder.checkpoint import (
    KEPT,
    Checkpoint,
    checkpoint_files,
    last_checkpoint,
    read_checkpoint,
    write_checkpoint,
)
from lenext.training.folder.names import CHECKPOINTS

TENSORS = {
    "model.weight": torch.arange(12.0).reshape(3, 4).t(),
    "model.count": torch.tensor(7),
    "average.half": torch.tensor([1.5, -2], dtype=torch.bfloat16),
    "random.cpu": torch.get_rng_state(),
    "empty": torch.empty(0, 3),
}


def made(step: int = 5) -> Checkpoint:
    return Checkpoint(step, TENSORS, {"pace": {"step": step}, "note": "ä"})


def same(found: Checkpoint, step: int) -> bool:
    return (
        found.step == step
        and found.state["pace"] == {"step": step}
        and found.tensors.keys() == TENSORS.keys()
        and all(torch.equal(found.tensors[name], TENSORS[name]) for name in TENSORS)
        and all(found.tensors[name].dtype == TENSORS[name].dtype for name in TENSORS)
    )


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    assert same(read_checkpoint(write_checkpoint(tmp_path, made())), 5)


def test_the_last_ones_stay(tmp_path: Path) -> None:
    assert last_checkpoint(tmp_path) == (None, {})
    for step in (1, 20, 999_999_999, 1_000_000_000):
        write_checkpoint(tmp_path, made(step))
    names = [path.name for path in checkpoint_files(tmp_path)]
    assert names == ["step-999999999.safetensors", "step-1000000000.safetensors"]
    assert len(names) == KEPT
    found, wrong = last_checkpoint(tmp_path)
    assert found is not None
    assert same(found, 1_000_000_000)
    assert wrong == {}


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_one_is_told_and_the_one_before_is_taken(tmp_path: Path, data: st.DataObject) -> None:
    write_checkpoint(tmp_path, made(1))
    path = write_checkpoint(tmp_path, made(2))
    whole = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        damaged = whole[: data.draw(st.integers(0, len(whole) - 1))]
    else:
        damaged = whole
        damaged[data.draw(st.integers(0, len(whole) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(damaged)
    found, wrong = last_checkpoint(tmp_path)
    assert found is not None
    if found.step == 1:
        assert same(found, 1)
        assert len(wrong) == 1
        assert "step-000000002.safetensors" in next(iter(wrong.values()))
    else:
        assert same(found, 2), "what cannot be seen in the values did no harm"


def test_where_all_are_damaged_none_is_taken(tmp_path: Path) -> None:
    for step in (1, 2):
        write_checkpoint(tmp_path, made(step)).write_bytes(b"")
    found, wrong = last_checkpoint(tmp_path)
    assert found is None
    assert len(wrong) == 2


@pytest.mark.parametrize("name", ["mkdir", "save_file", "fsync", "replace"])
def test_a_write_that_fails_at_any_step_leaves_those_of_before(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in (1, 2):
        write_checkpoint(tmp_path, made(step))

    def fail(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as broken:
        if name == "save_file":
            broken.setattr(checkpoint_module, "save_file", fail)
        elif name == "fsync":
            broken.setattr(os, "fsync", fail)
        else:
            broken.setattr(Path, name, fail)
        with pytest.raises(LenextError, match="No space left on device"):
            write_checkpoint(tmp_path, made(3))
    assert [path.name for path in (tmp_path / CHECKPOINTS).iterdir() if path.name.startswith(".")] == []
    found, wrong = last_checkpoint(tmp_path)
    assert found is not None
    assert same(found, 2)
    assert wrong == {}


def test_a_format_of_another_version_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lenext.files.FORMAT", 2)
    path = write_checkpoint(tmp_path, made())
    monkeypatch.undo()
    with pytest.raises(UserError, match="has format 2"):
        read_checkpoint(path)
