"""Archives that torch never wrote."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from pathlib import Path

import torch

from hostile.register import archive, hostile, lenet, system


@hostile(".pth", "is compressed, which no checkpoint is")
def zip_bomb(path: Path) -> None:
    archive(path, pickle.dumps({}, 2), ("a/data/0", bytes(64 << 20)), method=zipfile.ZIP_DEFLATED)


@hostile(".pth", "claims .* bytes, of .* that there are")
def overlapping_members(path: Path) -> None:
    """Every entry of the list points to the same bytes."""
    archive(path, pickle.dumps({}, 2), *((f"a/data/{i}", bytes(1000 if i else 500_000)) for i in range(20)))
    data = bytearray(path.read_bytes())
    places = [i for i in range(len(data)) if data[i : i + 4] == b"PK\x01\x02"]
    large = next(place for place in places if b"a/data/0" in data[place : place + 60])
    for place in places[-10:]:
        data[place + 16 : place + 28] = data[large + 16 : large + 28]  # checksum and sizes
        data[place + 42 : place + 46] = data[large + 42 : large + 46]  # where it is
    path.write_bytes(data)


@hostile(".pth", "lists more files than a checkpoint has")
def a_hundred_thousand_members(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as file:
        for i in range(160_000):
            file.writestr(f"a/{i}", b"")


@hostile(".pth", "'a/data/0' in it leads elsewhere")
def link_in_the_archive(path: Path) -> None:
    link = zipfile.ZipInfo("a/data/0")
    link.external_attr = 0o120777 << 16
    archive(path, pickle.dumps({}, 2), (link, b"/etc/passwd"))


@hostile(".pth", "leads elsewhere")
def path_out_of_the_archive(path: Path) -> None:
    archive(path, pickle.dumps({}, 2), ("a/../../evil", b""))


@hostile(".pth", "two files of one name")
def two_members_of_one_name(path: Path) -> None:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        archive(path, pickle.dumps({}, 2), ("a/data.pkl", system(path)))


@hostile(".pth", "holds no data.pkl")
def two_pickles(path: Path) -> None:
    archive(path, pickle.dumps({}, 2), ("b/data.pkl", system(path)))


@hostile(".pth", "holds no data.pkl")
def archive_of_something_else(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("word/document.xml", b"<w/>")


@hostile(".pth", "has no end, so it was cut off")
def truncated_archive(path: Path) -> None:
    torch.save(lenet(), path)
    os.truncate(path, path.stat().st_size // 2)


@hostile(".pth", "is damaged|its pickle")
def archive_of_nonsense(path: Path) -> None:
    archive(path, b"\x80\x02}(((((((")


@hostile(".pth", "the end of the archive contradicts itself")
def two_lists_of_members(path: Path) -> None:
    """One list stands where Python looks, the other where the end says."""
    archive(path, system(path))
    other = path.with_suffix(".other")
    archive(other, pickle.dumps({}, 2))
    first, second = path.read_bytes(), other.read_bytes()
    other.unlink()
    begin = second.index(b"PK\x01\x02")
    end = bytearray(second[-22:])
    end[16:20] = first.index(b"PK\x01\x02").to_bytes(4, "little")
    path.write_bytes(first[:-22] + second[begin:-22] + end)


@hostile(".pth", "a tensor claims 240 bytes, and its record has 4")
def record_that_is_too_short(path: Path) -> None:
    """What torch would read on in the next record."""
    stream = io.BytesIO()
    torch.save({"w": torch.zeros(60)}, stream)
    with zipfile.ZipFile(stream) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            new.writestr(name, content[:4] if name.endswith("data/0") else content)
