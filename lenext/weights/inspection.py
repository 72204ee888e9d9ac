"""A look at a file of weights before anything loads it: what it is, and whether it is safe and whole.

Nothing here needs torch, and nothing in a file is believed: sizes are held against the bytes that are there, and the
instructions of a pickle are listed, never carried out.
"""

from __future__ import annotations

import io
import json
import math
import os
import pickletools
import re
import stat
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Literal

from lenext.errors import UserError

Kind = Literal["safetensors", "zip", "legacy"]
PICKLED = (".pth", ".pt", ".th", ".bin", ".ckpt", ".tar")
SUFFIXES = (".safetensors", *PICKLED)
LARGEST_HEADER = 16 << 20  # bytes; 20,000 class names and the digests of a million images fit
LARGEST_PICKLE = 32 << 20
LARGEST_DIRECTORY = 8 << 20  # bytes; a file takes some hundred
MOST_TENSORS = 20_000  # the deepest network of 1,202 layers has 7,000
MOST_SIDES = 16  # of a tensor's shape
MOST_OPERATIONS = 1_000_000  # of a pickle; a tensor takes some twenty
ELEMENT_BITS = {"BOOL": 8, "U8": 8, "I8": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32,
                "F32": 32, "F64": 64, "I64": 64, "U64": 64, "C64": 64, "F8_E4M3": 8, "F8_E5M2": 8,
                "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "F8_E8M0": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6}  # fmt: skip
LEGACY_START = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # the number that torch wrote first until 1.5
# Everything that a pickle of tensors in dictionaries names. torch allows more, which no weights need.
HARMLESS = re.compile(
    r"collections OrderedDict|torch Size|torch\.storage (Untyped|Typed)Storage|torch\.nn\.parameter Parameter"
    r"|torch \w+Storage|torch (float|double|half|int|long|short)|torch (bfloat|float|int|uint|complex)\d+\w*|torch bool"
    r"|torch\._utils _rebuild_(tensor|tensor_v2|tensor_v3|parameter|parameter_with_state)"
    r"|torch device"
)
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
                _inspect_legacy(path, file)
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
    file.seek(max(0, size - (1 << 16) - 22))
    tail = file.read()
    place = tail.rfind(b"PK\x05\x06")
    if place < 0:
        raise UserError(f"{path} is damaged: the archive has no end, so it was cut off; copy it again")
    if _directory_size(file, tail, place) > LARGEST_DIRECTORY:  # which reading the list would fill the memory with
        raise UserError(f"{path} is refused: its archive lists more files than a checkpoint has")
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
                _require_harmless(path, stream.read(LARGEST_PICKLE))
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError, struct.error) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path} is damaged: {error}; copy it again") from error


def _directory_size(file: IO[bytes], tail: bytes, place: int) -> int:
    """Return how many bytes the list of an archive's files takes, by both records that may say so."""
    size = int.from_bytes(tail[place + 12 : place + 16], "little")
    if place >= 20 and tail[place - 20 :].startswith(b"PK\x06\x07"):
        file.seek(min(int.from_bytes(tail[place - 12 : place - 4], "little"), 1 << 62))
        size = max(size, int.from_bytes(file.read(56)[40:48], "little"))
    return size


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


def _inspect_legacy(path: Path, file: IO[bytes]) -> None:
    """Inspect what torch wrote till 1.5: five pickles, of which the fourth holds the tensors, then their bytes."""
    start = io.BytesIO(file.read(LARGEST_PICKLE))
    for _ in range(5):
        _require_harmless(path, start)


def _require_harmless(path: Path, pickled: bytes | IO[bytes]) -> None:
    """Raise UserError where a pickle names what no weights need, or has no end."""
    for count, (operation, argument, _) in enumerate(_operations(path, pickled)):
        if count > MOST_OPERATIONS:
            raise UserError(f"{path} is refused: its pickle has more instructions than weights need")
        if operation == "GLOBAL" and HARMLESS.fullmatch(str(argument)):
            continue
        if operation in CALLING:
            what = str(argument).replace(" ", ".") if argument is not None else f"an instruction {operation}"
            raise UserError(
                f"{path} is refused: loading it would run code, for it names {what[:100]}; save the state_dict() "
                "alone, or as .safetensors"
            )


CALLING = {"GLOBAL", "STACK_GLOBAL", "INST", "OBJ", "EXT1", "EXT2", "EXT4", "NEWOBJ_EX", "PERSID", "NEXT_BUFFER"}


def _operations(path: Path, pickled: bytes | IO[bytes]) -> Iterator[tuple[str, Any, int | None]]:
    try:
        for operation, argument, place in pickletools.genops(pickled):
            yield operation.name, argument, place
    except (ValueError, OverflowError, MemoryError, AssertionError) as error:
        raise UserError(f"{path} is damaged: its pickle breaks off or is none; copy it again") from error
