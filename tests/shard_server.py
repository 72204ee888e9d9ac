"""A server of shards on this machine, behind https with a certificate of its own."""

from __future__ import annotations

import re
import shutil
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

OPENSSL = shutil.which("openssl")


class ShardServer:
    """Serves the files of `root` while the context is open; `certificate` is what a client is to trust.

    `requests` lists what was asked for, as "/name" or "/name from N", and `lines` on which connections. Without
    `knows_parts` every answer is the whole file. `breaks` are after how many bytes the next answers break off, `moved`
    where a path has gone to, and `status` is the answer to everything where there is one.
    """

    def __init__(self, root: Path, certificates: Path) -> None:
        self.root, self.certificate = root, certificates / "certificate.pem"
        self.requests: list[str] = []
        self.lines: set[object] = set()
        self.knows_parts, self.has_versions = True, True
        self.breaks: list[int] = []
        self.moved: dict[str, str] = {}
        self.status: int | None = None
        key = certificates / "key.pem"
        if not key.exists():
            _make_certificate(self.certificate, key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, key)
        self._server = _Server(("127.0.0.1", 0), type("Handler", (Handler,), {"server_of": self}))
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"https://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> ShardServer:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Keep standard error empty where a client hangs up."""


class Handler(BaseHTTPRequestHandler):
    """Answers the requests of one connection; `ShardServer` fills in `server_of`."""

    server_of: ShardServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        server = self.server_of
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        server.requests.append(f"{self.path}{f' from {wanted[1]}' if wanted else ''}")
        server.lines.add(self.client_address)
        path = server.root / self.path.lstrip("/").partition("?")[0]
        if server.status is not None:
            return self._send(server.status, {}, b"")
        if self.path in server.moved:
            return self._send(302, {"Location": server.moved[self.path]}, b"")
        if not path.is_file():
            return self._send(404, {}, b"")
        data, status = path.read_bytes(), 200
        headers = {"ETag": f'"{hash(data)}"'} if server.has_versions else {}
        if server.knows_parts:
            headers["Accept-Ranges"] = "bytes"
        if wanted and server.knows_parts:
            start, stop = int(wanted[1]), min(int(wanted[2] or len(data)) + 1, len(data))
            if start >= len(data):
                return self._send(416, {"Content-Range": f"bytes */{len(data)}"}, b"")
            headers["Content-Range"], status = f"bytes {start}-{stop - 1}/{len(data)}", 206
            data = data[start:stop]
        return self._send(status, headers, data, server.breaks.pop(0) if server.breaks else None)

    def _send(self, status: int, headers: dict[str, str], data: bytes, most: int | None = None) -> None:
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(data))}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data[:most])
        self.close_connection |= most is not None

    def log_message(self, *_: object) -> None:
        """Keep standard error empty."""


def _make_certificate(certificate: Path, key: Path) -> None:
    command = f"{OPENSSL} req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=shards"
    made = [*command.split(), "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(made, check=True, capture_output=True)
