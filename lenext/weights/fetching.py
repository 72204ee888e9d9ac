"""Fetching weights: downloads that resume and are verified, into the caches that other programs use too."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from lenext.errors import LenextError, UserError, one_line
from lenext.weights.first_hashes import require_first_hash

REPOSITORY = re.compile(r"hub:(?P<name>\w[\w.-]*/\w[\w.-]*)(@(?P<revision>[\w./-]+))?")
HOST = "https://download.pytorch.org"
MIRROR = "LENEXT_PYTORCH_ENDPOINT"  # the environment's name for another server with the same files
WEIGHTS = ("model.safetensors", "pytorch_model.bin")  # what repositories call them, the first being preferred
CONFIG = "config.json"
SHA256, SHA1 = re.compile(r"[0-9a-f]{64}"), re.compile(r"[0-9a-f]{40}")
WHOLE, BEYOND_THE_END = 200, 416
LARGEST_FILE = 16 << 30  # bytes of a download that nobody states
LONGEST_REASON = 200  # characters
TRIES, PAUSE = 4, 0.5  # how often a line that breaks without a byte is taken up again, and after how many seconds
Verify = Callable[[Path], None]


@dataclass(frozen=True)
class Fetched:
    """Files of a repository in the cache: the weights, and what describes them, or None where nothing does."""

    weights: Path
    config: Path | None


class _UnreachableError(Exception):
    """There is no way to the server; the message says why."""


def fetch_repository(location: str, *, pinned: bool = False) -> Fetched:
    """Return the files of `hub:owner/name` or `hub:owner/name@revision`, downloaded unless the cache has them.

    Where they are `pinned`, the weights must be those of the first download.

    Raises:
        UserError: no such repository, revision or weights, or neither a network nor a cached copy.
        LenextError: the download broke off, or what came is not what the Hub stated, now or at the first download.
    """
    from huggingface_hub import hf_hub_url
    from huggingface_hub.errors import HFValidationError

    found = REPOSITORY.fullmatch(location)
    if found is None:
        raise UserError(f"{location!r} names no repository of the Hub; write hub:owner/name or hub:owner/name@REVISION")
    name, revision = found["name"], found["revision"] or "main"
    try:
        hf_hub_url(name, CONFIG)
    except HFValidationError as error:
        raise UserError(f"{location} cannot be the name of a repository: {one_line(error)}") from error
    try:
        config = _fetch(name, revision, CONFIG)
    except _UnreachableError:  # the weights may be in the cache without it
        config = None
    outage = None
    for file in WEIGHTS:
        try:
            weights = _fetch(name, revision, file)
        except _UnreachableError as error:
            outage = outage or error
            continue
        if weights is not None:
            if pinned:
                require_first_hash(f"hub:{name}@{revision}/{file}", file_sha256(weights))
            return Fetched(weights, config)
    if outage is not None:
        raise UserError(f"{location} is not in the cache, and the Hub cannot be reached: {outage}") from outage
    raise UserError(f"{location} holds no {' or '.join(WEIGHTS)}")


def fetch_url(url: str, sha256: str) -> Path:
    """Return the file at `url` in torch's cache, downloaded unless it is there; `sha256` are its first digits or all.

    Raises:
        UserError: neither a network nor a cached copy.
        LenextError: the download broke off, or has another hash.
    """
    import torch
    from huggingface_hub import constants, errors

    def verify(path: Path) -> None:
        found = file_sha256(path)
        if not found.startswith(sha256):
            raise LenextError(f"{path} has the SHA-256 {found}, not {sha256}... as the catalog says")

    target = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    if not target.is_file():
        if constants.is_offline_mode():
            raise UserError(f"{target.name} is not in {target.parent}, and HF_HUB_OFFLINE is set")
        try:
            _download(url.replace(HOST, os.environ.get(MIRROR, HOST).rstrip("/"), 1), target, None, {}, verify)
        except (_UnreachableError, errors.EntryNotFoundError) as error:
            reason = one_line(error)
            raise UserError(f"{target.name} is not in {target.parent}, and cannot be fetched: {reason}") from error
    _require_unchanged(target, verify)
    return target


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fetch(name: str, revision: str, file: str) -> Path | None:
    """Return a file of a repository, or None where it has none of that name."""
    from huggingface_hub import (
        constants,
        errors,
        get_hf_file_metadata,
        hf_hub_download,
        hf_hub_url,
        try_to_load_from_cache,
    )
    from huggingface_hub.file_download import repo_folder_name
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

    where = f"hub:{name}/{file}"
    try:
        with _explained(where):
            url = hf_hub_url(name, file, revision=revision)
            stated = get_hf_file_metadata(url)
            etag = stated.etag or ""
            if not etag.isalnum():
                raise _UnreachableError(f"the server states no version of {file}, so it is no Hub")
            folder = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=name, repo_type="model")
            if not (folder / "blobs" / etag).exists():
                headers = build_hf_headers()
                _download(
                    url, folder / "blobs" / etag, stated.size, headers, lambda at: _require_stated(at, etag, where)
                )
            path = Path(hf_hub_download(name, file, revision=revision))  # which finds the blob, and links it
    except errors.EntryNotFoundError:
        return None
    except (_UnreachableError, UserError):
        cached = try_to_load_from_cache(name, file, revision=revision)
        if not isinstance(cached, str):
            raise
        path = Path(cached)
    _require_unchanged(path, lambda at: _require_stated(at, at.resolve().name, where))
    return path


def _download(url: str, target: Path, size: int | None, headers: Mapping[str, str], verify: Verify) -> None:
    """Download `url` beside `target`, going on where an earlier attempt broke off, verify it, and rename it."""
    partial = target.with_name(f"{target.name}.incomplete")
    try:
        partial.parent.mkdir(parents=True, exist_ok=True)
        with _lock(partial):
            if target.exists():  # another process was faster
                return
            _go_on(url, partial, size, headers)
            try:
                verify(partial)
            except LenextError as error:
                partial.unlink()
                raise LenextError(f"{error}; nothing of it was kept, try again") from None
            partial.replace(target)
    except OSError as error:
        if error.errno is None:  # the server's answer, which is no error of this disk
            raise
        raise LenextError(f"cannot write {partial}: {error.strerror or one_line(error)}") from error


@contextlib.contextmanager
def _lock(partial: Path) -> Iterator[None]:
    """Let one process at a time fetch a file."""
    from filelock import FileLock

    place = Path(f"{partial}.lock")
    try:
        with FileLock(place):
            yield
    finally:
        place.unlink(missing_ok=True)


def _go_on(url: str, partial: Path, size: int | None, headers: Mapping[str, str]) -> None:
    """Add to `partial` what of the file at `url` is not yet in it; a line that breaks is taken up again.

    The Hub's own client keeps nothing of a download that breaks off for good.
    """
    from huggingface_hub.errors import HfHubHTTPError, HTTPError  # type: ignore[attr-defined]
    from huggingface_hub.utils import tqdm  # type: ignore[attr-defined]

    if size is not None and partial.exists() and partial.stat().st_size > size:
        partial.unlink()
    tries = TRIES
    bars: Any = tqdm  # which has no types
    shown = bars(total=size, unit="B", unit_scale=True, disable=None, desc=partial.stem[-40:])
    with _explained(url), partial.open("ab") as file, shown as bar:
        bar.update(file.tell())
        while size is None or file.tell() < size:
            before = file.tell()
            try:
                _receive(url, file, headers, bar, size or LARGEST_FILE)
                break
            except HfHubHTTPError:
                raise
            except HTTPError as error:
                tries = TRIES if file.tell() > before else tries - 1
                if not tries and file.tell():
                    raise LenextError(
                        f"the download of {partial.stem} broke off after {file.tell():,} bytes "
                        f"({one_line(error)}); the same command goes on from there"
                    ) from error
                if not tries:
                    raise
                time.sleep(PAUSE)


def _receive(url: str, file: IO[bytes], headers: Mapping[str, str], bar: Any, most: int) -> None:
    """Write what comes from the end of `file` on."""
    from huggingface_hub import constants, get_session
    from huggingface_hub.utils import hf_raise_for_status  # type: ignore[attr-defined]

    there = file.tell()
    asked = {**headers, "Accept-Encoding": "identity", **({"Range": f"bytes={there}-"} if there else {})}
    timeout = constants.HF_HUB_DOWNLOAD_TIMEOUT
    with get_session().stream("GET", url, headers=asked, timeout=timeout, follow_redirects=True) as response:
        if response.status_code == BEYOND_THE_END:  # all was there already
            return
        hf_raise_for_status(response)
        if there and response.status_code == WHOLE:  # a server that knows no parts begins anew
            file.truncate(0)
            bar.reset()
        for chunk in response.iter_bytes():
            file.write(chunk)
            bar.update(len(chunk))
            if file.tell() > most:  # which the hash would find out after the disk was full
                raise LenextError(f"the server sends more than the {most:,} bytes of {url}; nothing more is taken")


@contextlib.contextmanager
def _explained(where: str) -> Iterator[None]:
    """Turn the errors of the network into ours; that a repository has no such file passes through."""
    from huggingface_hub import errors
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]

    try:
        yield
    except errors.EntryNotFoundError:
        raise
    except errors.GatedRepoError as error:
        raise UserError(
            f"{where}: only those whom its owner let in may fetch it; log in with `hf auth login`"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise UserError(f"{where}: the Hub has no such repository, or it is private (`hf auth login`)") from error
    except errors.RevisionNotFoundError as error:
        raise UserError(f"{where}: the repository has no such revision") from error
    except errors.HfHubHTTPError as error:
        raise _UnreachableError(one_line(error)[:LONGEST_REASON]) from error
    except (HTTPError, errors.OfflineModeIsEnabled) as error:
        raise _UnreachableError(one_line(error)) from error


def _require_stated(path: Path, stated: str, where: str) -> None:
    """Raise LenextError where a file is not the one that the Hub states: a SHA-256, or git's or the plain SHA-1."""
    if SHA256.fullmatch(stated):
        found = {file_sha256(path)}
    elif SHA1.fullmatch(stated):
        content = path.read_bytes()
        found = {hashlib.sha1(start + content).hexdigest() for start in (b"blob %d\0" % len(content), b"")}
    else:
        return
    if stated not in found:
        raise LenextError(f"{where} has the hash {min(found)}, not {stated} as the Hub states")


def _require_unchanged(path: Path, verify: Verify) -> None:
    try:
        verify(path)
    except LenextError as error:
        place = path.resolve()
        raise LenextError(f"{error}; it has changed since: move {place} away, and it is fetched anew") from None
