"""What a shard holds: the members of its tar file, grouped into samples of one image and one label each.

Nothing of a tar file is written anywhere, no link in one is followed, and nothing is unpickled: of the files of a
sample the label alone is read.
"""

from __future__ import annotations

import json
import re
import tarfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lenext.data.decode import SUFFIXES
from lenext.data.shard_streams import Shard, ShardStream, open_stream
from lenext.data.source import label_indices
from lenext.errors import LenextError, UserError, one_line

HEADER_BYTES = 16 * 2**10  # what the headers of one member may take; the longest path takes a quarter of it
COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstandard"}
ZEROS = bytes(tarfile.BLOCKSIZE)
LARGEST_IMAGE, LARGEST_LABEL = 256 * 2**20, 2**20  # bytes
LONGEST_LABEL = 200  # characters
LABEL_KINDS = ("cls", "json", "txt")  # of several the first is the label
NUMBER = re.compile(r"-?\d+", re.ASCII)
PASSED_OVER = re.compile(r"__[^/]*__($|/)|(.*/)?\.[^/]*$", re.DOTALL)  # WebDataset's own notes, and hidden files


@dataclass(frozen=True)
class ShardContents:
    """What one pass through a shard found of its N samples.

    `offsets` and `sizes` say where the images lie, (N,); `names` are those of the images, joined, each up to its
    `name_ends`; `labels` are indices in `label_names`, (N,). `number` and `word` name a sample whose `.cls` holds a
    whole number, and one whose `.cls` does not, if there are such.
    """

    shard: Shard
    offsets: NDArray[np.int64]
    sizes: NDArray[np.int64]
    names: bytes
    name_ends: NDArray[np.int64]
    labels: NDArray[np.int64]
    label_names: tuple[str, ...]
    number: str
    word: str


@dataclass(frozen=True)
class _File:
    """A file in a shard: where its bytes lie, and these themselves where they may be a label."""

    name: str
    offset: int
    size: int
    content: bytes | None


@dataclass
class _Found:
    """The samples of a shard so far."""

    shard: Shard
    images: list[_File] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    number: str = ""
    word: str = ""

    def add(self, files: Mapping[str, _File]) -> None:
        """Add a sample: its files by what their names end in.

        Raises:
            UserError: it has several images, or one of image and label alone.
        """
        images = [ending for ending in files if f".{ending}" in SUFFIXES]
        kind = next((kind for kind in LABEL_KINDS if kind in files), "")
        if not images and not kind:
            return
        where = f"{self.shard.name}: the sample of {next(iter(files.values())).name!r}"
        if len(images) != 1:
            has = f"has {len(images) or 'no'} images ({', '.join(files)[:100]})"
            raise UserError(f"{where} {has}; a sample is one image and its label")
        if not kind:
            raise UserError(f"{where} has no label; add a .cls with the number of its class, or a .txt with its name")
        label = _label(kind, files[kind], where)
        if kind == "cls" and NUMBER.fullmatch(label):
            self.number = self.number or f"{where} ({label})"
        elif kind == "cls":
            self.word = self.word or f"{where} ({label!r})"
        self.images.append(files[images[0]])
        self.labels.append(label)

    def contents(self, version: str) -> ShardContents:
        """Return all of it in little memory."""
        names = [_printable(image.name).encode() for image in self.images]
        label_names = tuple(sorted(set(self.labels)))
        return ShardContents(
            replace(self.shard, version=version),
            np.array([image.offset for image in self.images], np.int64),
            np.array([image.size for image in self.images], np.int64),
            b"".join(names),
            np.cumsum([len(name) for name in names], dtype=np.int64),
            label_indices(self.labels, label_names),
            label_names,
            self.number,
            self.word,
        )


def scan_shard(shard: Shard, stop: threading.Event) -> ShardContents:
    """Go through a shard once and return what it holds; an early end where `stop` is set.

    Raises:
        UserError: no plain tar file, a damaged one, or a sample without one image and one label.
        LenextError: the line broke for good.
    """
    from webdataset.tariterators import group_by_keys

    found = _Found(shard)
    with closing(open_stream(shard)) as stream:
        latest = ""

        def files() -> Iterator[dict[str, Any]]:
            nonlocal latest
            for file in _files(stream, shard):
                if stop.is_set():
                    return
                latest = file.name
                yield {"fname": latest, "data": file, "__url__": shard.name}

        try:
            for sample in group_by_keys(files(), keys=_key):
                found.add({ending: file for ending, file in sample.items() if isinstance(file, _File)})
        except LenextError:
            raise
        except ValueError as error:  # how the library says this one thing
            raise UserError(f"{shard.name}: {latest!r} is twice in its sample; give each sample its own key") from error
        return found.contents(stream.version)


def _files(stream: ShardStream, shard: Shard) -> Iterator[_File]:
    """Yield the regular files of a shard that can belong to a sample, in order.

    Raises:
        UserError: the shard is damaged, or an image or a label too large.
    """
    for member in _members(stream, shard):
        if not member.isreg() or PASSED_OVER.match(member.name):
            continue
        ending = _key(member.name)[1].lower()
        is_image, is_label = f".{ending}" in SUFFIXES, ending in LABEL_KINDS
        where = f"{shard.name}: {member.name[:100]!r}"
        if member.issparse() and (is_image or is_label):
            raise UserError(f"{where} is stored with holes (sparse); write the shard without")
        if is_image and member.size > LARGEST_IMAGE:
            raise UserError(f"{where} has {member.size:,} bytes; an image has at most {LARGEST_IMAGE:,}")
        if is_label and member.size > LARGEST_LABEL:
            raise UserError(f"{where} has {member.size:,} bytes; a label has at most {LARGEST_LABEL:,}")
        offset = stream.tell()
        content = stream.read(member.size) if is_label else None
        if content is not None and len(content) < member.size:
            raise _cut_off(shard, stream)
        yield _File(member.name, offset, member.size, content)


def _key(name: str) -> tuple[str | None, str]:
    """Return what the files of a sample have in common, and what they differ in, from the first dot on.

    The library's own says the same, but takes long over names that were made to be slow.
    """
    folder, slash, file = name.rpartition("/")
    stem, dot, ending = file.partition(".")
    return (f"{folder}{slash}{stem}", ending) if stem and dot else (None, "")


def _members(stream: ShardStream, shard: Shard) -> Iterator[tarfile.TarInfo]:
    """Yield the members of a tar file; the stream then stands where the bytes of each begin.

    Raises:
        UserError: no tar file, a damaged one, or one that is cut off.
    """
    headers = _Headers(stream)
    try:
        tar: Any = tarfile.TarFile(fileobj=headers, mode="r", encoding="utf-8")  # type: ignore[arg-type]
        while (member := tar.next()) is not None:
            # Headers for all members that follow have no use here, and a shard could bring ever more of them.
            tar.members.clear()
            tar.pax_headers.clear()
            headers.left = HEADER_BYTES
            yield member
    except LenextError:
        raise
    except Exception as error:  # tarfile raises errors of many kinds on damaged headers
        kind = next((kind for magic, kind in COMPRESSED.items() if headers.last.startswith(magic)), None)
        if kind:
            raise UserError(
                f"{shard.name} is compressed ({kind}); shards are plain tar files: decompress it"
            ) from error
        reason = f"no tar file, or damaged at byte {stream.tell():,}: {one_line(error)}"
        raise UserError(f"{shard.name} is {reason}; fetch or write it again") from error
    if headers.last != ZEROS:  # tarfile takes a damaged header, or none, for the end
        raise _cut_off(shard, stream)


class _Headers:
    """What tarfile reads of a shard: headers, forward alone, and never more than `left` bytes of them."""

    def __init__(self, stream: ShardStream) -> None:
        self._stream = stream
        self.left, self.last = HEADER_BYTES, b""

    def read(self, count: int) -> bytes:
        if not 0 <= count <= self.left:
            raise tarfile.ReadError(f"headers of more than {HEADER_BYTES:,} bytes")
        self.left -= count
        self.last = self._stream.read(count)
        return self.last

    def seek(self, position: int) -> None:
        if position < self._stream.tell():
            raise tarfile.ReadError("a member of a negative size")
        self._stream.seek(position)

    def tell(self) -> int:
        return self._stream.tell()


def _cut_off(shard: Shard, stream: ShardStream) -> UserError:
    return UserError(f"{shard.name} is damaged or cut off at byte {stream.tell():,}; fetch or write it again")


def _label(kind: str, file: _File, where: str) -> str:
    """Return a label as text, a whole number without leading zeros.

    Raises:
        UserError: it is no label.
    """
    where = f"{where}: its .{kind}"
    assert file.content is not None
    try:
        text = file.content.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise UserError(f"{where} is no UTF-8 text; write the class into it") from error
    if kind == "json":
        text = _label_of_json(text, where)
    if not text or len(text) > LONGEST_LABEL or not text.isprintable():
        shown = f"{text[:40]!r}{'...' if text[40:] else ''}"
        raise UserError(f"{where} holds {shown}; a class is one line of at most {LONGEST_LABEL} characters")
    if kind == "cls" and NUMBER.fullmatch(text):
        text = str(int(text))
    if kind != "txt" and text.startswith("-") and NUMBER.fullmatch(text):
        raise UserError(f"{where} holds {text}; classes count from 0, and unlabelled shards are left out")
    return text


def _label_of_json(text: str, where: str) -> str:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{where} is damaged: {one_line(error)}") from error
    label = value.get("label") if isinstance(value, dict) else None
    if isinstance(label, bool) or not isinstance(label, int | str):
        raise UserError(f"{where} has no 'label' that is a whole number or a name; add it, or a .cls")
    return str(label)


def _printable(name: str) -> str:
    """Return a name that does nothing but show on a terminal."""
    return name if name.isprintable() else name.encode("unicode_escape").decode()
