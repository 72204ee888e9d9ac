"""One look at each image: what its header says, whether it can be read, and a small grey picture to compare by."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lenext.checking.hashing import SIDE, perceptual_hash
from lenext.checking.kinds import KINDS
from lenext.checking.listing import Listing
from lenext.checking.remembering import Memory
from lenext.checking.threads import hurried
from lenext.data.decode import FORMATS, HEIC, UnreadableImageError, file_content, open_image, reads_heic
from lenext.data.glancing import glance
from lenext.data.holdout import digest
from lenext.progress import SILENT, Progress

if TYPE_CHECKING:
    from lenext.data.source import Item

# What is kept of an image: some 1.1 KB. Of a readable one `kind` is 0, else the number of a kind of trouble.
LOOK = np.dtype(
    [
        ("kind", np.uint8), ("format", np.uint8), ("orientation", np.uint8), ("flags", np.uint8),
        ("height", np.uint32), ("width", np.uint32), ("digest", np.uint64), ("hash", np.uint64),
        ("spread", np.float32), ("grey", np.uint8, (SIDE, SIDE)),
    ]
)  # fmt: skip
VERSION = 3  # of what a look sees; looks of another are made anew
DEEP, CMYK, TRANSPARENT, ANIMATED, BLANK = 1, 2, 4, 8, 16
KNOWN = ("", *FORMATS, "MPO", "HEIF")
NUMBERS = {kind: number for number, kind in enumerate(KINDS, 1)}

BLANK_SPREAD = 3.0  # grey levels of standard deviation, below which an image shows nothing
AT_ONCE = 16  # images a task
AHEAD = 8  # tasks that are handed out before the first is awaited


def look_at(item: Item) -> tuple[NDArray[Any], str]:
    """Return what there is to see of an image, a scalar of `LOOK`, and why it cannot be read, "" where it can."""
    look = np.zeros((), LOOK)
    data: Any = b""
    try:
        data = file_content(item)
        look["digest"] = digest(data)
        seen = glance(data, 2 * SIDE, channels=1)
        grey = seen.image
        look["grey"] = np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.LANCZOS))
        spread = float(np.asarray(grey).std())
        if spread < BLANK_SPREAD:
            spread = _spread(data)
    except UnreadableImageError as error:
        look["kind"] = NUMBERS[_kind(str(error), item, data)]
        return look, str(error)
    look["hash"] = perceptual_hash(look["grey"])
    look["spread"] = spread
    look["format"] = KNOWN.index(seen.format) if seen.format in KNOWN else 0
    look["orientation"], look["height"], look["width"] = seen.orientation, seen.height, seen.width
    for flag, holds in (
        (DEEP, seen.deep), (CMYK, seen.mode in ("CMYK", "YCCK")), (TRANSPARENT, seen.transparent),
        (ANIMATED, seen.animated), (BLANK, spread < BLANK_SPREAD),
    ):  # fmt: skip
        look["flags"] |= flag if holds else 0
    return look, ""


def look_at_all(
    listing: Listing, *, workers: int, memory: Memory | None = None, progress: Progress = SILENT
) -> tuple[NDArray[Any], dict[int, str]]:
    """Look at every image of a listing, split by split, on `workers` threads.

    Returns an array of `LOOK`, one an image, and by their indices the reasons of those that cannot be read. What
    `memory` has of a file that has not changed since is taken from there, and what is seen now is put there.
    """
    splits = listing.source.splits.values()
    looks = np.zeros(sum(map(len, splits)), LOOK)
    reasons: dict[int, str] = {}
    tasks = ((item, memory.key(item) if memory else None) for split in splits for item in split.items)
    done = _in_order(tasks, memory, workers)
    for start, found in progress.track(done, "looking at images", len(looks), lambda pair: len(pair[1])):
        for i, (look, reason) in enumerate(found, start):
            looks[i] = look
            if reason:
                reasons[i] = reason
    return looks, reasons


Seen = tuple[NDArray[Any], str]


def _in_order(
    tasks: Iterator[tuple[Item, bytes | None]], memory: Memory | None, workers: int
) -> Iterator[tuple[int, list[Seen]]]:
    """Yield what is seen of the images, some at a time, with the index of the first."""
    waiting = deque[Callable[[], list[Seen]]]()
    start = 0
    with hurried(ThreadPoolExecutor(workers, thread_name_prefix="looking")) as pool:
        while True:
            while len(waiting) < AHEAD * workers and (some := list(islice(tasks, AT_ONCE))):
                waiting.append(_begun(some, memory, pool))
            if not waiting:
                return
            found = waiting.popleft()()
            yield start, found
            start += len(found)


def _begun(
    some: list[tuple[Item, bytes | None]], memory: Memory | None, pool: ThreadPoolExecutor
) -> Callable[[], list[Seen]]:
    """Let the images that are not remembered be looked at, and return what waits for all of them."""
    known = memory.recall([key for _, key in some if key]) if memory else {}
    new = [(item, key) for item, key in some if key not in known]
    future: Future[list[Seen]] = pool.submit(lambda: [look_at(item) for item, _ in new])

    def finish() -> list[Seen]:
        looks = iter(future.result())
        found, fresh = list[Seen](), dict[bytes, bytes]()
        for _, key in some:
            if key is not None and key in known:
                found.append((np.frombuffer(known[key], LOOK)[0], ""))
                continue
            found.append(next(looks))
            if key is not None and not found[-1][1]:
                fresh[key] = found[-1][0].tobytes()
        if memory and fresh:
            memory.keep(fresh)
        return found

    return finish


def _spread(data: Any) -> float:
    """Return the standard deviation of an image's pixels in full, of the channel that varies most."""
    pixels = np.asarray(open_image(data))
    return float(pixels.reshape(-1, pixels.shape[2] if pixels.ndim == 3 else 1).std(0).max())


def _kind(reason: str, item: Item, data: Any) -> str:
    """Return the kind of trouble that keeps an image from being read."""
    if reason == "empty file":
        return "empty"
    if reason == "there is no such file":
        return "missing"
    if not isinstance(data, bytes) or not data:
        return "unreadable"
    if HEIC.match(data) and not reads_heic():
        return "heic"
    if "truncated" in reason.lower() or _ends_early(data):
        return "truncated"
    return "not-an-image" if reason == "not an image" else "unreadable"


def _ends_early(data: bytes) -> bool:
    """Say whether a file begins as an image of a kind whose end is known, and has no such end."""
    if data[:2] == b"\xff\xd8":
        return b"\xff\xd9" not in data[-1024:]
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return b"IEND" not in data[-1024:]
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return len(data) < int.from_bytes(data[4:8], "little") + 8
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return not data.rstrip(b"\0").endswith(b";")
    return False


def is_link(item: Item) -> bool:
    """Say whether an image is a link, which may lead nowhere."""
    return isinstance(item, Path) and item.is_symlink()
