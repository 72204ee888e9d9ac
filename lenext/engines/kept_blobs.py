"""Networks as OpenVINO has compiled them, kept in the user's cache, so that the next start need not compile them.

OpenVINO's own cache reads and hashes the whole model before it looks for what it has, which takes as long again.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
import zlib
from pathlib import Path

from lenext.engines.machine import file_state, machine
from lenext.errors import LenextError
from lenext.files import user_cache, write_atomically

DAYS = 90  # that a network is kept after it was last asked for
LARGEST = 256 << 20  # bytes; larger ones would soon fill a disk
CHECKSUM = 4  # bytes in front


def kept_blobs() -> Path:
    """Return the folder where compiled networks are kept."""
    return user_cache() / "openvino"


def blob_path(model: Path, *how: object) -> Path | None:
    """Return where the network of a file, compiled in this way, is kept, or None where there is no such file."""
    try:
        files = [model, model.with_suffix(".bin")] if model.suffix == ".xml" else [model]
        told = [machine(), str(model.resolve()), *map(file_state, files), *how]
    except OSError:
        return None
    key = hashlib.blake2b(repr(told).encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
    return kept_blobs() / f"{key}.blob"


def recall_blob(path: Path | None) -> bytes | None:
    """Return what is kept at `path`, whole and undamaged."""
    if path is None:
        return None
    with contextlib.suppress(OSError):
        data = path.read_bytes()
        if zlib.crc32(memoryview(data)[CHECKSUM:]).to_bytes(CHECKSUM) == data[:CHECKSUM]:
            os.utime(path)
            return data[CHECKSUM:]
    return None


def keep_blob(path: Path | None, blob: bytes) -> None:
    """Keep a network, where that can be done, and forget what was not asked for in a long time."""
    if path is None or len(blob) > LARGEST:
        return
    old = time.time() - DAYS * 86400
    with contextlib.suppress(OSError, LenextError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, lambda beside: beside.write_bytes(zlib.crc32(blob).to_bytes(CHECKSUM) + blob))
        for other in path.parent.glob("*.blob"):
            if other.stat().st_mtime < old:
                other.unlink()
