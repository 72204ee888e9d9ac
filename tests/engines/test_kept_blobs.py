"""What OpenVINO has compiled, kept for its next start."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lenext.engines import kept_blobs
from lenext.engines.kept_blobs import blob_path, keep_blob, recall_blob


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "a.xml").write_text("graph")
    (tmp_path / "a.bin").write_text("weights")
    return tmp_path / "a.xml"


@pytest.mark.usefixtures("own_cache")
def test_what_is_kept_comes_back_whole_or_not_at_all(model: Path) -> None:
    path = blob_path(model, "2026.4", (1, 3))
    assert path is not None
    assert recall_blob(path) is None
    keep_blob(path, b"compiled")
    assert recall_blob(path) == b"compiled"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert recall_blob(path) is None
    path.write_bytes(b"")
    assert recall_blob(path) is None


@pytest.mark.usefixtures("own_cache")
def test_another_file_and_another_way_are_others(model: Path) -> None:
    first = blob_path(model, "2026.4", (1, 3))
    assert blob_path(model, "2026.4", (8, 3)) != first
    assert blob_path(model, "2026.5", (1, 3)) != first
    os.utime(model.with_suffix(".bin"), ns=(1, 1))
    assert blob_path(model, "2026.4", (1, 3)) != first
    assert blob_path(model.with_name("b.xml"), "2026.4") is None
    keep_blob(None, b"")
    assert recall_blob(None) is None


@pytest.mark.usefixtures("own_cache")
def test_old_and_large_ones_are_not_kept(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = blob_path(model, "old"), blob_path(model, "new")
    assert old is not None
    assert new is not None
    keep_blob(old, b"compiled")
    os.utime(old, (1, 1))
    keep_blob(new, b"compiled")
    assert not old.exists()
    assert new.exists()
    monkeypatch.setattr(kept_blobs, "LARGEST", 4)
    keep_blob(old, b"compiled")
    assert not old.exists()
