"""How connections are spoken with: by httptools, with bounds on what a request brings and on how long all takes."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from lenext.serving.limits import Limits

GRACE = 0.5  # seconds that a connection without a request stays open once the server is told to end


class BoundedProtocol(HttpToolsProtocol):
    """Answers 431 to headers that are too long, 408 to those that come too slowly, and ends.

    No connection is without a timer: where a request was answered before its end, as one without a token is, the rest
    must come `header_seconds` after that, and an answer must be taken within `body_seconds`.
    """

    limits = Limits()

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.head_bytes, self.in_head = 0, True
        self.after_head, self.body_bytes = 0, 0  # what came after the headers, and how much of it is no framing
        self.slow: asyncio.TimerHandle | None = None  # ends a request that does not come
        self.stuck: asyncio.TimerHandle | None = None  # ends a connection whose answer is not taken
        self.ending = False

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._calm()
        self._taken()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.in_head:
            if self.slow is None:
                self._expect_head()
            self.head_bytes += len(data)
        else:
            self.after_head += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self.in_head and self.head_bytes > self.limits.headers:
            self._turn_away(
                431, "Request Header Fields Too Large", f"more than {self.limits.headers:,} bytes of headers"
            )
        elif not self.in_head and self._too_much():
            self._turn_away(413, "Content Too Large", "too much that is no body; send it in larger chunks, or less")

    def _too_much(self) -> bool:
        """Say whether a body has more chunk lines and trailers than it may, or goes on after its answer without end."""
        framing = self.after_head - self.body_bytes
        unread = self._idle() and self.body_bytes > self.limits.body
        return unread or framing > self.limits.headers + self.body_bytes // 8

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.in_head:  # what comes after a body in chunks is nothing that anything here reads
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        # What came with the headers may be the beginning of the body; the bound is on the headers alone.
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        self._calm()
        self.after_head, self.body_bytes = self.head_bytes - size, 0
        self.in_head, self.head_bytes = False, 0
        if size > self.limits.headers:
            self._turn_away(
                431, "Request Header Fields Too Large", f"more than {self.limits.headers:,} bytes of headers"
            )
            return
        super().on_headers_complete()
        if self.ending:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        self.body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self.in_head = True
        if self._idle() and not self.transport.is_closing():  # answered before: what was to come has come
            self._calm()
            self._unset_keepalive_if_required()
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            self._expect_taken()
        elif self._idle() and not self.in_head:
            self._calm()
            self.slow = self.loop.call_later(self.limits.header_seconds, self.transport.abort)

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._expect_taken()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._expect_taken()

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self.transport.is_closing():
            self._taken()

    def send_400_response(self, msg: str) -> None:
        self._turn_away(400, "Bad Request", msg)

    def shutdown(self) -> None:
        # A request may be on its way; to close now would be to lose it.
        self.ending = True
        if self._idle():
            self.loop.call_later(GRACE, self._close_if_idle)
        else:
            self.cycle.keep_alive = False

    def _idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _close_if_idle(self) -> None:
        if self._idle() and not self.transport.is_closing():
            self._close()

    def _close(self) -> None:
        self.transport.close()
        self._expect_taken()

    def _expect_taken(self) -> None:
        """Break off where the client does not take what was written: a transport that is closed waits for it."""
        if self.stuck is None and self.parser is not None:  # None once the connection is lost
            self.stuck = self.loop.call_later(self.limits.body_seconds, self.transport.abort)

    def _taken(self) -> None:
        if self.stuck is not None:
            self.stuck.cancel()
            self.stuck = None

    def _expect_head(self) -> None:
        self.slow = self.loop.call_later(self.limits.header_seconds, self._too_slow)

    def _calm(self) -> None:
        if self.slow is not None:
            self.slow.cancel()
            self.slow = None

    def _too_slow(self) -> None:
        self.slow = None
        if self.in_head and not self.transport.is_closing():
            if self.head_bytes:
                self._turn_away(408, "Request Timeout", f"headers took longer than {self.limits.header_seconds:g} s")
            else:
                self._close()

    def _turn_away(self, status: int, reason: str, why: str) -> None:
        if not self.in_head and self.cycle is not None and self.cycle.response_started:
            self.transport.abort()  # there is an answer already
            return
        body = json.dumps({"error": why}).encode()
        head = f"HTTP/1.1 {status} {reason}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
        self.transport.write(head.encode() + b"connection: close\r\n\r\n" + body)
        self._close()


def bounded_protocol(limits: Limits) -> type[HttpToolsProtocol]:
    """Return the protocol with these bounds."""
    return type("Bounded", (BoundedProtocol,), {"limits": limits})
