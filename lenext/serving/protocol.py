"""How connections are spoken with: by httptools, with a bound on the headers of a request and on how long they take."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from lenext.serving.limits import Limits

GRACE = 0.5  # seconds that a connection without a request stays open once the server is told to end


def bounded_protocol(limits: Limits) -> type[HttpToolsProtocol]:
    """Return a protocol that answers 431 to headers that are too long, 408 to those that come too slowly, and ends."""

    class BoundedProtocol(HttpToolsProtocol):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self.head_bytes, self.in_head = 0, True
            self.slow: asyncio.TimerHandle | None = None
            self.ending = False

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._expect_head()

        def connection_lost(self, exc: Exception | None) -> None:
            self._calm()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            if self.in_head:
                if self.slow is None:
                    self._expect_head()
                self.head_bytes += len(data)
            super().data_received(data)
            if self.in_head and self.head_bytes > limits.headers and not self.transport.is_closing():
                self._turn_away(
                    431, "Request Header Fields Too Large", f"more than {limits.headers:,} bytes of headers"
                )

        def on_headers_complete(self) -> None:
            # What came with the headers may be the beginning of the body; the bound is on the headers alone.
            size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            self._calm()
            self.in_head, self.head_bytes = False, 0
            if size > limits.headers:
                self._turn_away(
                    431, "Request Header Fields Too Large", f"more than {limits.headers:,} bytes of headers"
                )
                return
            super().on_headers_complete()
            if self.ending:
                self.cycle.keep_alive = False

        def on_message_complete(self) -> None:
            super().on_message_complete()
            self.in_head = True

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
                self.transport.close()

        def _expect_head(self) -> None:
            self.slow = self.loop.call_later(limits.header_seconds, self._too_slow)

        def _calm(self) -> None:
            if self.slow is not None:
                self.slow.cancel()
                self.slow = None

        def _too_slow(self) -> None:
            self.slow = None
            if self.in_head and not self.transport.is_closing():
                if self.head_bytes:
                    self._turn_away(408, "Request Timeout", f"headers took longer than {limits.header_seconds:g} s")
                else:
                    self.transport.close()

        def _turn_away(self, status: int, reason: str, why: str) -> None:
            body = json.dumps({"error": why}).encode()
            head = f"HTTP/1.1 {status} {reason}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
            self.transport.write(head.encode() + b"connection: close\r\n\r\n" + body)
            self.transport.close()

    return BoundedProtocol
