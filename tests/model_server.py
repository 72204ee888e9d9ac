"""A server of models that runs in this process, and what asks it, byte by byte where that matters."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

from lenext.prediction import Predictor
from lenext.serving.limits import Limits
from lenext.serving.serve import listening, make_server

LIMITS = Limits(
    body=400_000, headers=8_000, pixels=1_000_000, files=5, header_seconds=1.0, body_seconds=1.5, waiting=40
)


@contextlib.contextmanager
def served(models: dict[str, Predictor], **options: Any) -> Iterator[int]:
    """Let a server answer in a thread, and give its port."""
    made, ready = listening("127.0.0.1", 0, options.get("token")), threading.Event()
    server = make_server(models, ready=ready.set, **{"limits": LIMITS, **options})
    thread = threading.Thread(target=server.run, kwargs={"sockets": [made]})
    thread.start()
    try:
        assert ready.wait(30)
        yield made.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()


class Reply:
    """What came over a socket: status, headers and body."""

    def __init__(self, raw: bytes) -> None:
        head, _, self.body = raw.partition(b"\r\n\r\n")
        first, *rest = head.decode("latin-1").split("\r\n")
        self.status = int(first.split()[1]) if first else 0
        self.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def said(port: int, raw: bytes, *, seconds: float = 15.0) -> Reply:
    """Send bytes as they are, and return what comes until the server has nothing more to say."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
        with contextlib.suppress(ConnectionError):  # the server may have heard enough before the end
            connection.sendall(raw)
        return heard(connection)


def heard(connection: socket.socket) -> Reply:
    """Return the one answer that comes, whole."""
    came = b""
    with contextlib.suppress(ConnectionError):
        while more := connection.recv(1 << 16):
            came += more
            head, end, body = came.partition(b"\r\n\r\n")
            length = head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]
            if end and length and len(body) >= int(length):
                break
    return Reply(came)


def request(port: int, path: str = "/healthz", method: str = "GET", body: bytes = b"", **headers: str) -> Reply:
    """Ask, with headers of our choice; of a header given as empty there is none."""
    usual = {"Host": f"127.0.0.1:{port}", "Content-Length": str(len(body)), "Connection": "close"}
    told = {**usual, **{name.replace("_", "-"): value for name, value in headers.items()}}
    lines = "".join(f"{name}: {value}\r\n" for name, value in told.items() if value)
    return said(port, f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode("latin-1") + body)


@contextlib.contextmanager
def asked_in_pieces(port: int, path: str, length: int, first: bytes) -> Iterator[socket.socket]:
    """Send the headers of a body of so many bytes and the first of these, and give the connection for the others."""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: {length}\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(head + first)
        yield connection


def form(parts: list[tuple[str, bytes]], boundary: str = "xyz") -> bytes:
    """Return a form of parts, each what stands behind `form-data;` and its content."""
    made = b""
    for what, content in parts:
        made += f"--{boundary}\r\nContent-Disposition: form-data; {what}\r\n\r\n".encode("utf-8", "surrogateescape")
        made += content + b"\r\n"
    return made + f"--{boundary}--\r\n".encode()


FORM = {"Content_Type": "multipart/form-data; boundary=xyz"}
Ask = Callable[..., Reply]
