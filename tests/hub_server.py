"""A Hub on this machine: serves repositories of a folder through the part of the HTTP API that downloads need."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

LARGE = (".safetensors", ".bin")  # what the Hub stores beside git
REPOSITORY = r"/(?P<name>[^/]+/[^/]+)"
AT_REVISION = r"/(?P<revision>[^/]+)(/(?P<path>.*))?"
API = re.compile(rf"/api/(?P<kind>datasets|models){REPOSITORY}(/(?P<call>revision|tree){AT_REVISION})?$")
FILE = re.compile(rf"(/(?P<kind>datasets))?{REPOSITORY}/resolve{AT_REVISION}$")  # a model's address names no kind


class HubServer:
    """Serves `root`, laid out as `datasets/owner/name/...` and `models/owner/name/...`, while the context is open.

        with HubServer(root) as hub:
            subprocess.run(command, env={"HF_ENDPOINT": hub.url})

    `requests` lists what was asked for, as "GET /path", with "from N" where it was to go on from byte N. Whatever is
    in `root` when a request comes is served; what is no address of a Hub is a file below `plain`. Weights have their
    SHA-256 as version, as they do there; other files have git's hash. `limits` are how many bytes of a file there are
    to be had before the line breaks, `stated` the hash that is claimed of one, both by its name. Where there is a
    `status`, it is the answer to everything.
    """

    def __init__(self, root: Path) -> None:
        self.requests: list[str] = []
        self.limits: dict[str, int] = {}
        self.stated: dict[str, str] = {}
        self.status: int | None = None
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Handler,), {"root": root, "hub": self}))
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> HubServer:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class Repository:
    """A folder as the Hub shows it: one commit, named by its content."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = sorted(path for path in folder.rglob("*") if path.is_file())
        identity = "".join(f"{self.name_of(path)} {etag(path)}\n" for path in self.files)
        self.commit = hashlib.sha1(identity.encode()).hexdigest()

    def name_of(self, path: Path) -> str:
        return path.relative_to(self.folder).as_posix()

    def entry(self, path: Path) -> dict[str, Any]:
        if path.is_dir():
            return {"type": "directory", "path": self.name_of(path), "oid": self.commit, "size": 0}
        return {"type": "file", "path": self.name_of(path), "oid": etag(path), "size": path.stat().st_size}

    def tree(self, folder: Path, *, recursive: bool) -> list[dict[str, Any]]:
        return [self.entry(path) for path in sorted(folder.rglob("*") if recursive else folder.glob("*"))]

    def info(self, name: str) -> dict[str, Any]:
        siblings = [{"rfilename": self.name_of(path)} for path in self.files]
        return {"id": name, "sha": self.commit, "private": False, "gated": False, "tags": [], "siblings": siblings}


def etag(path: Path) -> str:
    """Return what the Hub calls a version of a file; clients keep a file under this name."""
    data = path.read_bytes()
    if path.suffix in LARGE:
        return hashlib.sha256(data).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Answers the requests of one connection; `HubServer` fills in `root` and `hub`."""

    root: Path
    hub: HubServer
    commit: str  # of the repository that the request is about, once that is found
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.commit = ""
        wanted = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
        self.hub.requests.append(f"{self.command} {self.path}{f' from {wanted[1]}' if wanted else ''}")
        if self.hub.status is not None:
            return self.refuse("refused", status=HTTPStatus(self.hub.status))
        address = urlsplit(self.path)
        match = API.match(address.path) or FILE.match(address.path)
        if match is None:
            return self.send_file(self.root / "plain" / unquote(address.path).lstrip("/"))
        parts = {key: unquote(value or "") for key, value in match.groupdict().items()}
        folder = self.root / (parts["kind"] or "models") / parts["name"]
        if not folder.is_dir():
            return self.refuse("Repository not found", "RepoNotFound", HTTPStatus.UNAUTHORIZED)
        repository = Repository(folder)
        if parts["revision"] not in ("", "main", repository.commit):
            return self.refuse("Invalid rev id", "RevisionNotFound")
        self.commit = repository.commit
        path = folder / parts["path"]
        if "call" not in parts:
            return self.send_file(path)
        if parts["call"] != "tree":
            return self.send_json(repository.info(parts["name"]))
        if not path.is_dir():
            return self.refuse("Entry not found", "EntryNotFound")
        return self.send_json(repository.tree(path, recursive="recursive=true" in address.query.lower()))

    do_HEAD = do_GET  # noqa: N815

    def send_file(self, path: Path) -> None:
        """Send a file or the range of it that was asked for; a download to break is broken here."""
        if not path.is_file():
            return self.refuse("Entry not found", "EntryNotFound")
        data, status = path.read_bytes(), HTTPStatus.OK
        version = self.hub.stated.get(path.name) or etag(path)
        headers = {"ETag": f'"{version}"', "Accept-Ranges": "bytes"}
        left = self.hub.limits.get(path.name)
        if wanted := re.match(r"bytes=(\d+)-(\d*)$", self.headers.get("Range", "")):
            start, stop = int(wanted[1]), min(int(wanted[2] or len(data)) + 1, len(data))
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(data)}"
            data, status = data[start:stop], HTTPStatus.PARTIAL_CONTENT
            left = None if left is None else max(left - start, 0)
        return self.send(data, status, headers, left)

    def send_json(self, value: object) -> None:
        self.send(json.dumps(value).encode(), HTTPStatus.OK, {"Content-Type": "application/json"})

    def refuse(self, message: str, code: str = "", status: HTTPStatus = HTTPStatus.NOT_FOUND) -> None:
        """Answer that there is no such thing; clients tell a file from a revision or a repository by the code."""
        self.send(b"", status, {"X-Error-Message": message} | ({"X-Error-Code": code} if code else {}))

    def send(self, data: bytes, status: HTTPStatus, headers: dict[str, str], most: int | None = None) -> None:
        """Send an answer, broken off after `most` bytes; clients keep files by the commit that comes with it."""
        self.send_response(status)
        commit = {"X-Repo-Commit": self.commit} if self.commit else {}
        for name, value in (headers | commit | {"Content-Length": str(len(data))}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data[:most])
        self.close_connection |= most is not None

    def log_message(self, *_: object) -> None:
        """Keep standard error empty."""
