"""A Hub on this machine: serves repositories of a folder through the part of the HTTP API that downloads need."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

REPOSITORY = r"/(?P<name>[^/]+/[^/]+)"
AT_REVISION = r"/(?P<revision>[^/]+)(/(?P<path>.*))?"
API = re.compile(rf"/api/(?P<kind>datasets|models){REPOSITORY}(/(?P<call>revision|tree|paths-info){AT_REVISION})?$")
FILE = re.compile(rf"(/(?P<kind>datasets))?{REPOSITORY}/resolve{AT_REVISION}$")  # a model's address names no kind


class HubServer:
    """Serves `root`, laid out as `datasets/owner/name/...` and `models/owner/name/...`, while the context is open.

        with HubServer(root) as hub:
            subprocess.run(command, env={"HF_ENDPOINT": hub.url})

    `requests` lists what was asked for, as "GET /path". Whatever is in `root` when a request comes is served.
    """

    def __init__(self, root: Path) -> None:
        self.requests: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Handler,), {"root": root, "hub": self}))
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> HubServer:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
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

    def tree(self, folder: str, recursive: bool) -> list[dict[str, Any]]:
        below = self.folder / folder
        return [self.entry(path) for path in sorted(below.rglob("*") if recursive else below.glob("*"))]

    def paths_info(self, names: list[str]) -> list[dict[str, Any]]:
        return [self.entry(self.folder / name) for name in names if (self.folder / name).exists()]

    def info(self, name: str) -> dict[str, Any]:
        siblings = [{"rfilename": self.name_of(path)} for path in self.files]
        return {"id": name, "sha": self.commit, "private": False, "gated": False, "tags": [], "siblings": siblings}


def etag(path: Path) -> str:
    """Return what the Hub calls a version of a file; clients keep a file under this name."""
    return hashlib.sha1(path.read_bytes()).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Answers one request; `HubServer` fills in the two attributes."""

    root: Path
    hub: HubServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:  # noqa: N802 (http.server looks the methods up by these names)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.hub.requests.append(f"{self.command} {self.path}")
        address = urlsplit(self.path)
        match = API.match(address.path) or FILE.match(address.path)
        if match is None:
            self.send_error_code("no such address")
            return
        parts = {key: unquote(value or "") for key, value in match.groupdict().items()}
        folder = self.root / (parts["kind"] or "models") / parts["name"]
        if not folder.is_dir():
            self.send_error_code("Repository not found", "RepoNotFound", HTTPStatus.UNAUTHORIZED)
            return
        repository = Repository(folder)
        if parts["revision"] not in ("", "main", repository.commit):
            self.send_error_code("Invalid rev id", "RevisionNotFound")
        elif "call" not in parts:
            self.send_file(repository, parts["path"])
        elif parts["call"] == "tree":
            recursive = parse_qs(address.query).get("recursive", [""])[0].lower() == "true"
            self.send_json(repository.tree(parts["path"], recursive))
        elif parts["call"] == "paths-info":
            form = body.decode()
            names = json.loads(form)["paths"] if form.startswith("{") else parse_qs(form).get("paths", [])
            self.send_json(repository.paths_info(names))
        else:
            self.send_json(repository.info(parts["name"]))

    do_HEAD = do_GET  # noqa: N815
    do_POST = do_GET  # noqa: N815

    def send_file(self, repository: Repository, name: str) -> None:
        path = repository.folder / name
        commit = {"X-Repo-Commit": repository.commit}
        if not path.is_file():
            self.send_error_code("Entry not found", "EntryNotFound", headers=commit)
            return
        data, status = path.read_bytes(), HTTPStatus.OK
        headers = {"ETag": f'"{etag(path)}"', "Accept-Ranges": "bytes"} | commit
        if wanted := re.match(r"bytes=(\d+)-(\d*)$", self.headers.get("Range", "")):
            start, stop = int(wanted[1]), min(int(wanted[2] or len(data)) + 1, len(data))
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(data)}"
            data, status = data[start:stop], HTTPStatus.PARTIAL_CONTENT
        self.send(data, status, headers)

    def send_json(self, value: object) -> None:
        self.send(json.dumps(value).encode(), HTTPStatus.OK, {"Content-Type": "application/json"})

    def send_error_code(
        self,
        message: str,
        code: str = "",
        status: HTTPStatus = HTTPStatus.NOT_FOUND,
        headers: dict[str, str] | None = None,
    ) -> None:
        """Refuse; clients tell what is missing, file, revision or repository, by the code in the headers."""
        named = {"X-Error-Code": code} if code else {}
        self.send(b"", status, named | {"X-Error-Message": message} | (headers or {}))

    def send(self, data: bytes, status: HTTPStatus, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(data))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Keep standard error empty."""
