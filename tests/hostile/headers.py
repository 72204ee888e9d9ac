"""Headers of safetensors that lie."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path
from typing import Any

from hostile.register import hostile


def safetensors(path: Path, header: Any, body: bytes = b"", length: int | None = None) -> None:
    told = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(told) if length is None else length) + told + body)


def entry(*offsets: int, dtype: str = "F32", shape: Any = (2,)) -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


@hostile(".safetensors", "its header claims 1,152,921,504,606,846,976 bytes, of 43")
def header_without_end(path: Path) -> None:
    safetensors(path, {"w": entry(0, 8)}, length=1 << 60)
    path.write_bytes(path.read_bytes()[:51])


@hostile(".safetensors", r"its header of 17,\d* bytes|its header of .* is above")
def header_above_the_limit(path: Path) -> None:
    safetensors(path, b'{"w": "' + b" " * (17 << 20) + b'"}')


@hostile(".safetensors", "more than 20,000 tensors")
def too_many_tensors(path: Path) -> None:
    row = b'"%d":{"dtype":"F32","shape":[],"data_offsets":[0,0]}'
    safetensors(path, b"{" + b",".join(row % i for i in range(150_000)) + b"}")


@hostile(".safetensors", "does not fit LeNet: .* \\+w")
def eight_gigabytes_of_nothing(path: Path) -> None:
    """Well-formed, and no weights of any network."""
    safetensors(path, {"w": entry(0, 8 << 30, shape=(2 << 30,))})
    os.truncate(path, path.stat().st_size + (8 << 30))


@hostile(".safetensors", "does not fit LeNet: .* \\+0 ")
def twenty_thousand_tensors(path: Path) -> None:
    safetensors(path, {str(i): entry(400 * i, 400 * i + 400, shape=(100,)) for i in range(19_999)}, bytes(400 * 19_999))


@hostile(".safetensors", "'a' and 'b' overlap")
def overlapping_tensors(path: Path) -> None:
    safetensors(path, {"a": entry(0, 8), "b": entry(4, 12)}, bytes(12))


@hostile(".safetensors", "'a' and 'b' leave a gap")
def gap_between_tensors(path: Path) -> None:
    safetensors(path, {"a": entry(0, 8), "b": entry(12, 20)}, bytes(20))


@hostile(".safetensors", "the shape of 'a' and its bytes disagree")
def shape_of_a_terabyte(path: Path) -> None:
    safetensors(path, {"a": entry(0, 8, shape=(1 << 20, 1 << 20))}, bytes(8))


@hostile(".safetensors", "the shape of 'a' and its bytes disagree")
def offsets_below_zero(path: Path) -> None:
    safetensors(path, {"a": entry(-8, 0)}, bytes(8))


@hostile(".safetensors", "entry for 'a' is none of a tensor")
def unknown_kind_of_number(path: Path) -> None:
    safetensors(path, {"a": entry(0, 8, dtype="O")}, bytes(8))


@hostile(".safetensors", "its tensors take 8 bytes, of 100 that there are")
def bytes_behind_the_tensors(path: Path) -> None:
    safetensors(path, {"a": entry(0, 8)}, bytes(100))


@hostile(".safetensors", "its tensors take 8 bytes, of 4 that there are")
def truncated_tensors(path: Path) -> None:
    safetensors(path, {"a": entry(0, 8)}, bytes(4))


@hostile(".safetensors", "its header is no JSON of safetensors")
def bottomless_header(path: Path) -> None:
    safetensors(path, b'{"a":' + b"[" * 200_000)


@hostile(".safetensors", "a name stands there twice")
def two_tensors_of_one_name(path: Path) -> None:
    one = json.dumps(entry(0, 8)).encode()
    safetensors(path, b'{"a":' + one + b',"a":' + one + b"}", bytes(8))


@hostile(".safetensors", "its metadata is not text")
def metadata_that_is_no_text(path: Path) -> None:
    safetensors(path, {"__metadata__": {"lenext": {"format": 1}}, "a": entry(0, 8)}, bytes(8))
