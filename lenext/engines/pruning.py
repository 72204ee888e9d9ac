"""Leaving out of an ONNX file what an answer does not need; ONNX Runtime works out all that is in a graph.

A file is a protocol buffer, of which only nodes and outputs are read here; weights, which are most of it, are passed
over.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from lenext.engines.exported import GRAPH_FIELD, read_field

NODE, OUTPUT = 1, 12  # of ONNX's GraphProto
INPUTS, OUTPUTS, KIND = 1, 2, 4  # of its NodeProto
NAME = 1  # of its ValueInfoProto
CHEAP = {"Reshape", "Unsqueeze", "Squeeze", "Identity", "Flatten", "Transpose", "Cast"}  # which cost no arithmetic
NESTED = {"If", "Loop", "Scan"}  # whose graphs inside use values that their inputs do not name


@dataclass(frozen=True)
class _Part:
    """A field of a message: its number, where it starts, where its content does, and where both end."""

    number: int
    start: int
    content: int
    end: int


def pruned(path: Path, wanted: Collection[str]) -> bytes | None:
    """Return the file without what none of the wanted outputs needs, or None where that would save no arithmetic.

    Raises:
        ValueError: no file of ONNX.
    """
    with path.open("rb") as file:
        end = file.seek(0, io.SEEK_END)
        graph = next((part for part in _parts(file, 0, end) if part.number == GRAPH_FIELD), None)
        if graph is None:
            raise ValueError("there is no graph in it")
        parts = list(_parts(file, graph.content, graph.end))
        idle = _idle(file, parts, set(wanted))
        if idle is None:
            return None
        file.seek(0)
        data = memoryview(file.read())
    kept = [data[part.start : part.end] for part in parts if part.start not in idle]
    head = bytes([GRAPH_FIELD << 3 | 2]) + _varint(sum(map(len, kept)))
    return b"".join([data[: graph.start], head, *kept, data[graph.end :]])


def _idle(file: BinaryIO, parts: list[_Part], needed: set[str]) -> set[int] | None:
    """Return where those nodes and outputs start that nobody needs, or None where they cost nothing."""
    idle, cost = set[int](), False
    for part in parts:
        if part.number == OUTPUT and needed.isdisjoint(_texts(file, part, NAME)):
            idle.add(part.start)
    for part in reversed([part for part in parts if part.number == NODE]):  # users come after what they use
        kind = _texts(file, part, KIND)[0]
        if kind in NESTED:
            return None
        if needed.isdisjoint(_texts(file, part, OUTPUTS)):
            idle.add(part.start)
            cost |= kind not in CHEAP
        else:
            needed.update(_texts(file, part, INPUTS))
    return idle if cost else None


def _texts(file: BinaryIO, message: _Part, number: int) -> list[str]:
    """Return the texts that stand under a number in a message."""
    found = []
    for part in _parts(file, message.content, message.end):
        if part.number == number:
            file.seek(part.content)
            found.append(file.read(part.end - part.content).decode())
    return found


def _parts(file: BinaryIO, at: int, end: int) -> Iterator[_Part]:
    """Yield the fields of the message between two places; the file may be read elsewhere in between."""
    while at < end:
        file.seek(at)
        number, length = read_field(file)
        content = file.tell()
        if content + length > end:
            raise ValueError("it ends in the middle")
        yield _Part(number, at, content, content + length)
        at = content + length


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])
