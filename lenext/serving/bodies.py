"""Bodies: how much a request may send and how long it may take, and the images in it."""

from __future__ import annotations

import asyncio
import io
import logging
import time
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from python_multipart.exceptions import FormParserError, MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lenext.errors import one_line
from lenext.serving.limits import Limits
from lenext.serving.refusal import RefusalError

FIELDS = 16  # of a form, beside its files
LONGEST_NAME = 200  # characters of a file's name that are told
MULTIPART = "multipart/form-data"

logging.getLogger("python_multipart").setLevel(logging.ERROR)  # what a client sends broken is told to the client alone


class BoundedBodies:
    """An application whose requests may send so many bytes, in so many seconds, and all of them together so many."""

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self.app, self.limits = app, limits
        self.held = 0  # bytes of requests that are not answered yet

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count what comes, and turn away what is too much or takes too long."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limits, came, ended = self.limits, 0, False
        deadline = time.monotonic() + limits.body_seconds

        async def bounded() -> Message:
            nonlocal came, ended
            if ended:
                return await receive()
            try:
                message = await asyncio.wait_for(receive(), max(0.0, deadline - time.monotonic()))
            except TimeoutError:
                raise RefusalError(408, f"the body took longer than {limits.body_seconds:g} s", CLOSE) from None
            size = len(message.get("body", b""))
            came += size
            self.held += size
            if came > limits.body:
                raise RefusalError(413, f"more than {limits.body:,} bytes; send less at once", CLOSE)
            if self.held > limits.held:
                raise RefusalError(
                    503, "too much is sent at once; ask again in a second", {**CLOSE, "Retry-After": "1"}
                )
            ended = not message.get("more_body", False)
            return message

        length = Headers(scope=scope).get("content-length", "0")
        if length.isdigit() and int(length) > limits.body:
            refusal = RefusalError(
                413, f"{int(length):,} bytes are more than {limits.body:,}; send less at once", CLOSE
            )
            await refusal.response()(scope, receive, send)
            return
        try:
            await self.app(scope, bounded, send)
        finally:
            self.held -= came


CLOSE = {"Connection": "close"}
GONE = "the client has gone"


@dataclass(frozen=True)
class Part:
    """A part of a form; `filename` is what the client calls the file, None where it is none."""

    name: str
    filename: str | None
    content: bytes


async def images_in(request: Request, limits: Limits) -> list[tuple[str, bytes]]:
    """Return name and bytes of each image that a request brings, as a form of files or as its whole body.

    Raises:
        RefusalError: a form that cannot be read, too many files, none, or a body that says it is something else.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == MULTIPART:
        files = [part for part in await form_of(request, limits) if part.filename is not None]
        if not files:
            raise RefusalError(400, "there is no file in the form; send images as files")
        return [(told_name(part.filename), part.content) for part in files]
    if kind and not kind.startswith("image/") and kind != "application/octet-stream":
        raise RefusalError(
            415,
            f"{kind[:100]!r} is no image; send {MULTIPART}, or the bytes of one image with Content-Type: image/jpeg",
        )
    body = await _read(request)
    if not body:
        raise RefusalError(400, "there is nothing in the body; send the bytes of an image, or a form of files")
    return [("image", body)]


async def form_of(request: Request, limits: Limits) -> list[Part]:
    """Return the parts of the form that a request brings.

    Raises:
        RefusalError: it cannot be read, ends in the middle, or has too many files.
    """
    _, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary")
    if not boundary:
        raise RefusalError(400, "the form has no boundary")
    reader = _FormReader(limits.files)
    try:
        parser = MultipartParser(boundary, reader.callbacks())
        async for piece in request.stream():
            parser.write(piece)
            await asyncio.sleep(0)  # a form that is slow to read is not to keep others waiting
        parser.finalize()
    except (MultipartParseError, FormParserError) as error:
        raise RefusalError(400, f"the form cannot be read: {one_line(error)}") from None
    except ClientDisconnect:
        raise RefusalError(400, GONE) from None
    if not reader.whole:
        raise RefusalError(400, "the form ends in the middle")
    return reader.parts


class _FormReader:
    """Collects the parts of a form as they are found."""

    def __init__(self, files: int) -> None:
        self.files, self.whole = files, False
        self.parts: list[Part] = []
        self._header, self._value, self._content = bytearray(), bytearray(), io.BytesIO()
        self._headers: dict[bytes, bytes] = {}

    def callbacks(self) -> Any:
        """Return what the parser calls."""
        return {
            "on_header_field": lambda data, start, end: self._header.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._end_header,
            "on_part_data": lambda data, start, end: self._content.write(memoryview(data)[start:end]),
            "on_part_end": self._end_part,
            "on_end": self._end,
        }

    def _end_header(self) -> None:
        self._headers[bytes(self._header).lower()] = bytes(self._value)
        self._header.clear()
        self._value.clear()

    def _end_part(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        if b"name" not in options:
            raise RefusalError(400, "a part of the form has no name")
        filename = options.get(b"filename")
        self.parts.append(
            Part(
                options[b"name"].decode("utf-8", "replace"),
                None if filename is None else filename.decode("utf-8", "replace"),
                self._content.getvalue(),
            )
        )
        self._content = io.BytesIO()
        self._headers = {}
        count = sum(part.filename is not None for part in self.parts)
        if count > self.files:
            raise RefusalError(413, f"more than {self.files} files; send fewer at once")
        if len(self.parts) - count > FIELDS:
            raise RefusalError(400, f"more than {FIELDS} fields beside the files")

    def _end(self) -> None:
        self.whole = True


async def _read(request: Request) -> bytes:
    try:
        return await request.body()
    except ClientDisconnect:
        raise RefusalError(400, GONE) from None


def told_name(name: str | None) -> str:
    """Return what an answer calls a file: the last part of the name that the client gave, and nothing invisible."""
    last = PurePosixPath((name or "").replace("\\", "/")).name
    return "".join(c for c in last if c.isprintable())[:LONGEST_NAME] or "image"
