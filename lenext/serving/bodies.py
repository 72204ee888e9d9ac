"""Bodies: how much a request may send and how long it may take, and the images in it."""

from __future__ import annotations

import asyncio
import time
from pathlib import PurePosixPath
from typing import Any

from python_multipart.exceptions import MultipartParseError
from starlette.datastructures import FormData, Headers, UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lenext.serving.limits import Limits
from lenext.serving.refusal import RefusalError

FIELDS = 16  # of a form, beside its files
LONGEST_NAME = 200  # characters of a file's name that are told
MULTIPART = "multipart/form-data"


class BoundedBodies:
    """An application whose requests may send so many bytes, in so many seconds."""

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self.app, self.limits = app, limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count what comes, and turn away what is too much or takes too long."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limits, came, started = self.limits, 0, False
        deadline = time.monotonic() + limits.body_seconds
        ended = False

        async def bounded() -> Message:
            nonlocal came, ended
            if ended:
                return await receive()
            try:
                message = await asyncio.wait_for(receive(), max(0.0, deadline - time.monotonic()))
            except TimeoutError:
                raise RefusalError(408, f"the body took longer than {limits.body_seconds:g} s", CLOSE) from None
            came += len(message.get("body", b""))
            if came > limits.body:
                raise RefusalError(413, f"more than {limits.body:,} bytes; send less at once", CLOSE)
            ended = not message.get("more_body", False)
            return message

        async def noted(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        length = Headers(scope=scope).get("content-length", "0")
        try:
            if length.isdigit() and int(length) > limits.body:
                raise RefusalError(
                    413, f"{int(length):,} bytes are more than {limits.body:,}; send less at once", CLOSE
                )
            await self.app(scope, bounded, noted)
        except RefusalError as refusal:
            if started:
                raise
            await refusal.response()(scope, receive, send)


CLOSE = {"Connection": "close"}


async def images_in(request: Request, limits: Limits) -> list[tuple[str, bytes]]:
    """Return name and bytes of each image that a request brings, as a form of files or as its whole body.

    Raises:
        RefusalError: a form that cannot be read, too many files, none, or a body that says it is something else.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == MULTIPART:
        form = await form_of(request, limits)
        files = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
        if not files:
            raise RefusalError(400, "there is no file in the form; send images as files")
        found = [(told_name(file.filename), await file.read()) for file in files]
        await form.close()
        return found
    if kind and not kind.startswith("image/") and kind != "application/octet-stream":
        raise RefusalError(415, f"{kind[:100]!r} is no image; send {MULTIPART}, or the bytes of one image")
    body = await _read(request)
    if not body:
        raise RefusalError(400, "there is nothing in the body; send the bytes of an image, or a form of files")
    return [("image", body)]


async def form_of(request: Request, limits: Limits) -> FormData:
    """Return the form that a request brings.

    Raises:
        RefusalError: it cannot be read, or has too many files.
    """
    try:
        return await request.form(max_files=limits.files, max_fields=FIELDS, max_part_size=limits.body)
    except (HTTPException, MultiPartException, MultipartParseError, KeyError, ValueError) as error:
        why: Any = getattr(error, "detail", None) or getattr(error, "message", None) or str(error)
        if "Too many files" in str(why):
            raise RefusalError(413, f"more than {limits.files} files; send fewer at once") from None
        raise RefusalError(400, f"the form cannot be read: {why}") from None
    except ClientDisconnect:
        raise RefusalError(400, "the client has gone") from None


async def _read(request: Request) -> bytes:
    try:
        return await request.body()
    except ClientDisconnect:
        raise RefusalError(400, "the client has gone") from None


def told_name(name: str | None) -> str:
    """Return what an answer calls a file: the last part of the name that the client gave, and nothing invisible."""
    last = PurePosixPath((name or "").replace("\\", "/")).name
    return "".join(c for c in last if c.isprintable())[:LONGEST_NAME] or "image"
