"""Images whose embeddings are kept are not decoded again: which of them could be read is kept beside these."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import PIL
from numpy.typing import NDArray

from lenext.classifier import Classifier
from lenext.data.cores import available_cores
from lenext.data.decode import ImageForm
from lenext.data.images import ImagesOnDisk
from lenext.data.reading import Reading, read_split
from lenext.data.source import Split
from lenext.errors import LenextError
from lenext.files import user_cache, write_atomically
from lenext.progress import SILENT, Progress
from lenext.transfer.embedding import CENTER, is_kept

LAYOUT = 1  # of the files that are kept; those of another are made anew


def read_to_embed(
    classifier: Classifier,
    split: Split,
    digests: NDArray[np.uint64],
    *,
    views: str = CENTER,
    seed: int = 0,
    progress: Progress = SILENT,
) -> Reading:
    """Return the images of a split, whose files have these digests, as `lenext.transfer.embedding.embed` takes them.

    Where their embeddings are kept, none is decoded before somebody asks for its pixels.
    """
    form = classifier.preprocessing.form
    path = _place(digests, form)
    known = _known(path, split, digests, form)
    if known is not None and is_kept(classifier, known, views=views, seed=seed):
        return known
    reading = read_split(split, form, what="reading images", progress=progress)
    _remember(path, split, digests, reading)
    return reading


def _place(digests: NDArray[np.uint64], form: ImageForm) -> Path:
    """Return the file that says which images of these digests can be read; another decoder may read others."""
    said = json.dumps([LAYOUT, dataclasses.asdict(form), PIL.__version__], sort_keys=True)
    name = hashlib.blake2b(said.encode() + digests.tobytes(), digest_size=16).hexdigest()
    return user_cache() / "embeddings" / f"{name}.npz"


def _known(path: Path, split: Split, digests: NDArray[np.uint64], form: ImageForm) -> Reading | None:
    """Return the images that are known to be readable, still to be decoded, or None where that is not known."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as found:
            reasons, sums, areas = json.loads(str(found["reasons"])), found["sums"], found["areas"]
        able = np.flatnonzero([not reason for reason in reasons])
        if len(reasons) != len(split) or not len(able) == len(sums) == len(areas):
            return None
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile):
        return None
    readable, skipped = split.readable(reasons)
    exact = dataclasses.replace(form, channels=int(sums.shape[1]))
    images = ImagesOnDisk(readable, exact, available_cores())
    return Reading(images, readable, digests[able], sums, areas, skipped)


def _remember(path: Path, split: Split, digests: NDArray[np.uint64], reading: Reading) -> None:
    skipped = dict(reading.skipped)
    reasons = [skipped.get(name, "") for name in split.names]
    able = np.flatnonzero([not reason for reason in reasons])
    if not np.array_equal(digests[able], reading.digests):
        return  # a file has changed since
    said = np.array(json.dumps(reasons))

    def write(beside: Path) -> None:
        with beside.open("wb") as file:
            np.savez(file, reasons=said, sums=reading.sums, areas=reading.areas)

    with contextlib.suppress(LenextError, OSError):  # a full disk is no reason to end
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, write)
