"""A look at a file of weights before anything loads it: what it is, and whether it is safe and whole.

Nothing here needs torch, and nothing in a file is believed: sizes are held against the bytes that are there, and the
instructions of a pickle are followed, never carried out.
"""

from __future__ import annotations

import io
import json
import math
import os
import stat
import struct
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, Literal

from lenext.errors import UserError
from lenext.weights.pickle_walk import RefusedError, Walk, refusal

Kind = Literal["safetensors", "zip", "legacy"]
PICKLED = (".pth", ".pt", ".th", ".bin", ".ckpt", ".tar")
SUFFIXES = (".safetensors", *PICKLED)
EXPORTED = (".onnx", ".xml", ".param")  # what lenext export writes for other engines
LARGEST_HEADER = 16 << 20  # bytes; 20,000 class names and the digests of a million images fit
LARGEST_PICKLE = 32 << 20
LARGEST_DIRECTORY = 8 << 20  # bytes; a file takes some hundred
MOST_TENSORS = 20_000  # the deepest network of 1,202 layers has 7,000
MOST_SIDES = 16  # of a tensor's shape
LARGEST_LEGACY = 700 << 20
END, LOCATOR, RECORD = 22, 20, 56  # bytes of the records at the end of an archive
LEGACY_PICKLES, COUNT = 5, 8  # pickles in the old form, and the bytes of the number before each storage
ELEMENT_BITS = {"BOOL": 8, "U8": 8, "I8": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32,
                "F32": 32, "F64": 64, "I64": 64, "U64": 64, "C64": 64, "F8_E4M3": 8, "F8_E5M2": 8,
                "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "F8_E8M0": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6}  # fmt: skip
LEGACY_START = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # the number that torch wrote first until 1.5
FOREIGN = {  # how files start that are often taken for weights
    b"version https://git-lfs": "a pointer of Git LFS, not the file itself; fetch it with `git lfs pull`",
    b"<": "a page of the web, not weights; download the file itself",
    b"\x1f\x8b": "compressed with gzip; unpack it first",
    b"\x89HDF": "a file of Keras or HDF5; lenext reads weights of PyTorch",
    b"\x93NUMPY": "an array of NumPy, not weights",
}


def inspect(path: Path) -> Kind:
    """Return what kind of file of weights stands at `path`, once it has been found safe to load and whole.

    Raises:
        UserError: not a file, empty, truncated, of another kind than its name says, or one that would run code or fill
            the memory.
    """
    suffix = path.suffix.lower()
    if suffix in EXPORTED:
        raise UserError(
            f"{path} is a file for other engines, which answers (predict, evaluate, scan) but has no weights to load; "
            "give the run or weights that it was exported from"
        )
    if suffix not in SUFFIXES:
        raise UserError(f"{path} is no file of weights; give a run folder or a file that ends in {', '.join(SUFFIXES)}")
    try:
        with _opened(path) as file:
            size = os.fstat(file.fileno()).st_size
            start = file.read(64)
            kind = _kind(path, suffix, start)
            file.seek(0)
            if kind == "safetensors":
                _inspect_safetensors(path, file, size)
            elif kind == "zip":
                _inspect_zip(path, file, size)
            else:
                _inspect_legacy(path, file, size)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    return kind


def _opened(path: Path) -> IO[bytes]:
    """Open a regular file; opening a pipe or a device could wait for ever."""
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        raise UserError(f"{path} is a pipe or a device, not a file of weights")
    return path.open("rb")


def _kind(path: Path, suffix: str, start: bytes) -> Kind:
    """Return the kind by how the file starts; none, or another one than the name says, is a UserError."""
    if not start:
        raise UserError(f"{path} is damaged: it is empty; copy it again")
    kind: Kind
    if start.startswith(b"PK\x03\x04"):
        kind = "zip"
    elif LEGACY_START in start[:16]:
        kind = "legacy"
    elif len(start) > 8 and start[8:9] == b"{":
        kind = "safetensors"
    else:
        known = next((what for sign, what in FOREIGN.items() if start.startswith(sign)), None)
        wanted = "safetensors file" if suffix == ".safetensors" else "checkpoint of PyTorch"
        raise UserError(f"{path} is {known}" if known else f"{path} is damaged or no {wanted}; copy it again")
    if (kind == "safetensors") != (suffix == ".safetensors"):
        what = "safetensors file" if kind == "safetensors" else "pickled checkpoint"
        raise UserError(
            f"{path} is a {what}, though its name says {suffix}; rename it to "
            f"{path.stem}{'.safetensors' if kind == 'safetensors' else '.pth'}"
        )
    return kind


def _inspect_safetensors(path: Path, file: IO[bytes], size: int) -> None:
    length = struct.unpack("<Q", file.read(8))[0]
    if length > size - 8:
        raise UserError(f"{path} is damaged: its header claims {length:,} bytes, of {size - 8:,} that there are")
    if length > LARGEST_HEADER:
        raise UserError(f"{path} is refused: its header of {length:,} bytes is above {LARGEST_HEADER:,}")
    text = file.read(length)
    if text.count(b'"data_offsets"') > MOST_TENSORS:
        raise UserError(f"{path} is refused: it lists more than {MOST_TENSORS:,} tensors")
    header = _header(path, text)
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise UserError(f"{path} is damaged: its metadata is not text")
    end, last = 0, "the header"
    for begin, stop, name in sorted(_span(path, name, entry) for name, entry in header.items()):
        if begin != end:
            what = "overlap" if begin < end else "leave a gap"
            raise UserError(f"{path} is damaged: {last} and {name!r} {what} in the file")
        end, last = stop, repr(name)
    if end != size - 8 - length:
        raise UserError(f"{path} is damaged: its tensors take {end:,} bytes, of {size - 8 - length:,} that there are")


def _header(path: Path, text: bytes) -> dict[str, Any]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = dict(pairs)
        if len(names) < len(pairs):
            raise ValueError("a name stands there twice")
        return names

    try:
        header = json.loads(text, object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is damaged: its header is no JSON of safetensors ({error})") from error
    if not isinstance(header, dict):
        raise UserError(f"{path} is damaged: its header is no JSON object")
    return header


def _span(path: Path, name: str, entry: Any) -> tuple[int, int, str]:
    """Return where a tensor begins and ends in the file, once its shape says the same."""
    try:
        (begin, stop), shape, bits = entry["data_offsets"], entry["shape"], ELEMENT_BITS[entry["dtype"]]
        sound = isinstance(shape, list) and len(shape) <= MOST_SIDES
        sound = sound and all(type(n) is int and 0 <= n < 1 << 62 for n in (begin, stop, *shape))
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} is damaged: the header's entry for {name!r} is none of a tensor") from error
    if not sound or (math.prod(shape) * bits + 7) // 8 != stop - begin:
        raise UserError(f"{path} is damaged: the shape of {name!r} and its bytes disagree")
    return begin, stop, name


def _inspect_zip(path: Path, file: IO[bytes], size: int) -> None:
    """Inspect what torch writes since 1.6: an archive of one pickle and, as they are, the bytes of its tensors."""
    _require_one_directory(path, file, size)
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            _require_plain(path, members, size)
            if any(member.filename.rpartition("/")[2] == "constants.pkl" for member in members):
                raise UserError(f"{path} is a program (TorchScript), not weights; save its state_dict() instead")
            pickles = [member for member in members if member.filename.rpartition("/")[2] == "data.pkl"]
            if len(pickles) != 1:
                raise UserError(f"{path} is an archive, but no checkpoint of PyTorch: it holds no data.pkl")
            with archive.open(pickles[0]) as stream:
                walk = _walked(path, [stream.read(LARGEST_PICKLE)])
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError, struct.error) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path} is damaged: {error}; copy it again") from error
    sizes = {member.filename: member.file_size for member in members}
    folder = pickles[0].filename.removesuffix("data.pkl")
    for storage in walk.storages.values():
        there = sizes.get(f"{folder}data/{storage.key}", 0)
        if there != storage.bytes:
            raise UserError(
                f"{path} is damaged: a tensor claims {storage.bytes:,} bytes, and its record has {there:,}; "
                "copy it again"
            )


def _require_one_directory(path: Path, file: IO[bytes], size: int) -> None:
    """Raise UserError where readers may disagree about which list of files the archive ends with, or it is too long."""
    file.seek(max(0, size - END - LOCATOR - RECORD))
    tail = file.read()
    end, locator, record = tail[-END:], tail[-END - LOCATOR : -END], tail[: -END - LOCATOR]
    if not end.startswith(b"PK\x05\x06"):
        raise UserError(f"{path} is damaged: the archive has no end, so it was cut off; copy it again")
    length, begin = struct.unpack("<II", end[12:20])
    stop = size - END
    if locator.startswith(b"PK\x06\x07"):
        stop -= LOCATOR + RECORD
        if not record.startswith(b"PK\x06\x06") or struct.unpack("<Q", locator[8:16])[0] != stop:
            raise UserError(f"{path} is damaged: the end of the archive contradicts itself; copy it again")
        length, begin = struct.unpack("<QQ", record[40:56])
    if begin + length != stop:
        raise UserError(f"{path} is damaged: the end of the archive contradicts itself; copy it again")
    if length > LARGEST_DIRECTORY:  # which reading the list would fill the memory with
        raise UserError(f"{path} is refused: its archive lists more files than a checkpoint has")


def _require_plain(path: Path, members: list[zipfile.ZipInfo], size: int) -> None:
    """Raise UserError where an archive holds what torch never writes: compressed, linked or overlapping files."""
    for member in members:
        parts = member.filename.split("/")
        if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
            raise UserError(f"{path} is refused: {member.filename!r} in it is compressed, which no checkpoint is")
        if member.flag_bits & 1:
            raise UserError(f"{path} is refused: {member.filename!r} in it is encrypted")
        if stat.S_ISLNK(member.external_attr >> 16) or ".." in parts or not parts[0]:
            raise UserError(f"{path} is refused: {member.filename!r} in it leads elsewhere")
        if parts[-1] == "data.pkl" and member.file_size > LARGEST_PICKLE:
            raise UserError(f"{path} is refused: its pickle of {member.file_size:,} bytes is above {LARGEST_PICKLE:,}")
    if len({member.filename for member in members}) < len(members):
        raise UserError(f"{path} is refused: its archive holds two files of one name")
    total = sum(member.file_size for member in members)
    if total > size:
        raise UserError(f"{path} is refused: its archive claims {total:,} bytes, of {size:,} that there are")


def _inspect_legacy(path: Path, file: IO[bytes], size: int) -> None:
    """Inspect what torch wrote until 1.5: five pickles, of which the fourth holds the tensors, then their bytes."""
    start = io.BytesIO(file.read(LARGEST_PICKLE))
    walk = _walked(path, [start] * LEGACY_PICKLES)
    claimed = sum(storage.bytes + COUNT for storage in walk.storages.values())
    there = size - start.tell()
    if claimed > there:
        raise UserError(f"{path} is damaged: its tensors claim {claimed:,} bytes, of {there:,} that there are")
    if claimed > LARGEST_LEGACY:  # all of which is read at once
        raise UserError(
            f"{path} is refused: tensors of {claimed:,} bytes in the form of PyTorch 1.5 are above {LARGEST_LEGACY:,}; "
            "load and save them with a later one"
        )


def _walked(path: Path, pickles: Sequence[bytes | IO[bytes]]) -> Walk:
    """Return the walk through pickles that hold nothing but tensors and plain values."""
    walk = Walk()
    try:
        for pickled in pickles:
            walk.follow(pickled)
    except RefusedError as error:
        raise refusal(path, error) from None
    except (ValueError, OverflowError, MemoryError, AssertionError) as error:
        raise UserError(f"{path} is damaged: its pickle breaks off or is none; copy it again") from error
    return walk
