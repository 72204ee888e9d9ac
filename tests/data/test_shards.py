"""WebDataset shards: real tar files of real images, on this machine and behind https, and what must not come in."""

from __future__ import annotations

import gzip
import io
import itertools
import os
import pickle
import socket
import subprocess
import sys
import tarfile
import tracemalloc
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import braceexpand
import huggingface_hub
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pictures import encoded, png, stripes
from PIL import Image
from shard_server import OPENSSL, ShardServer
from webdataset.tariterators import base_plus_ext

import lenext
from lenext.data import shard_streams
from lenext.data.decode import ImageForm
from lenext.data.opening import open_source
from lenext.data.preprocessing import Preprocessing
from lenext.data.reading import read_split
from lenext.data.shard_samples import _key
from lenext.data.shards import MOST_SHARDS, ShardItems, _count, shard_names
from lenext.data.source import Source
from lenext.data.training_loader import TrainingLoader
from lenext.errors import LenextError, UserError
from lenext.processes import ALONE, Group

DOT = png(np.zeros((1, 1), np.uint8))
Files = Sequence[tuple[str, bytes]]


def tar(files: Files) -> bytes:
    """Return a tar file of the files, in this order."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as made:
        for name, data in files:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            made.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def write(root: Path, shards: Mapping[str, Files]) -> Path:
    root.mkdir(exist_ok=True)
    for name, files in shards.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(tar(files))
    return root


def sample(key: str, label: Any = 0, image: bytes = DOT) -> Files:
    return [(f"{key}.png", image), (f"{key}.cls", str(label).encode())]


def pictures(shards: int = 3, each: int = 8) -> dict[str, Files]:
    """Return shards of JPEG and PNG stripes, of two classes in turn."""
    made: dict[str, Files] = {}
    for i in range(shards):
        files: list[tuple[str, bytes]] = []
        for k in range(each):
            image = Image.fromarray(stripes(100 * i + k, upright=bool(k % 2)))
            kind = ("JPEG", "jpg") if k % 3 else ("PNG", "png")
            files += [(f"{i}{k:03}.{kind[1]}", encoded(image, kind[0])), (f"{i}{k:03}.cls", b"%d" % (k % 2))]
        made[f"train-{i:02}.tar"] = files
    return made


def images_of(shards: Mapping[str, Files]) -> list[bytes]:
    return [data for files in shards.values() for name, data in files if not name.endswith("cls")]


def items_of(source: Source, split: str = "train") -> ShardItems:
    items = source.splits[split].items
    assert isinstance(items, ShardItems)
    return items


def refused(location: str, kind: type[LenextError] = UserError) -> str:
    with pytest.raises(LenextError) as caught:
        open_source(location)
    assert type(caught.value) is kind
    assert str(caught.value).isprintable()
    return str(caught.value)


def refused_shard(root: Path, files: Files | bytes) -> str:
    data = files if isinstance(files, bytes) else tar(files)
    (root / "one.tar").write_bytes(data)
    reason = refused(f"shards:{root}/one.tar")
    assert f"{root}/one.tar" in reason
    return reason


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("shards"), pictures())


@pytest.fixture
def opened(shards: Path) -> Source:
    return open_source(f"shards:{shards}/train-{{00..02}}.tar")


# Samples, labels, splits


def test_images_labels_and_names_come_in_order(opened: Source, shards: Path) -> None:
    assert list(opened.splits) == ["train"]
    assert opened.class_names == ("0", "1")
    split, images = opened.splits["train"], images_of(pictures())
    assert split.labels.tolist() == [0, 1] * 12
    assert list(split.items) == images
    assert [split.items[i] for i in range(len(split))] == images
    assert split.items[-1] == images[-1]
    assert list(split.items[5:11:2]) == images[5:11:2]
    assert split.names[9] == f"{shards}/train-01.tar/1001.jpg"
    with pytest.raises(IndexError):
        split.items[24]


def test_a_part_is_taken_without_reading(opened: Source) -> None:
    images, order = images_of(pictures()), np.array([23, 0, 9, 8, 8, 10])
    part = items_of(opened).take(order)
    assert (len(part), list(part)) == (6, [images[i] for i in order])
    assert list(part.take(np.array([1, 2]))) == [images[0], images[9]]
    assert dict(part.shuffled(0, 0, 3)) == {i: images[k] for i, k in enumerate(order)}
    names = opened.splits["train"].names
    assert list(names.take(order)) == [names[i] for i in order]  # type: ignore[attr-defined]
    assert (list(part.take(np.arange(0))), list(part.take(np.arange(0)).shuffled(0, 0, 3))) == ([], [])


def test_an_epoch_sees_every_image_once_in_an_order_of_its_own(opened: Source) -> None:
    items, images = items_of(opened), images_of(pictures())
    first, again = (list(items.shuffled(1, 0, 5)) for _ in range(2))
    assert first == again
    assert sorted(i for i, _ in first) == list(range(24))
    assert all(image == images[i] for i, image in first)
    orders = [[i for i, _ in pairs] for pairs in (first, items.shuffled(1, 1, 5), items.shuffled(2, 0, 5))]
    assert len({tuple(order) for order in orders}) == 3
    whole = [i for i, _ in items.shuffled(1, 0, 100)]
    assert sum(a // 8 != b // 8 for a, b in itertools.pairwise(whole)) > 6  # shards are mixed
    apart = [i // 8 for i, _ in items.shuffled(1, 0, 1)]
    assert sum(a != b for a, b in itertools.pairwise(apart)) <= 4  # a buffer of one mixes none
    firsts = {next(items.shuffled(1, epoch, 1))[0] for epoch in range(20)}
    assert firsts == {0, 8, 16}


def test_items_travel_to_other_processes(opened: Source) -> None:
    copy = pickle.loads(pickle.dumps(opened.splits["train"]))
    assert list(copy.items) == images_of(pictures())
    assert copy.names[3] == opened.splits["train"].names[3]


def test_other_processes_need_no_torch_to_read_them(opened: Source, tmp_path: Path) -> None:
    (tmp_path / "items").write_bytes(pickle.dumps(opened.splits["train"].items))
    script = "import pickle, sys; print(len(pickle.load(sys.stdin.buffer)[3]), {'torch'} & set(sys.modules))"
    with (tmp_path / "items").open("rb") as file:
        done = subprocess.run([sys.executable, "-c", script], stdin=file, capture_output=True, text=True, check=True)
    assert done.stdout == f"{len(images_of(pictures())[3])} set()\n"


@pytest.mark.parametrize(
    ("files", "class_names", "labels"),
    [
        ([*sample("a", 10), *sample("b", 9), *sample("c", 10)], ("9", "10"), [1, 0, 1]),
        ([*sample("a", "007\n"), *sample("b", "7")], ("7",), [0, 0]),
        ([*sample("a", "mule"), *sample("b", "ant")], ("ant", "mule"), [1, 0]),
        ([("a.png", DOT), ("a.txt", "grüße\r\n".encode()), ("b.png", DOT), ("b.txt", b"7")], ("7", "grüße"), [1, 0]),
        (
            [("a.JPG", DOT), ("a.json", b'{"label": 3}'), ("b.jpg", DOT), ("b.json", b'{"label": 1}')],
            ("1", "3"),
            [1, 0],
        ),
        ([("a.jpg", DOT), ("a.json", b'{"label": "ant"}'), ("a.txt", b"A picture of an ant.")], ("ant",), [0]),
        ([("a.cls", b"5"), ("a.jpg", DOT), ("a.json", b"no json"), ("a.txt", b"\xff")], ("5",), [0]),
        ([("./in/a.png", DOT), ("./in/a.cls", b"5"), ("../in/a.png", DOT), ("../in/a.cls", b"6")], ("5", "6"), [0, 1]),
        ([("a.seg.png", b"mask"), ("a.png", DOT), ("a.cls", b"5"), ("a.npy", b"12"), ("a.pyd", b"")], ("5",), [0]),
        ([("__meta__/x.png", b""), ("readme.md", b""), ("d/._a.png", b""), *sample("d/a", 5)], ("5",), [0]),
        ([("." * 3 + "long/" * 50 + "a.png", DOT), ("." * 3 + "long/" * 50 + "a.cls", b"5")], ("5",), [0]),
    ],
    ids=["numbers", "zeros", "words", "txt", "json", "img2dataset", "imagenet", "folders", "others", "hidden", "long"],
)
def test_labels(files: Files, class_names: tuple[str, ...], labels: list[int], tmp_path: Path) -> None:
    source = open_source(f"shards:{write(tmp_path, {'one.tar': files})}/one.tar")
    assert source.class_names == class_names
    assert source.splits["all"].labels.tolist() == labels
    assert list(source.splits["all"].items) == [DOT] * len(labels)


@pytest.mark.parametrize(
    ("names", "pattern"),
    [
        (("train-0.tar", "val-0.tar", "test-0.tar"), "{train,val,test}-0.tar"),
        (("in1k-training-0.tar", "in1k_valid_0.tar", "in1k-test-0.tar"), "in1k{-training-,_valid_,-test-}0.tar"),
        (("train/0.tar", "dev/0.tar", "test/0.tar"), "{train,dev,test}/0.tar"),
    ],
)
def test_shards_say_their_split(names: tuple[str, ...], pattern: str, tmp_path: Path) -> None:
    write(tmp_path, {name: sample("a", i) for i, name in enumerate(names)})
    source = open_source(f"shards:{tmp_path}/{pattern}")
    assert source.class_names == ("0", "1", "2")
    assert {name: split.labels.tolist() for name, split in source.splits.items()} == {
        "train": [0],
        "val": [1],
        "test": [2],
    }


def test_shards_that_say_no_split_beside_others_are_refused(tmp_path: Path) -> None:
    write(tmp_path, {"train-0.tar": sample("a"), "more-0.tar": sample("a")})
    assert "more-0.tar does not say its split" in refused(f"shards:{tmp_path}/{{train,more}}-0.tar")
    assert set(open_source(f"shards:{tmp_path}/more-0.tar").splits) == {"all"}


def test_paths_may_be_relative_and_are_kept(shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shards)
    source = open_source("shards:train-00.tar")
    monkeypatch.chdir(tmp_path)
    assert source.splits["train"].items[0] == images_of(pictures())[0]
    monkeypatch.setenv("HOME", str(shards))
    assert len(open_source("shards:~/train-{00,01}.tar").splits["train"]) == 16


# Patterns


@given(st.text("{},.a09-\\", max_size=14))
def test_names_are_counted_before_they_are_made(pattern: str) -> None:
    try:
        names = list(braceexpand.braceexpand(pattern, escape=False))
    except braceexpand.UnbalancedBracesError:
        return
    if not any(pattern[: i + 1].count("}") > pattern[: i + 1].count("{") for i in range(len(pattern))):
        assert _count(pattern) == len(names)


@pytest.mark.parametrize("pattern", ["{000..999}", "{3..-4..2}", "{a..e}{Z..c}", "{a,{0..9}-{00..09},}", "{{1..3}}"])
def test_ranges_are_counted_as_they_expand(pattern: str) -> None:
    assert _count(pattern) == len(shard_names(pattern))


@pytest.mark.parametrize(
    "pattern",
    ["{0..1000000}", "{0..99999999999999999999}", "{a,{0..9999999}}", "{a,{0..99999}{0..99999}}" * 9, "{,a}" * 900],
)
def test_more_shards_than_anybody_has_are_refused_at_once(pattern: str) -> None:
    assert f"stands for more than {MOST_SHARDS:,} shards" in refused(f"shards:{pattern}")


@pytest.mark.parametrize("pattern", ["", " ", "a\0", "a" * 5_000])
def test_patterns_that_name_nothing(pattern: str) -> None:
    assert "names no shards; write shards:train-{000..999}.tar" in refused(f"shards:{pattern}")


def test_braces_that_do_not_match_and_names_that_come_twice() -> None:
    assert "braces that do not match" in refused("shards:train-{0..9.tar")
    assert "braces that do not match" in refused("shards:" + "{" * 1_900 + "}" * 1_900)
    assert "names a1.tar twice" in refused("shards:a{0..3}.tar".replace("0..3", "1,2,1"))


@pytest.mark.parametrize(
    "way", ["pipe:touch {}", "PIPE:touch {}", "a.tar::pipe:touch {}", "http://127.0.0.1/{}", "file:{}", "s3://b/{}",
            "gs://b/{}", "ftp://h/{}", "{{pipe,https}}:touch {}", "ais://b/{}", "hf://b/{}", "htgs:{}"],
)  # fmt: skip
def test_nothing_but_files_and_https_is_opened(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    reason = refused(f"shards:{way.format('ran.tar')}")
    assert "shards are not read through" in reason
    assert "https://" in reason
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("address", ["https://", "https:///a.tar", "https://a:b/a.tar", "https://[/a.tar"])
def test_addresses_without_a_server(address: str) -> None:
    assert refused(f"shards:{address}").startswith(repr(address))


def test_missing_shards_are_named(shards: Path, tmp_path: Path) -> None:
    assert f"there is no shard '{shards}/train-03.tar'" in refused(f"shards:{shards}/train-{{00..03}}.tar")
    (tmp_path / "link.tar").symlink_to("nowhere")
    assert "there is no shard" in refused(f"shards:{tmp_path}/link.tar")
    assert "is a folder, a pipe or a device" in refused(f"shards:{shards}")
    os.mkfifo(tmp_path / "pipe.tar")
    assert "is a folder, a pipe or a device" in refused(f"shards:{tmp_path}/pipe.tar")


def test_no_webdataset_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "webdataset", None)
    assert "shards:a.tar needs the webdataset library: pip install 'lenext[shards]'" in refused("shards:a.tar")


# Samples that are none


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ([("a.png", DOT)], "the sample of 'a.png' has no label; add a .cls"),
        ([("a.png", DOT), *sample("b"), ("a.cls", b"1")], "the sample of 'a.png' has no label"),
        ([("a.cls", b"1")], "the sample of 'a.cls' has no images (cls)"),
        ([*sample("a"), ("a.jpg", DOT)], "has 2 images (png, cls, jpg); a sample is one image"),
        ([*sample("a"), *sample("a")], "'a.png' is twice in its sample"),
        ([*sample("a"), ("a.PNG", DOT)], "'a.PNG' is twice in its sample"),
        ([*sample("a"), ("a.__key__", b"")], "'a.__key__' is twice in its sample"),
        ([*sample("a", ""), *sample("b")], "its .cls holds ''; a class is one line"),
        ([*sample("a", "x\ny")], r"its .cls holds 'x\ny'; a class is one line"),
        ([*sample("a", "\x1b[2J")], r"its .cls holds '\x1b[2J'"),
        ([*sample("a", "x" * 300)], f"its .cls holds '{'x' * 40}'...; a class is one line of at most 200"),
        ([*sample("a", "-1")], "its .cls holds -1; classes count from 0"),
        ([*sample("a", 3), *sample("b", "cat")], "the sample of 'b.png' ('cat') has a label that is no whole number"),
        ([("a.png", DOT), ("a.cls", b"\xff\xfe")], "its .cls is no UTF-8 text"),
        ([("a.png", DOT), ("a.json", b'{"caption": ""}'), ("a.txt", b"A cat.")], "its .json has no 'label'"),
        ([("a.png", DOT), ("a.json", b'{"label": true}')], "its .json has no 'label' that is a whole number or a name"),
        ([("a.png", DOT), ("a.json", b'{"label": 1.5}')], "its .json has no 'label' that is a whole number or a name"),
        ([("a.png", DOT), ("a.json", b"[" * 100_000)], "its .json is damaged"),
        ([("a.png", DOT), ("a.json", b'{"label": "\\ud800"}')], r"its .json holds '\ud800'"),
        ([("a.png", DOT), ("a.cls", bytes(2**20 + 1))], "'a.cls' has 1,048,577 bytes; a label has at most"),
        ([], "holds no samples"),
        ([("\x1b[2J\n.png", DOT)], r"the sample of '\x1b[2J\n.png' has no label"),
    ],
)
def test_samples_that_are_none(files: Files, reason: str, tmp_path: Path) -> None:
    assert reason in refused_shard(tmp_path, files)


def test_names_show_and_do_nothing_else(tmp_path: Path) -> None:
    write(tmp_path, {"a.tar": sample("a\x07b")})
    source = open_source(f"shards:{tmp_path}/a.tar")
    assert source.splits["all"].names[0].endswith(r"/a\x07b.png")


class Touch:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_pickles_are_not_loaded(tmp_path: Path) -> None:
    bomb = pickle.dumps(Touch(tmp_path / "loaded"))
    files = [("a.pyd", bomb), ("a.pickle", bomb), ("a.pth", bomb), ("a.npy", bomb), *sample("a")]
    source = open_source(f"shards:{write(tmp_path, {'one.tar': files})}/one.tar")
    assert list(source.splits["all"].items) == [source.splits["all"].items[0]] == [DOT]
    assert not (tmp_path / "loaded").exists()
    pickle.loads(bomb)
    assert (tmp_path / "loaded").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE])
def test_links_and_devices_are_no_images(kind: bytes, tmp_path: Path) -> None:
    link = tarfile.TarInfo("a.png")
    link.type, link.linkname = kind, "/etc/passwd"
    assert "has no images (cls)" in refused_shard(tmp_path, link.tobuf() + tar([("a.cls", b"1")]))


# Files that are no tar files


def claiming(size: int, name: str = "a.png") -> bytes:
    """Return the header of a member that claims a size."""
    member = tarfile.TarInfo(name)
    member.size = size
    return member.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is no tar file, or damaged at byte 0"),
        (b"no tar" * 1_000, "is no tar file, or damaged at byte 512"),
        (gzip.compress(tar(sample("a"))), "is compressed (gzip); shards are plain tar files"),
        (gzip.compress(bytes(10**8)), "is compressed (gzip); shards are plain tar files"),
        (tar(sample("a"))[:700], "damaged at byte"),
        (tar(sample("a"))[:1024], "is damaged or cut off at byte 1,024"),
        (tar(sample("a"))[:1100], "is damaged or cut off at byte 1,100"),
        (tar(sample("a"))[:1536], "is damaged or cut off at byte 1,536"),
        (tar(sample("a"))[:2048], "is damaged or cut off at byte 2,048"),
        (tar(sample("a"))[:1024] + b"\1" * 1024, "is damaged or cut off at byte 1,536"),
        (claiming(2**60), "'a.png' has 1,152,921,504,606,846,976 bytes; an image has at most"),
        (claiming(2**28), "damaged at byte"),
        (claiming(2**80, "a.npy"), "damaged at byte"),
        (claiming(2**60, "a.cls"), "a label has at most"),
        (claiming(-2048), "damaged at byte"),
    ],
)
def test_files_that_are_no_tar_files(data: bytes, reason: str, tmp_path: Path) -> None:
    assert reason in refused_shard(tmp_path, data)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
def test_headers_cannot_fill_the_memory(kind: bytes, tmp_path: Path) -> None:
    header = tarfile.TarInfo("x")
    header.type, header.size = kind, 2**26
    path = tmp_path / "one.tar"
    with path.open("wb") as file:
        file.write(header.tobuf())
        file.truncate(2**26 + 4096)
    tracemalloc.start()
    assert "headers of more than 16,384 bytes" in refused(f"shards:{path}")
    assert tracemalloc.get_traced_memory()[1] < 2**24
    tracemalloc.stop()


def test_headers_upon_headers_end(tmp_path: Path) -> None:
    header = tarfile.TarInfo("x")
    header.type = tarfile.XGLTYPE
    assert "headers of more than 16,384 bytes" in refused_shard(tmp_path, header.tobuf() * 5_000)


@given(st.text("aB./_", max_size=12).filter(lambda name: not name.rpartition("/")[2].startswith(".")))
def test_samples_are_grouped_as_the_library_does(name: str) -> None:
    key, ending = base_plus_ext(name)
    assert _key(name) == (key, ending or "")


@given(st.lists(st.tuples(st.integers(0, 4095), st.integers(0, 255)), min_size=1, max_size=6), st.integers(0, 4096))
def test_damage_is_told_or_harmless(tmp_path_factory: pytest.TempPathFactory, damage: list[Any], length: int) -> None:
    data = bytearray(tar([*sample("a"), ("b.png", DOT), ("b.json", b'{"label": 1}')]))
    for place, value in damage:
        data[place] = value
    path = tmp_path_factory.getbasetemp() / "damaged.tar"
    path.write_bytes(data[: length if length % 2 else None])
    try:
        split = open_source(f"shards:{path}").splits["all"]
    except UserError as error:
        reason = str(error)
    else:
        assert len(list(split.items)) == len(split)
        reason = ""
    assert reason.isprintable()


# Large shards, and shards that change


def test_memory_holds_one_image_at_a_time(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "big.tar", "w") as made:
        for i in range(300):
            for name, size in ((f"{i}.png", 2**18), (f"{i}.npy", 2**17), (f"{i}.cls", 1)):
                member = tarfile.TarInfo(name)
                member.size = size
                made.addfile(member, io.BytesIO(b"1" * size))
    open_source(f"shards:{tmp_path}/big.tar")  # what it imports is not counted
    tracemalloc.start()
    items = items_of(open_source(f"shards:{tmp_path}/big.tar"), "all")
    assert sum(map(len, items)) == 300 * 2**18
    assert tracemalloc.get_traced_memory()[1] < 2 * 2**20
    assert sum(len(image) for _, image in items.shuffled(0, 0, 10)) == 300 * 2**18
    assert tracemalloc.get_traced_memory()[1] < 5 * 2**20
    tracemalloc.stop()


def test_a_shard_that_changes_is_told(tmp_path: Path) -> None:
    path = write(tmp_path, {"one.tar": [*sample("a"), *sample("b", 1)]}) / "one.tar"
    items = items_of(open_source(f"shards:{path}"), "all")
    os.utime(path, (1, 1))
    for read in (lambda: items[0], lambda: list(items), lambda: list(items.shuffled(0, 0, 3))):
        with pytest.raises(LenextError, match=r"one\.tar has changed since it was opened; start again"):
            read()
    path.unlink()
    with pytest.raises(LenextError, match="there is no shard"):
        items[0]


def test_each_shard_is_opened_once(opened: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    streams: list[Any] = []
    whole = shard_streams.open_stream
    monkeypatch.setattr("lenext.data.shards.open_stream", lambda *place: streams.append(whole(*place)) or streams[-1])
    list(items_of(opened))
    assert len(streams) == 3
    list(items_of(opened).shuffled(0, 0, 4))
    assert len(streams) == 6
    next(items_of(opened).shuffled(0, 0, 4))
    assert all(stream._file.closed for stream in streams)


# Behind https


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("certificates")


@pytest.fixture
def server(shards: Path, certificates: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ShardServer]:
    """A server that is trusted, on a line that is taken up again at once."""
    if OPENSSL is None:
        pytest.skip("openssl makes the certificate")
    monkeypatch.setattr(shard_streams, "PAUSE", 0.001)
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "*")
    with ShardServer(shards, certificates) as server:
        monkeypatch.setenv("SSL_CERT_FILE", str(server.certificate))
        huggingface_hub.close_session()
        yield server
        huggingface_hub.close_session()


@pytest.mark.parametrize("knows_parts", [True, False])
@pytest.mark.parametrize("has_versions", [True, False])
def test_shards_behind_https(server: ShardServer, knows_parts: bool, has_versions: bool) -> None:
    server.knows_parts, server.has_versions = knows_parts, has_versions
    source, images = open_source(f"shards:{server.url}/train-{{00..02}}.tar"), images_of(pictures())
    assert sorted(server.requests) == [f"/train-{i:02}.tar" for i in range(3)]
    assert source.splits["train"].labels.tolist() == [0, 1] * 12
    items = items_of(pickle.loads(pickle.dumps(source)))
    assert list(items) == images
    assert len(server.requests) == 6
    assert dict(items.shuffled(0, 0, 5)) == dict(enumerate(images))
    assert len(server.requests) == 9
    assert list(items.take(np.array([2, 2, 3]))) == [images[i] for i in (2, 2, 3)]
    assert [items[i] for i in (23, 0, 11)] == [images[i] for i in (23, 0, 11)]
    assert source.splits["train"].names[0] == f"{server.url}/train-00.tar/0000.png"


def test_images_one_by_one_come_on_one_line(server: ShardServer) -> None:
    items = items_of(open_source(f"shards:{server.url}/train-00.tar"))
    server.lines.clear()
    assert [items[i] for i in range(8)] == images_of(pictures())[:8]
    assert len(server.lines) == 1


@pytest.mark.parametrize("knows_parts", [True, False])
def test_a_line_that_breaks_is_taken_up_again(server: ShardServer, knows_parts: bool) -> None:
    server.knows_parts = knows_parts
    server.breaks = [1000, 20_000, 0]
    source = open_source(f"shards:{server.url}/train-00.tar")
    assert len(server.requests) == 4
    assert source.splits["train"].labels.tolist() == [0, 1] * 4
    if knows_parts:
        assert server.requests[1] == "/train-00.tar from 1000"
    server.breaks = [3000, 0, 9000]
    assert list(source.splits["train"].items) == images_of(pictures())[:8]
    server.breaks = [100]
    assert source.splits["train"].items[7] == images_of(pictures())[7]


def test_a_line_that_breaks_for_good_is_told(server: ShardServer) -> None:
    server.breaks = [1000] + [0] * 9
    reason = refused(f"shards:{server.url}/train-00.tar", LenextError)
    assert "train-00.tar broke off at byte 1,000: " in reason
    server.breaks = [0] * 9
    assert "cannot reach https://127.0.0.1" in refused(f"shards:{server.url}/train-00.tar")


@pytest.mark.parametrize(("status", "reason"), [(404, "answers 404"), (403, "answers 403"), (503, "answers 503")])
def test_what_the_server_refuses(server: ShardServer, status: int, reason: str) -> None:
    server.status = status
    assert reason in refused(f"shards:{server.url}/train-00.tar?token=secret")
    assert len(server.requests) == (4 if status == 503 else 1)


def test_secrets_of_an_address_are_not_told(server: ShardServer) -> None:
    host = server.url.removeprefix("https://")
    reason = refused(f"shards:https://me:secret@{host}/no.tar?token=secret")
    assert "/no.tar" in reason
    assert "secret" not in reason
    source = open_source(f"shards:https://me:secret@{host}/train-00.tar?token=secret")
    assert "secret" not in source.splits["train"].names[0]


@pytest.mark.parametrize("world", [2, 3])
def test_processes_share_what_comes_from_a_server(world: int, server: ShardServer) -> None:
    """Every image trains one process once an epoch, in batches that are as large together as those of one."""
    source = open_source(f"shards:{server.url}/train-{{00..02}}.tar")
    form = ImageForm(size=(8, 8), channels=3)
    reading = read_split(source.splits["train"], form, what="", loading="workers", workers=1)
    preprocessing = Preprocessing(form, (0.5,) * 3, (0.5,) * 3)

    def loader(group: Group) -> TrainingLoader:
        return TrainingLoader(reading, preprocessing, batch_size=8, device=torch.device("cpu"), workers=0, group=group)

    epochs = [list(loader(Group(rank, world)).shuffled(seed=1, epoch=1)) for rank in range(world)]
    alone = list(loader(ALONE).shuffled(seed=1, epoch=1))
    assert [batch.whole for batch in alone] == [len(batch) for batch in alone]
    for batches in epochs:
        assert [batch.whole for batch in batches] == [sum(map(len, parts)) for parts in zip(*epochs, strict=True)]
    assert sum(batch.whole for batch in epochs[0]) == len(reading.images)
    seen = torch.cat([batch.images for batches in epochs for batch in batches]).flatten(1)
    assert sorted(map(tuple, seen.tolist())) == sorted(
        map(tuple, torch.cat([batch.images for batch in alone]).flatten(1).tolist())
    )
    skipped = list(loader(Group(1, world)).shuffled(seed=1, epoch=1, skip=1))
    assert all(torch.equal(a.images, b.images) for a, b in zip(skipped, epochs[1][1:], strict=True))


def test_redirects_lead_to_https_alone(server: ShardServer) -> None:
    server.moved = {"/a.tar": "/b.tar", "/b.tar": f"{server.url}/train-01.tar", "/loop.tar": "/loop.tar",
                    "/http.tar": "http://127.0.0.1:1/a.tar", "/file.tar": "file:///etc/passwd"}  # fmt: skip
    assert len(open_source(f"shards:{server.url}/a.tar").splits["all"]) == 8
    assert "/http.tar leads to http: where only https is followed" in refused(f"shards:{server.url}/http.tar")
    assert "/file.tar leads to file: where only https is followed" in refused(f"shards:{server.url}/file.tar")
    assert "leads from one address to the next" in refused(f"shards:{server.url}/loop.tar")


def test_a_server_that_cannot_be_trusted(server: ShardServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    huggingface_hub.close_session()
    reason = refused(f"shards:{server.url}/train-00.tar")
    assert "cannot trust the server of https://127.0.0.1" in reason
    assert "SSL_CERT_FILE names the authorities" in reason
    assert server.requests == []


def test_a_server_that_is_not_there(server: ShardServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert "cannot reach https://127.0.0.1" in refused(f"shards:https://127.0.0.1:{port}/a.tar")


def test_the_environment_names_the_proxy(server: ShardServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
    huggingface_hub.close_session()
    assert "cannot reach https://127.0.0.1" in refused(f"shards:{server.url}/train-00.tar")
    assert server.requests == []


def test_a_shard_that_changes_behind_https_is_told(server: ShardServer, tmp_path: Path) -> None:
    server.root = write(tmp_path, {"one.tar": [*sample("a"), *sample("b", 1)]})
    items = items_of(open_source(f"shards:{server.url}/one.tar"), "all")
    write(tmp_path, {"one.tar": [*sample("a"), *sample("b", 2)]})
    for read in (lambda: items[1], lambda: list(items)):
        with pytest.raises(LenextError, match=r"one\.tar has changed since it was opened; start again"):
            read()


def test_damaged_shards_behind_https(server: ShardServer, tmp_path: Path) -> None:
    server.root = tmp_path
    for name, data, reason in (
        ("cut", tar(sample("a"))[:2048], "is damaged or cut off at byte 2,048"),
        ("huge", claiming(2**28), "damaged at byte"),
        ("words", b"no tar" * 999, "is no tar file"),
    ):
        (tmp_path / f"{name}.tar").write_bytes(data)
        assert reason in refused(f"shards:{server.url}/{name}.tar")


def test_what_nobody_wants_is_passed_over_by_a_request(server: ShardServer, tmp_path: Path) -> None:
    files = [*sample("a"), ("film.mp4", bytes(6 * 2**20)), *sample("b", 1)]
    server.root = write(tmp_path, {"one.tar": files})
    items = items_of(open_source(f"shards:{server.url}/one.tar"), "all")
    assert [request.partition(" from ")[0] for request in server.requests] == ["/one.tar"] * 2
    assert int(server.requests[1].partition(" from ")[2]) > 6 * 2**20
    assert list(items) == [DOT, DOT]


# Through the whole of it


def test_shards_are_read_as_every_source_is(opened: Source) -> None:
    reading = read_split(opened.splits["train"], ImageForm(size=(40, 40)), what="")
    assert reading.skipped == []
    assert reading.images.batch(np.arange(24)).shape == (24, 40, 40, 3)


def test_an_image_that_cannot_be_read_is_skipped_by_its_name(tmp_path: Path) -> None:
    write(tmp_path, {"one.tar": [*sample("a"), *sample("b", 1, b"no image"), *sample("c", 1, b"")]})
    split = open_source(f"shards:{tmp_path}/one.tar").splits["all"]
    reading = read_split(split, ImageForm(size=(8, 8)), what="")
    assert reading.skipped == [
        (f"{tmp_path}/one.tar/b.png", "not an image"),
        (f"{tmp_path}/one.tar/c.png", "empty file"),
    ]
    assert list(split.items) == [DOT, b"no image", b""]


def test_training_and_evaluation(tmp_path: Path, command: Callable[..., Any]) -> None:
    shards = pictures(4)
    write(tmp_path, {name.replace("train-03", "val-00"): files for name, files in shards.items()})
    location = f"shards:{tmp_path}/{{train-{{00..02}},val-00}}.tar"
    result = lenext.train(location, "lenet5", epochs=1, size=28, out=tmp_path / "run")
    assert (result.train_images, result.images, result.split, result.skipped) == (24, 8, "val", 0)
    answer = command("evaluate", result.run, location, "--json")
    assert answer.code == 0, answer.err
    assert (answer.json["images"], answer.json["classes"], answer.json["split"]) == (8, 2, "val")
