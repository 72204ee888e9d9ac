"""What all hostile files share: the register of those that must be refused, and how to write an archive as torch does.

Each is written by a function of its name, to the path that it is given. Those that would run code make the file
`MARK` in their folder, were they ever carried out.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

from torch import Tensor

MARK = "was-run"
LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}q\x00."  # what torch wrote before 1.6
Writer = Callable[[Path], object]
HOSTILE: dict[str, tuple[str, str, Writer]] = {}


def hostile(suffix: str, message: str) -> Callable[[Writer], Writer]:
    """Register a file that must be refused with a message like `message`."""

    def add(write: Writer) -> Writer:
        HOSTILE[write.__name__] = (suffix, message, write)
        return write

    return add


def lenet() -> dict[str, Tensor]:
    """Return tensors that lenet5 takes."""
    import lenext

    return dict(lenext.create("lenet5").state_dict())


def archive(
    path: Path, data: bytes, *others: tuple[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_STORED
) -> None:
    """Write an archive as torch does, with this pickle."""
    with zipfile.ZipFile(path, "w", method) as file:
        for name, content in (("a/data.pkl", data), ("a/version", b"3\n"), *others):
            file.writestr(name, content)


def shell(path: Path) -> bytes:
    """Return the command that a pickle would run."""
    return f"touch '{path.parent / MARK}'".encode()


def text(value: bytes) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value


def system(path: Path) -> bytes:
    """Return a pickle of protocol 2 that calls os.system."""
    return b"\x80\x02cos\nsystem\n" + text(shell(path)) + b"\x85R."
