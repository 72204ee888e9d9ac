"""`serve`: the server itself, from targets to the last answer."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import uvicorn

from lenext.errors import UserError
from lenext.loading import load
from lenext.prediction import Predictor
from lenext.serving.app import LOW_CONFIDENCE, create_app
from lenext.serving.guard import LOOPBACK, without_port
from lenext.serving.limits import Limits
from lenext.serving.protocol import bounded_protocol

BACKLOG = 2048
DRAINING = 30  # seconds that answers may take once the server is told to end, and the last body has come
SHORTEST_TOKEN = 16
EVERYWHERE = ("0.0.0.0", "::")  # to listen on, all addresses of this machine; none that it is reached by
MANY = 10_000  # images that a server answers, beside which loading is of no weight


def named_predictors(
    targets: Sequence[str], *, weights: str | None = None, threads: int | None = None
) -> dict[str, Predictor]:
    """Return what predicts by each target, under a name: that of its file or run folder.

    Raises:
        UserError: two targets of one name, or one that cannot be loaded.
    """
    found: dict[str, Predictor] = {}
    for target in targets:
        path = Path(target)
        name = path.stem if path.is_file() else path.name
        if name in ("", ".."):
            name = path.resolve().name
        if name in found:
            raise UserError(f"two targets are called {name}; rename one")
        found[name] = load(target, weights=weights, engine="auto", threads=threads, images=MANY)
    return found


def listening(host: str, port: int, token: str | None) -> socket.socket:
    """Return a socket that listens.

    Raises:
        UserError: an address that others can reach, without a token; a token that can be guessed, or cannot be sent; an
            address that is taken, or is not this machine's.
    """
    if not is_loopback(host) and token is None:
        raise UserError(f"{host} can be reached by other machines: give --token too, so that not everybody may ask")
    if token is not None and len(token) < SHORTEST_TOKEN:
        raise UserError(f"a token of {len(token)} characters can be guessed; give {SHORTEST_TOKEN} or more")
    if token is not None and not (token.isascii() and token.isprintable() and token == token.strip()):
        raise UserError("a token goes into headers: give letters, digits and signs of ASCII, with no space at its ends")
    if not 0 <= port <= 65535:
        raise UserError(f"port {port} cannot be; give 1 to 65535, or 0 for any that is free")
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        made = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise UserError(f"there is no address {host}: {error.strerror or error}; give another --host") from None
    try:
        if os.name != "nt":  # where two servers could share a port then
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen(BACKLOG)
    except OSError as error:
        made.close()
        raise UserError(
            f"cannot listen on {host}:{port}: {error.strerror or error}; give another --port or --host"
        ) from None
    return made


def is_loopback(host: str) -> bool:
    """Say whether an address is this machine's own, which no other can reach."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def names_of(host: str, extra: Sequence[str]) -> list[str]:
    """Return the names that requests may have in `Host`; `extra` may be `name`, `name:8000` or an address.

    Raises:
        UserError: one of `extra` is an address of a page.
    """
    own = LOOPBACK if is_loopback(host) or host in EVERYWHERE else ()
    for name in extra:
        if "/" in name or not name:
            raise UserError(f"{name!r} is no name of a host; give what stands between http:// and the next /")
    return [*own, bracketed(host), *(without_port(bracketed(name)) for name in extra)]


def bracketed(host: str) -> str:
    """Return a host as addresses of pages have it: IPv6 in brackets."""
    return f"[{host}]" if host.count(":") > 1 and not host.startswith("[") else host


def make_server(
    models: Mapping[str, Predictor],
    *,
    hosts: Sequence[str] = LOOPBACK,
    token: str | None = None,
    limits: Limits | None = None,
    threads: int | None = None,
    low_confidence: float = LOW_CONFIDENCE,
    wrong: Path | None = None,
    ready: Callable[[], object] = lambda: None,
) -> Server:
    """Return a server, whose `run` answers until the process is told to end; what was asked before that is answered.

    `ready` is called when the first request can be answered.
    """
    limits = limits or Limits()
    app = create_app(
        models, hosts=hosts, token=token, limits=limits, threads=threads, low_confidence=low_confidence, wrong=wrong
    )
    config = uvicorn.Config(
        app,
        http=bounded_protocol(limits),
        ws="none",
        lifespan="on",
        log_level="error",  # what clients do wrong is told to them
        backlog=BACKLOG,
        access_log=False,
        server_header=False,
        timeout_keep_alive=limits.idle_seconds,
        timeout_graceful_shutdown=round(limits.body_seconds) + DRAINING,
    )
    return Server(config, ready)


class Server(uvicorn.Server):
    """A server that says when it is ready."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], object]) -> None:
        super().__init__(config)
        self.ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer, and say so."""
        await super().startup(sockets)
        if self.started:
            self.ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take what the system has accepted already, and end when all of it is answered."""
        if os.name == "nt":  # its event loop cannot let go of a listener
            await super().shutdown(sockets)
            return
        loop, taken = asyncio.get_running_loop(), list[socket.socket]()
        for each in sockets or []:
            loop.remove_reader(each.fileno())
        for _ in range(3):  # what was taken last gets its protocol, which a closed listener no longer gives
            await asyncio.sleep(0)
        for each in sockets or []:
            taken += _accepted(each)
        for server in self.servers:
            server.close()
        for each in taken:
            await loop.connect_accepted_socket(self._protocol, each)
        await super().shutdown(sockets)

    def _protocol(self) -> asyncio.Protocol:
        kind: Any = self.config.http_protocol_class
        made: asyncio.Protocol = kind(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)
        return made


def _accepted(listener: socket.socket) -> list[socket.socket]:
    """Return the connections that the system has accepted and nobody has taken."""
    found: list[socket.socket] = []
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:  # there is none any more
            return found
        connection.setblocking(False)
        found.append(connection)
