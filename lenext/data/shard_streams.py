"""Shards as streams of bytes, on this machine or behind https."""

from __future__ import annotations

import contextlib
import os
import re
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urljoin, urlsplit

from lenext.errors import LenextError, UserError, one_line

HTTPS = "https"
WHOLE, PART, BEYOND_THE_END = 200, 206, 416
BUSY = frozenset({429, 500, 502, 503, 504})
CONTENT_RANGE = re.compile(r"bytes (?P<start>\d+)-\d+/(?P<total>\d+|\*)")
REDIRECTS = 5
TIMEOUT = 30.0  # seconds without a byte
TRIES, PAUSE = 4, 0.5  # how often a line that breaks without a byte is taken up again; seconds, doubled each time
NEAR = 4 * 2**20  # bytes that are sooner received and dropped than passed over by a request of their own


@dataclass(frozen=True)
class Shard:
    """A tar file: its absolute path or https address, what messages call it, and, once opened, its version."""

    location: str
    name: str
    version: str = ""


class ShardStream(Protocol):
    """The bytes of a shard, read forward from some position on."""

    version: str

    def read(self, count: int) -> bytes:
        """Return `count` bytes, or fewer where the shard ends."""
        ...

    def seek(self, position: int) -> None:
        """Pass over what comes before `position`."""
        ...

    def tell(self) -> int:
        """Return the position of the next byte."""
        ...

    def close(self) -> None:
        """Let go of the file or the line."""
        ...


def is_remote(location: str) -> bool:
    """Say whether a shard lies behind https."""
    return location[: len(HTTPS) + 3].lower() == f"{HTTPS}://"


def open_stream(shard: Shard, start: int = 0, stop: int | None = None) -> ShardStream:
    """Open a shard at byte `start`; a reader that wants nothing from `stop` on says so.

    Raises:
        UserError: there is no such shard, or it may not be read.
        LenextError: it is not the version that was opened before, or the line breaks for good.
    """
    return _RemoteStream(shard, start, stop) if is_remote(shard.location) else _LocalStream(shard, start)


def read_exactly(stream: ShardStream, offset: int, size: int, shard: Shard) -> bytes:
    """Return the `size` bytes at `offset`.

    Raises:
        LenextError: the shard ends before.
    """
    stream.seek(offset)
    data = stream.read(size)
    if len(data) < size:
        raise _changed(shard)
    return data


class _LocalStream:
    def __init__(self, shard: Shard, start: int) -> None:
        self._shard, path = shard, Path(shard.location)
        with self._explained():
            if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe may never end
                raise UserError(f"{shard.name} is a folder, a pipe or a device; give the names of tar files")
            self._file = path.open("rb")
            state = os.fstat(self._file.fileno())
            self.version = f"{state.st_size} {state.st_mtime_ns}"
            if shard.version not in ("", self.version):
                self._file.close()
                raise _changed(shard)
            self._file.seek(start)

    def read(self, count: int) -> bytes:
        with self._explained():
            return self._file.read(count)

    def seek(self, position: int) -> None:
        with self._explained():
            self._file.seek(position)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        self._file.close()

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise UserError(f"there is no shard {self._shard.name}") from error
        except (OSError, OverflowError) as error:  # OverflowError: a position that no file has
            reason = getattr(error, "strerror", None) or one_line(error)
            raise UserError(f"cannot read {self._shard.name}: {reason}") from error


class _BusyError(Exception):
    """The server has no answer at the moment."""


class _RemoteStream:
    """One answer of the server after another: a line that breaks is taken up again where it broke."""

    def __init__(self, shard: Shard, start: int, stop: int | None) -> None:
        self._shard, self._start, self._position = shard, start, start
        self._stop = None if stop is None else max(stop, start + 1)  # no request can ask for nothing
        self.version, self._knows_parts = shard.version, False
        self._response: Any = None
        self._body: Iterator[bytes] | None = None
        self._ahead = memoryview(b"")  # received, but not yet read
        self._ahead = memoryview(self._receive())

    def read(self, count: int) -> bytes:
        parts = []
        while count and (part := self._next(count)):
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def seek(self, position: int) -> None:
        assert position >= self._position, "a line is read forward"
        if self._knows_parts and position - self._position > NEAR:
            self.close()
            self._position = position
        while self._position < position:
            if not self._next(position - self._position):
                break

    def tell(self) -> int:
        return self._position

    def close(self) -> None:
        if self._body is not None and self._position == self._stop:
            with contextlib.suppress(Exception):  # the line can be used again once the answer has been read to its end
                next(self._body, b"")
        if self._response is not None:
            self._response.close()
        self._response, self._body, self._ahead = None, None, memoryview(b"")

    def _next(self, count: int) -> bytes:
        """Return some of the next `count` bytes, none at the end."""
        if not self._ahead:
            self._ahead = memoryview(self._receive())
        part, self._ahead = bytes(self._ahead[:count]), self._ahead[count:]
        self._position += len(part)
        return part

    def _receive(self) -> bytes:
        """Return what comes next, nothing at the end."""
        from huggingface_hub.errors import HTTPError, OfflineModeIsEnabled  # type: ignore[attr-defined]

        name = self._shard.name
        for again in range(TRIES):
            try:
                if self._body is None:
                    self._connect()
                assert self._body is not None
                return next(self._body, b"")
            except OfflineModeIsEnabled as error:
                raise UserError(f"cannot reach {name}: HF_HUB_OFFLINE is set") from error
            except (HTTPError, _BusyError) as error:
                self.close()
                reason = one_line(error)
                if "CERTIFICATE_VERIFY_FAILED" in reason:
                    way = "SSL_CERT_FILE names the authorities to trust"
                    raise UserError(f"cannot trust the server of {name}: {reason}; {way}") from error
                if again == TRIES - 1 and self._position == self._start:
                    raise UserError(f"cannot reach {name}: {reason}; check the address and the network") from error
                if again == TRIES - 1:
                    raise LenextError(f"{name} broke off at byte {self._position:,}: {reason}; try again") from error
            time.sleep(PAUSE * 2**again)
        raise AssertionError

    def _connect(self) -> None:
        headers = {"Accept-Encoding": "identity"}
        if self._position or self._stop is not None:
            headers["Range"] = f"bytes={self._position}-{'' if self._stop is None else self._stop - 1}"
        self._response = self._answer(headers)
        try:
            self._body = self._understood(self._response)
        except BaseException:
            self.close()
            raise

    def _answer(self, headers: dict[str, str]) -> Any:
        """Return the server's answer, or that of the one that it sends us to."""
        from huggingface_hub import get_session

        client, url = get_session(), self._shard.location
        for _ in range(REDIRECTS):
            try:
                request = client.build_request("GET", url, headers=headers, timeout=TIMEOUT)
            except Exception as error:  # addresses are refused with errors of many kinds
                raise UserError(f"{self._shard.name} is no address: {one_line(error)}") from error
            response = client.send(request, stream=True, follow_redirects=False)
            if not response.has_redirect_location:
                return response
            response.close()
            url = urljoin(url, response.headers["Location"])
            if not is_remote(url):
                raise UserError(f"{self._shard.name} leads to {urlsplit(url).scheme}: where only https is followed")
        raise UserError(f"{self._shard.name} leads from one address to the next, {REDIRECTS} times")

    def _understood(self, response: Any) -> Iterator[bytes]:
        """Return the bytes from the position on that an answer brings."""
        status, headers, name = response.status_code, response.headers, self._shard.name
        if status in BUSY:
            raise _BusyError(f"the server answers {status} {response.reason_phrase}".strip())
        if status == BEYOND_THE_END:
            return iter(())
        if status not in (WHOLE, PART):
            raise UserError(f"{name}: the server answers {status} {response.reason_phrase}; check the address")
        if headers.get("Content-Encoding", "identity") != "identity":
            raise UserError(f"{name}: the server compresses it ({headers['Content-Encoding']}), which is not read")
        behind, total = self._position, headers.get("Content-Length", "")
        if status == PART:
            span = CONTENT_RANGE.fullmatch(headers.get("Content-Range", ""))
            if span is None or int(span["start"]) != behind:
                raise LenextError(f"{name}: asked for byte {behind}, the server sends others; it cannot be read there")
            behind, total = 0, span["total"]
        version = headers.get("ETag") or headers.get("Last-Modified") or total
        if self.version not in ("", version):
            raise _changed(self._shard)
        self.version = version
        self._knows_parts = status == PART or headers.get("Accept-Ranges") == "bytes"
        return _without_first(behind, response.iter_raw())


def _without_first(count: int, chunks: Iterator[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        rest = chunk[count:]
        count -= len(chunk) - len(rest)
        if rest:
            yield rest


def _changed(shard: Shard) -> LenextError:
    return LenextError(f"{shard.name} has changed since it was opened; start again")
