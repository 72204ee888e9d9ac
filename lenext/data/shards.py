"""WebDataset shards: tar files in which `key.jpg` and `key.cls` are one sample, on this machine or behind https."""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import re
import string
import threading
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np
from numpy.typing import NDArray

from lenext.data.shard_samples import NUMBER, ShardContents, scan_shard
from lenext.data.shard_streams import Shard, ShardStream, is_remote, open_stream, read_exactly
from lenext.data.source import ALL, Source, Split, label_indices, split_name
from lenext.errors import LenextError, UserError, one_line
from lenext.files import exists

PREFIX = "shards:"
SCHEME = re.compile(r"[A-Za-z][\w+.-]+:")  # a lone letter is a drive
MOST_SHARDS, LONGEST_PATTERN = 100_000, 4_000
GROUP = re.compile(r"\{([^{}]*)\}")
RANGE = re.compile(r"(-?\d+|[A-Za-z])\.\.(-?\d+|[A-Za-z])(?:\.\.-?(\d+))?")
SCANS = 8  # shards that are gone through at the same time


def open_shards(location: str) -> Source:
    """Open `shards:PATTERN`, where braces stand for several names; nothing is decoded, unpacked or unpickled.

        source = open_shards("shards:data/{train,val}-{000..099}.tar")
        image = source.splits["train"].items[0]  # the bytes of a file

    A pattern names plain tar files here, or addresses with https. A word of their name, or their folder's name, says
    which split they hold; where none does, all are one. One pass goes through all shards and notes the labels and
    where each image lies; the images stay where they are. Behind https that pass receives every shard once.

    The label of a sample is, of these, the first that it has: `.cls`, a whole number, as WebDataset's own conversions
    of ImageNet write it, or else in all of them a name; `.json` with a `label`, where img2dataset puts the column of
    that name; `.txt`, a name (beside a `.json` without a label it is what img2dataset puts there, a caption, and no
    label). Where all labels are whole numbers, the classes stand in their order, otherwise in that of the alphabet.
    The image is the file whose ending after the first dot is that of an image; other files of a sample are passed
    over, as are links and hidden files.

    Raises:
        UserError: no such shard, no plain tar file, a damaged one, or a sample without one image and one label.
        LenextError: a line that broke for good.
    """
    try:
        import webdataset  # noqa: F401
    except ImportError as error:
        raise UserError(f"{location} needs the webdataset library: pip install 'lenext[shards]'") from error
    shards = [_shard(name) for name in shard_names(location.removeprefix(PREFIX))]
    split_of = _splits(shards, location)
    contents = _scan_all(shards)
    class_names = _class_names(contents, location)
    splits = {}
    for split in dict.fromkeys(split_of):
        held = [one for one, of in zip(contents, split_of, strict=True) if of == split]
        labels = [label_indices(one.label_names, class_names)[one.labels] for one in held]
        items = ShardItems(_table(held))
        splits[split] = Split(items, np.concatenate(labels), ShardNames(items))
    return Source(location, class_names, splits)


def shard_names(pattern: str) -> list[str]:
    """Return the names that a pattern stands for: `{000..999}` a range, `{train,val}` each of these.

    Raises:
        UserError: no name, too many, twice the same, or braces that do not match.
    """
    import braceexpand  # which webdataset brings, and expands with

    shown = f"{PREFIX}{pattern[:100]}"
    if not pattern.strip() or "\0" in pattern or len(pattern) > LONGEST_PATTERN:
        way = f"write {PREFIX}train-{{000..999}}.tar, in at most {LONGEST_PATTERN:,} characters"
        raise UserError(f"{shown!r} names no shards; {way}")
    if _count(pattern) > MOST_SHARDS:
        raise UserError(f"{shown} stands for more than {MOST_SHARDS:,} shards; give fewer, larger ones")
    try:
        names = list(braceexpand.braceexpand(pattern, escape=False))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{shown} has braces that do not match; write {PREFIX}train-{{000..999}}.tar") from error
    if len(set(names)) < len(names):
        twice = Counter(names).most_common(1)[0][0]
        raise UserError(f"{shown} names {twice} twice")
    return names


def _count(pattern: str) -> int:
    r"""Return how many names a pattern stands for without making them; a group becomes its count, between two \0."""

    def count_group(group: re.Match[str]) -> str:
        bounds = RANGE.fullmatch(group[1])
        if bounds and bounds[1].isalpha() == bounds[2].isalpha():
            of = string.ascii_letters.swapcase().index if bounds[1].isalpha() else int
            count = abs(of(bounds[1]) - of(bounds[2])) // (int(bounds[3] or 1) or 1) + 1
        else:
            count = sum(map(product, group[1].split(",")))
        return f"\0{min(count, MOST_SHARDS + 1)}\0"

    def product(text: str) -> int:
        return math.prod(int(count) for count in re.findall("\0(\\d+)\0", text))

    while GROUP.search(pattern):
        pattern = GROUP.sub(count_group, pattern)
    return product(pattern)


def _shard(name: str) -> Shard:
    """Return the shard of one name.

    Raises:
        UserError: it is to come another way than from this machine or through https, or is not here.
    """
    scheme = SCHEME.match(name)
    if is_remote(name):
        try:
            parts = urlsplit(name)
            host = f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname
        except ValueError as error:
            raise UserError(f"{name[:100]!r} is no address: {one_line(error)}") from error
        if not host:
            raise UserError(f"{name[:100]!r} names no server; write https://SERVER/train-000.tar")
        return Shard(name, f"https://{host}{parts.path}")  # without what a signed address keeps secret
    if scheme:
        way = "give their paths, or addresses with https://"
        raise UserError(f"{name[:100]!r}: shards are not read through {scheme[0]!r}; {way}")
    path = Path(os.path.expanduser(name)).absolute()  # noqa: PTH111
    if not exists(path):
        raise UserError(f"there is no shard {name!r}; shards are named as {PREFIX}train-{{000..999}}.tar, in braces")
    return Shard(str(path), name if name.isprintable() else repr(name))


def _splits(shards: Sequence[Shard], location: str) -> list[str]:
    """Return the split of each shard, which a word of its name says, or its folder's name.

    Raises:
        UserError: some say it, and others do not.
    """
    found = []
    for shard in shards:
        path = PurePosixPath(unquote(urlsplit(shard.location).path)) if is_remote(shard.location) else Path(shard.name)
        words = [*re.findall(r"[A-Za-z]+", path.name), path.parent.name]
        found.append(next(filter(None, map(split_name, words)), ALL))
    if ALL in found and len(set(found)) > 1:
        silent, other = shards[found.index(ALL)].name, next(name for name in found if name != ALL)
        raise UserError(
            f"{location}: {silent} does not say its split, as those of {other} do; name it train, val or test"
        )
    return found


def _scan_all(shards: Sequence[Shard]) -> list[ShardContents]:
    stop = threading.Event()
    with ThreadPoolExecutor(SCANS, thread_name_prefix="shards") as pool:
        try:
            return list(pool.map(lambda shard: scan_shard(shard, stop), shards))
        except BaseException:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _class_names(contents: Sequence[ShardContents], location: str) -> tuple[str, ...]:
    """Return the classes in order: by number where all are whole numbers, else by name.

    Raises:
        UserError: no samples at all, or some `.cls` holds a number, and some a name.
    """
    number = next((one.number for one in contents if one.number), "")
    word = next((one.word for one in contents if one.word), "")
    if number and word:
        raise UserError(f"{word} has a label that is no whole number, as others have; names of classes go into a .txt")
    names = {name for one in contents for name in one.label_names}
    if not names:
        raise UserError(f"{location} holds no samples; a sample is KEY.jpg and KEY.cls in a tar file")
    if all(map(NUMBER.fullmatch, names)):
        return tuple(sorted(names, key=lambda name: (int(name), name)))
    return tuple(sorted(names))


@dataclass(frozen=True)
class _Table:
    """Where the N images of a split lie: shard (N,), offset (N,), size (N,); and their names, joined."""

    shards: tuple[Shard, ...]
    shard: NDArray[np.int64]
    offset: NDArray[np.int64]
    size: NDArray[np.int64]
    names: bytes
    name_ends: NDArray[np.int64]

    def name(self, row: int) -> str:
        start = self.name_ends[row - 1] if row else 0
        return f"{self.shards[self.shard[row]].name}/{self.names[start : self.name_ends[row]].decode()}"


def _table(contents: Sequence[ShardContents]) -> _Table:
    starts = np.cumsum([0, *(len(one.names) for one in contents)])
    return _Table(
        tuple(one.shard for one in contents),
        np.repeat(np.arange(len(contents)), [len(one.offsets) for one in contents]),
        np.concatenate([one.offsets for one in contents]),
        np.concatenate([one.sizes for one in contents]),
        b"".join(one.names for one in contents),
        np.concatenate([one.name_ends + start for one, start in zip(contents, starts[:-1], strict=True)]),
    )


class ShardItems(Sequence[bytes]):
    """The images of shards, as the bytes of files, read when they are asked for.

        for image in items: ...                # in order, each shard read forward once
        for i, image in items.shuffled(0, epoch, 10_000): ...
        items.take(np.arange(100))[7]          # a part of them, of which nothing is read before

    One image by its index is one read of a file, or one request. Memory holds where each image lies, and its name.
    """

    def __init__(self, table: _Table, order: NDArray[np.int64] | None = None) -> None:
        self._table = table
        self._order = np.arange(len(table.offset)) if order is None else order

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, index: Any) -> Any:
        """Return the bytes of an image, or the images of a slice.

        Raises:
            LenextError: the shard has changed since it was opened, or can no longer be read.
        """
        if isinstance(index, slice):
            return self.take(np.arange(len(self))[index])
        shard, offset, size = self._place(self._order[index])
        with contextlib.closing(open_stream(shard, offset, offset + size)) as stream:
            return read_exactly(stream, offset, size, shard)

    def __iter__(self) -> Iterator[bytes]:
        """Yield every image in order; each shard is opened once, or once for each run of images in its own order."""
        shard, offset = self._table.shard[self._order], self._table.offset[self._order]
        breaks = np.flatnonzero((np.diff(shard) != 0) | (np.diff(offset) < 0)) + 1
        return (image for _, image in self._read(np.split(np.arange(len(self)), breaks)))

    @property
    def remote(self) -> bool:
        """Whether some of the shards lie behind https, where each image by its index costs a request."""
        return any(is_remote(shard.location) for shard in self._table.shards)

    def name(self, index: int) -> str:
        """Return what messages call an image."""
        return self._table.name(self._order[index])

    def take(self, indices: NDArray[np.int64]) -> ShardItems:
        """Return the images at `indices`, in that order; none is read."""
        return ShardItems(self._table, self._order[indices])

    def shuffled(
        self, seed: int, epoch: int, buffer: int, part: tuple[int, int] = (0, 1)
    ) -> Generator[tuple[int, bytes], None, None]:
        """Yield the index and the bytes of every image once, in an order that (seed, epoch) and `buffer` decide.

        Shards come in a drawn order, each read forward once; of the `buffer` images read last, any may come next. Of
        `part`, (rank, world), it is the images of one of so many readers, who share them to within one; a shard that
        two of them share is read up to where the other begins.
        """
        rank, world = part
        rng = np.random.default_rng((seed, epoch))
        shard, offset = self._table.shard[self._order], self._table.offset[self._order]
        forward = np.lexsort((offset, shard))
        runs = np.split(forward, np.flatnonzero(np.diff(shard[forward])) + 1)
        drawn_runs = [runs[i] for i in rng.permutation(len(runs))]
        if world > 1:
            own = np.array_split(np.concatenate(drawn_runs), world)[rank]
            drawn_runs = np.split(own, np.flatnonzero(np.diff(shard[own])) + 1)
            rng = np.random.default_rng((seed, epoch, rank))
        waiting: list[tuple[int, bytes]] = []
        for pair in self._read(drawn_runs):
            if len(waiting) < max(buffer, 1):
                waiting.append(pair)
                continue
            drawn = int(rng.integers(len(waiting)))
            waiting[drawn], pair = pair, waiting[drawn]
            yield pair
        for i in rng.permutation(len(waiting)):
            yield waiting[i]

    def _place(self, row: int) -> tuple[Shard, int, int]:
        """Return in which shard an image lies, from which byte on, and how many they are."""
        table = self._table
        return table.shards[table.shard[row]], int(table.offset[row]), int(table.size[row])

    def _open(self, run: NDArray[np.int64]) -> ShardStream:
        first, last = self._place(self._order[run[0]]), self._place(self._order[run[-1]])
        return open_stream(first[0], first[1], last[1] + last[2])

    def _read(self, runs: Iterable[NDArray[np.int64]]) -> Iterator[tuple[int, bytes]]:
        """Yield (index, bytes) run by run; those of a run lie in one shard, in its order.

        The next shard is opened while this one is read, as the answer of a server takes its time.
        """
        coming: Future[ShardStream] | None = None
        with ThreadPoolExecutor(1, thread_name_prefix="shards") as ahead:
            try:
                for run, following in itertools.pairwise([*filter(len, runs), None]):
                    assert run is not None
                    stream = (coming or ahead.submit(self._open, run)).result()
                    coming = None if following is None else ahead.submit(self._open, following)
                    with contextlib.closing(stream):
                        yield from self._read_run(stream, run)
            finally:
                if coming is not None:
                    with contextlib.suppress(LenextError):
                        coming.result().close()

    def _read_run(self, stream: ShardStream, run: NDArray[np.int64]) -> Iterator[tuple[int, bytes]]:
        at, data = -1, b""
        for i in run.tolist():
            shard, offset, size = self._place(self._order[i])
            if offset != at:  # the same image may be asked for several times
                at, data = offset, read_exactly(stream, offset, size, shard)
            yield i, data


class ShardNames(Sequence[str]):
    """What messages call the images of shards: the shard, and the file in it."""

    def __init__(self, items: ShardItems) -> None:
        self._items = items

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: Any) -> Any:
        """Return the name of an image, or the names of a slice."""
        if isinstance(index, slice):
            return ShardNames(self._items[index])
        return self._items.name(index)

    def take(self, indices: NDArray[np.int64]) -> ShardNames:
        """Return the names at `indices`, in that order."""
        return ShardNames(self._items.take(indices))
