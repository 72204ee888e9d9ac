"""Exported files: what one says of itself, read without the library that runs it."""

from __future__ import annotations

import base64
import binascii
import io
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from lenext.data.decode import ImageForm
from lenext.data.preprocessing import Preprocessing
from lenext.errors import UserError, one_line
from lenext.files import parse_stamped
from lenext.weights.classes import ClassList

Format = Literal["onnx", "openvino", "ncnn"]
# How the files of each format end; the first is the one that is named.
ENDINGS: dict[Format, tuple[str, ...]] = {
    "onnx": (".onnx",),
    "openvino": (".xml", ".bin"),
    "ncnn": (".param", ".bin", ".json"),
}
SUFFIXES: dict[str, Format] = {endings[0]: name for name, endings in ENDINGS.items()}

KEY = "lenext"  # under which the metadata stands, as JSON
IMAGES, PIXELS = "images", "pixels"  # the input: uint8 images of any size, or what the network sees
PROBABILITIES, CLASS_MAP, LOGITS = OUTPUTS = ("probabilities", "class_map", "logits")
LARGEST_METADATA = 64 << 20  # bytes
GRAPH_FIELD, METADATA_FIELD = 7, 14  # of ONNX's ModelProto

REQUIRED = {
    "model": str,
    "class_names": list,
    "preprocessing": dict,
    "preprocessing_inside": bool,
    "figures": dict,
    "trained_on": dict,
    "precision": str,
}


@dataclass(frozen=True, kw_only=True)
class FramedForm(ImageForm):
    """A form for images of which somebody cuts out the middle, of the size `inner`, and then has what `crop` cuts out.

    Without knowing of the second cut, the two together could be half a pixel off, twice.
    """

    inner: tuple[int, int]

    @property
    def kept(self) -> tuple[int, int]:
        """The size of what is cut out in the end."""
        return self.inner


@dataclass(frozen=True)
class ExportedFile:
    """A file that `lenext export` wrote, and what it says of itself.

    `inside` says whether the graph takes uint8 images of any size, or only what the network sees. `trained_on` are
    the digests of the images that the weights were trained on.
    """

    path: Path
    format: Format
    metadata: Mapping[str, Any]
    classes: ClassList
    preprocessing: Preprocessing
    inside: bool
    trained_on: NDArray[np.uint64]

    @property
    def given(self) -> ImageForm:
        """The form in which images are given to the graph, so that its own preprocessing has no more to resize.

        What is left for the graph, to cut the middle out, then comes to the same pixels as from the whole image.
        """
        form = self.preprocessing.form
        if not self.inside or form.fit != "crop":
            return form
        height, width = form.size
        covered = round(height / form.crop_ratio), round(width / form.crop_ratio)
        return FramedForm(size=covered, channels=form.channels, interpolation=form.interpolation, inner=form.size)


def files_of(path: Path) -> list[Path]:
    """Return all files that an exported file is made of, the one that is named in front."""
    return [path, *(path.with_suffix(ending) for ending in ENDINGS[SUFFIXES[path.suffix.lower()]][1:])]


def is_exported(target: str | Path) -> bool:
    """Say whether a target is a file of a format that other engines run, by its name."""
    return Path(target).suffix.lower() in SUFFIXES


def read_exported(target: str | Path) -> ExportedFile:
    """Return what an exported file says of itself.

    Raises:
        UserError: not there, damaged, not written by lenext, or of a format that this version does not know.
    """
    path = Path(target)
    kind = SUFFIXES[path.suffix.lower()]
    try:
        for each in files_of(path):
            each.open("rb").close()
        text = _READERS[kind](path)
    except FileNotFoundError as error:
        raise UserError(f"there is no file {error.filename}") from None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, ET.ParseError, RecursionError) as error:
        raise UserError(f"{path} is damaged or no file of this format: {one_line(error)}; export it again") from None
    if text is None:
        raise UserError(
            f"{path} was not written by lenext: it carries no class names or preprocessing; lenext export writes one"
        )
    metadata = parse_stamped(text, str(path))
    unusable = [key for key, kind_ in REQUIRED.items() if not isinstance(metadata.get(key), kind_)]
    if unusable:
        raise UserError(f"{path} is damaged: its metadata has no usable {', '.join(unusable)}; export it again")
    ids = metadata.get("class_ids")
    return ExportedFile(
        path, kind, metadata,
        ClassList(tuple(metadata["class_names"]), tuple(ids) if ids else None),
        Preprocessing.from_json(metadata["preprocessing"], str(path)),
        metadata["preprocessing_inside"],
        _digests(metadata.get("digests", ""), path),
    )  # fmt: skip


def _digests(text: str, path: Path) -> NDArray[np.uint64]:
    try:
        return np.frombuffer(base64.b64decode(text, validate=True), np.uint64)
    except (binascii.Error, ValueError, TypeError):
        raise UserError(f"{path} is damaged: its digests cannot be read; export it again") from None


def _of_onnx(path: Path) -> str | None:
    """Return the metadata of an ONNX file, whose graph, which may be large, is passed over."""
    with path.open("rb") as file:
        end, graph = file.seek(0, io.SEEK_END), False
        file.seek(0)
        while file.tell() < end:
            number, length = read_field(file)
            if file.tell() + length > end:
                raise ValueError("it ends in the middle")
            graph |= number == GRAPH_FIELD
            if number != METADATA_FIELD or length > LARGEST_METADATA:
                file.seek(length, io.SEEK_CUR)
                continue
            entry = io.BytesIO(file.read(length))
            pair: dict[int, bytes] = {}
            while entry.tell() < length:
                part, size = read_field(entry)
                pair[part] = entry.read(size)
            if pair.get(1, b"").decode() == KEY:
                return pair.get(2, b"").decode()
    if not graph:
        raise ValueError("there is no graph in it")
    return None


def read_field(file: BinaryIO | io.BytesIO) -> tuple[int, int]:
    """Return the number of the next field of a protocol buffer, and how many bytes of it follow."""
    tag = _varint(file)
    kind = tag & 7
    if kind == 0:  # a number, which is passed over here
        _varint(file)
        return tag >> 3, 0
    lengths = {1: 8, 5: 4}
    if kind != 2 and kind not in lengths:
        raise ValueError(f"a field of kind {kind}")
    return tag >> 3, lengths.get(kind) or _varint(file)


def _varint(file: BinaryIO | io.BytesIO) -> int:
    value = shift = 0
    while shift < 64:
        byte = file.read(1)
        if not byte:
            raise ValueError("it ends in the middle")
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
        shift += 7
    raise ValueError("a number that never ends")


def _of_openvino(path: Path) -> str | None:
    found = ET.parse(path).getroot().find(f"rt_info/{KEY}")
    return None if found is None else found.get("value")


def _of_ncnn(path: Path) -> str | None:
    return path.with_suffix(".json").read_text(encoding="utf-8")


_READERS: dict[Format, Callable[[Path], str | None]] = {
    "onnx": _of_onnx, "openvino": _of_openvino, "ncnn": _of_ncnn,
}  # fmt: skip
