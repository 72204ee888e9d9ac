"""No connection stays without a bound: on what it sends, on how long it is silent, and on what it does not take."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from model_server import asked_in_pieces, heard, request, said, served

import lenext
from lenext.serving.limits import Limits
from lenext.serving.protocol import BoundedProtocol

TOKEN = "a-token-of-many-letters"
POST = b"POST /x HTTP/1.1\r\nHost: 127.0.0.1\r\n"
LENGTH, CHUNKED = POST + b"Content-Length: 2\r\n\r\n", POST + b"Transfer-Encoding: chunked\r\n\r\n"
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n"


@pytest.fixture(scope="module")
def hasty() -> Iterator[int]:
    """The port of a server that waits for nobody, and turns everybody away without a token."""
    limits = Limits(body=100_000, headers=4_000, header_seconds=0.3, body_seconds=0.3, idle_seconds=1)
    with served({}, token=TOKEN, limits=limits) as port:
        yield port


@pytest.fixture(scope="module")
def patient() -> Iterator[int]:
    """The port of a server that counts bytes, and no seconds."""
    with served({}, token=TOKEN, limits=Limits(body=100_000, headers=4_000)) as port:
        yield port


@contextlib.contextmanager
def connected(port: int, seconds: float = 10.0) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
        yield connection


def ended(connection: socket.socket) -> bool:
    """Say whether the server ends a connection, within the timeout of the socket."""
    try:
        while connection.recv(1 << 16):
            pass
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    return True


@pytest.mark.parametrize(("head", "some"), [(LENGTH, b"a"), (CHUNKED, b"5\r\nab"), (CHUNKED, b"1\r\na\r\n0\r\nX: y")])
def test_a_request_that_is_answered_before_its_end_has_to_end(hasty: int, head: bytes, some: bytes) -> None:
    with connected(hasty) as connection:
        connection.sendall(head)
        assert heard(connection).status == 401
        connection.sendall(some)
        assert ended(connection)


@pytest.mark.parametrize("head", [POST + b"Content-Length: 90000\r\n\r\n", CHUNKED])
def test_bytes_one_by_one_keep_no_connection(hasty: int, head: bytes) -> None:
    with connected(hasty, 0.05) as connection:
        connection.sendall(head)
        for _ in range(200):
            try:
                connection.sendall(b"a" if head is not CHUNKED else b"1\r\na\r\n")
                connection.recv(4096)
            except TimeoutError:
                continue
            except ConnectionError:
                return
    raise AssertionError("the connection is still there")


@pytest.mark.parametrize(("head", "rest"), [(LENGTH, b"ab"), (CHUNKED, b"2\r\nab\r\n0\r\nX: y\r\n\r\n")])
def test_who_sends_the_rest_is_answered_again_and_not_kept_for_ever(hasty: int, head: bytes, rest: bytes) -> None:
    with connected(hasty) as connection:
        connection.sendall(head)
        assert heard(connection).status == 401
        connection.sendall(rest + HEALTH + b"\r\n")
        assert heard(connection).status == 200
        assert ended(connection)  # after `idle_seconds`
    with connected(hasty) as connection:
        connection.sendall(head)
        assert heard(connection).status == 401
        connection.sendall(rest)
        assert ended(connection)


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (POST + b"Content-Length: 999999999999\r\n\r\n", b"a" * 1000),
        (CHUNKED, b"3e8\r\n" + b"a" * 1000 + b"\r\n"),
        (CHUNKED, b"1\r\na\r\n"),
        (CHUNKED + b"1;", b"a" * 1000),
        (HEALTH + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: ", b"a" * 1000),
        (HEALTH + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X: " + b"a" * 1000 + b"\r\n"),
    ],
)
def test_what_nobody_reads_ends_the_connection(patient: int, head: bytes, piece: bytes) -> None:
    with connected(patient) as connection:
        connection.sendall(head)
        assert heard(connection).status in (200, 401)
        with contextlib.suppress(ConnectionError):
            connection.sendall(piece * (400_000 // len(piece)))
        assert ended(connection)


def test_a_body_with_more_framing_than_content_is_refused(port: int) -> None:
    head = f"POST /v1/models/digits/predict HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nTransfer-Encoding: chunked\r\n\r\n"
    for body in (b"1;" + b"a" * 10_000, b"1\r\na\r\n" * 3_000, b"1\r\na\r\n0\r\nX: " + b"a" * 10_000):
        found = said(port, head.encode() + body)
        assert (found.status, set(found.json)) == (413, {"error"})
    for size in (100, 4096):
        chunk = b"%x\r\n" % size + b"a" * size + b"\r\n"
        assert said(port, head.encode() + chunk * (100_000 // size) + b"0\r\nX: y\r\n\r\n").status == 422  # no image


@pytest.mark.parametrize("close", [b"", b"Connection: close\r\n"])
def test_who_does_not_take_an_answer_is_let_go(close: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    lost, made, right = threading.Event(), BoundedProtocol.connection_made, BoundedProtocol.connection_lost

    def connection_made(self: BoundedProtocol, transport: Any) -> None:
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)  # not the system waits
        made(self, transport)

    def connection_lost(self: BoundedProtocol, exc: Exception | None) -> None:
        lost.set()
        right(self, exc)

    monkeypatch.setattr(BoundedProtocol, "connection_made", connection_made)
    monkeypatch.setattr(BoundedProtocol, "connection_lost", connection_lost)
    with served({}, limits=Limits(body_seconds=0.3)) as port, socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", port))
        connection.sendall(b"GET /site/vendor/swagger-ui-bundle.js HTTP/1.1\r\nHost: 127.0.0.1\r\n" + close + b"\r\n")
        assert lost.wait(10)


def test_who_takes_an_answer_slowly_gets_all_of_it(patient: int) -> None:
    whole = request(patient, "/site/vendor/swagger-ui-bundle.js", Authorization=f"Bearer {TOKEN}")
    assert len(whole.body) == int(whole.headers["content-length"]) > 1_000_000


def test_all_requests_together_hold_no_more_than_they_may(digits_file: Path) -> None:
    limits = Limits(body=100_000, held=150_000)
    path = "/v1/models/digits/predict"
    with served({"digits": lenext.load(digits_file)}, limits=limits) as port:
        with asked_in_pieces(port, path, 100_000, b"a" * 90_000):
            for _ in range(50):  # until the first body is there
                found = request(port, path, "POST", b"a" * 90_000, Content_Type="image/png")
                if found.status == 503:
                    break
            assert (found.status, found.headers["retry-after"]) == (503, "1")
            assert request(port, path, "POST", b"a" * 10_000, Content_Type="image/png").status == 422
        for _ in range(50):  # until the server has noticed that the first client is gone
            found = request(port, path, "POST", b"a" * 90_000, Content_Type="image/png")
            if found.status == 422:
                break
        assert found.status == 422
